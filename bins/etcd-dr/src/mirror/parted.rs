//! What one of two clusters has written since they parted, told from what both hold now.
//!
//! No history is needed: API servers compact it within minutes. Each key says itself when it was
//! written last and when its life began. So whatever the one cluster wrote after the pair at which
//! they parted has a later revision there; and whatever has lived on the other since before the
//! pair, and is not on the one, was deleted there.
//!
//! What the other deleted as well can't be told, and nobody misses it.

use std::collections::BTreeSet;

use etcd_link::{Primary, Standby};
use etcd_mvcc::{
    Change, Entry, Failure, Key, KeyRange, PrimaryRevision, ReadHead as _, ReadRange as _,
    StandbyRevision, Walk, WalkLimits,
};
use keyspace_filter::Scope;

/// How many values are asked for at once: a large object each, and it is still one message.
const VALUES_AT_ONCE: usize = 16;

/// The two, and the pair of revisions at which the follower had everything.
pub(super) struct Parted<'a> {
    pub(super) scope: &'a Scope,
    pub(super) cluster: &'a Primary,
    pub(super) mirrored: PrimaryRevision,
    /// What was written later is not looked at.
    pub(super) until: PrimaryRevision,
    pub(super) follower: &'a Standby,
    pub(super) written_at: StandbyRevision,
}

impl Parted<'_> {
    /// Hands what the cluster has put since, the last of each key, to `each`, in the order of keys.
    /// What came out as the follower still has it from then is left out.
    ///
    /// # Errors
    ///
    /// Those of the reads, and of `each`.
    pub(super) async fn puts(
        &self,
        mut each: impl FnMut(&Change<PrimaryRevision>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut walk = Walk::new(self.scope.primary_ranges(), WalkLimits::default(), true);
        while let Some(request) = walk.request(Some(self.until)) {
            let page = self.cluster.read_page(request.clone()).await?;
            let admitted =
                page.entries.iter().filter(|entry| self.scope.admits(entry.key.as_bytes()));
            let since = admitted.filter(|entry| entry.modified > self.mirrored);
            let keys: Vec<Key> = since.map(|entry| entry.key.clone()).collect();
            for keys in keys.chunks(VALUES_AT_ONCE) {
                let entries = self.cluster.read_keys(keys, Some(self.until)).await?;
                let entries: Vec<_> = entries.into_iter().flatten().collect();
                let unchanged = self.unchanged(&entries).await?;
                for (entry, unchanged) in entries.into_iter().zip(unchanged) {
                    if !unchanged {
                        each(&Change::Put(entry))?;
                    }
                }
            }
            walk.advance(&request, &page);
        }
        Ok(())
    }

    /// Says of each entry whether the follower has had the same value since before the pair.
    async fn unchanged(&self, entries: &[Entry<PrimaryRevision>]) -> Result<Vec<bool>, Failure> {
        // In scope, so each has a place.
        let places = entries.iter().filter_map(|entry| self.scope.place(&entry.key));
        let theirs = self.follower.read_keys(&places.collect::<Vec<_>>(), None).await?;
        let same = entries.iter().zip(theirs).map(|(entry, theirs)| {
            theirs.is_some_and(|theirs| {
                theirs.modified <= self.written_at
                    && theirs.value.fingerprint() == entry.value.fingerprint()
            })
        });
        Ok(same.collect())
    }

    /// Hands the keys that the cluster has deleted since, and that still live on the follower, to
    /// `each`.
    ///
    /// # Errors
    ///
    /// Those of the reads, and of `each`.
    pub(super) async fn deletions(
        &self,
        mut each: impl FnMut(&Change<PrimaryRevision>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let now = self.follower.head().await?.revision;
        let mut walk = Walk::new(&[KeyRange::all()], WalkLimits::default(), true);
        while let Some(request) = walk.request(Some(now)) {
            let page = self.follower.read_page(request.clone()).await?;
            let old = page.entries.iter().filter(|entry| entry.created <= self.written_at);
            let admitted = old.filter(|entry| self.scope.admits_standby(entry.key.as_bytes()));
            let then = admitted.filter_map(|entry| self.scope.primary_key(&entry.key)).collect();
            for key in self.absent(then).await? {
                each(&Change::Delete { key, modified: self.until })?;
            }
            walk.advance(&request, &page);
        }
        Ok(())
    }

    /// Returns those of the keys that the cluster does not hold.
    async fn absent(&self, mut keys: BTreeSet<Key>) -> Result<BTreeSet<Key>, Failure> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(keys) };
        let around = KeyRange::new(first.clone(), last.successor());
        let mut walk = Walk::new(&[around], WalkLimits::default(), true);
        while let Some(request) = walk.request(Some(self.until)) {
            let page = self.cluster.read_page(request.clone()).await?;
            for entry in &page.entries {
                keys.remove(&entry.key);
            }
            walk.advance(&request, &page);
        }
        Ok(keys)
    }
}
