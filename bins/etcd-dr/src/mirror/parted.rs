//! What one of two clusters has written since they parted, told from what both hold now.
//!
//! No history is needed: API servers compact it within minutes. Each key says itself when it was
//! written last and when its life began. So whatever the one cluster wrote after the pair at which
//! they parted has a later revision there; and whatever has lived on the other since before the
//! pair, and is not on the one, was deleted there.
//!
//! What the other deleted as well can't be told, and nobody misses it. Nor can be told who made what
//! is on the other only, where a rule held the key until promotion, since its life there began with
//! that, or where nobody looked who made it. That is said.
//!
//! Both are read as they are, at no revision, so that no compaction ends it: the one has to stand
//! still, which is for the caller to see, and of the other only what is old counts.

use etcd_link::{Primary, Standby};
use etcd_mvcc::{
    Change, Entry, Failure, Key, KeyRange, PrimaryRevision, ReadRange as _, StandbyRevision, Walk,
    WalkLimits,
};
use keyspace_filter::Scope;
use mirror_engine::{Checkpoint, OwnKeys};

/// How many values are asked for at once, at most.
const VALUES_MAX: usize = 128;
/// How many bytes of values are aimed at.
const VALUES_BYTES: usize = 4 << 20;

/// The two, and the pair of revisions at which the follower had everything.
pub(super) struct Parted<'a> {
    pub(super) scope: &'a Scope,
    /// It stands still.
    pub(super) cluster: &'a Primary,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) follower: &'a Standby,
    /// Where the mirror that ran between them kept its own keys.
    pub(super) own: &'a OwnKeys,
    /// The follower's revision of the checkpoint.
    pub(super) written_at: StandbyRevision,
}

/// What became, on the one, of a key that only the other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Absent {
    /// It was deleted.
    Deleted,
    /// It was deleted, or never there.
    Undecided,
}

impl Parted<'_> {
    /// Hands what the cluster has put since, the last of each key, to `each`, in the order of keys.
    /// What the follower holds the same is left out.
    ///
    /// # Errors
    ///
    /// Those of the reads, and of `each`.
    pub(super) async fn puts(
        &self,
        mut each: impl FnMut(&Change<PrimaryRevision>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut at_once = 1;
        let mut walk = Walk::new(self.scope.primary_ranges(), WalkLimits::default(), true);
        while let Some(page) = walk.next_page(self.cluster, None).await? {
            let admitted =
                page.entries.iter().filter(|entry| self.scope.admits(entry.key.as_bytes()));
            let since = admitted.filter(|entry| entry.modified > self.checkpoint.revision);
            let keys: Vec<Key> = since.map(|entry| entry.key.clone()).collect();
            let mut keys = keys.as_slice();
            while !keys.is_empty() {
                let (these, rest) = keys.split_at(at_once.min(keys.len()));
                keys = rest;
                let entries = self.cluster.read_keys(these, None).await?;
                let entries: Vec<_> = entries.into_iter().flatten().collect();
                let same = self.same(&entries).await?;
                at_once = fitting(&entries);
                for (entry, same) in entries.into_iter().zip(same) {
                    if !same {
                        each(&Change::Put(entry))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Says of each entry whether the follower holds the same.
    async fn same(&self, entries: &[Entry<PrimaryRevision>]) -> Result<Vec<bool>, Failure> {
        let places: Vec<Key> =
            entries.iter().filter_map(|entry| self.own_place(&entry.key)).collect();
        let theirs = self.follower.read_keys(&places, None).await?;
        let same = entries.iter().zip(theirs).map(|(entry, theirs)| {
            theirs.is_some_and(|theirs| theirs.value.fingerprint() == entry.value.fingerprint())
        });
        Ok(same.collect())
    }

    /// What a key in scope is called on the follower, once that is promoted: what was held until
    /// then is called there as it is on the cluster.
    fn own_place(&self, key: &Key) -> Option<Key> {
        if self.scope.decide(key.as_bytes()).parked {
            return Some(key.clone());
        }
        self.scope.place(key)
    }

    /// Hands the keys that live on the follower and that the cluster does not hold to `each`, unless
    /// they never were the cluster's.
    ///
    /// # Errors
    ///
    /// Those of the reads, and of `each`.
    pub(super) async fn absent(
        &self,
        mut each: impl FnMut(&Key, Absent) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut walk = Walk::new(&[KeyRange::all()], WalkLimits::default(), true);
        while let Some(page) = walk.next_page(self.follower, None).await? {
            let theirs = page.entries.iter().filter_map(|entry| self.mirrored(entry)).collect();
            let missed = self.missed(theirs).await?;
            for (key, absent) in self.not_foreign(missed).await? {
                each(&key, absent)?;
            }
        }
        Ok(())
    }

    /// What a key of the follower is called on the cluster, and what it means if it is not there;
    /// `None` for what was made after they parted, and what is not mirrored.
    fn mirrored(&self, entry: &Entry<StandbyRevision>) -> Option<(Key, Absent)> {
        let old = entry.created <= self.written_at;
        if let Some(key) = self.scope.primary_key(&entry.key) {
            let accounted = &self.checkpoint.accounted;
            let unseen = accounted.may_be_foreign(entry.created);
            return old.then_some((key, if unseen { Absent::Undecided } else { Absent::Deleted }));
        }
        // The release of what was held looks like any other write.
        let held = self.scope.decide(entry.key.as_bytes()).parked;
        (held && !old).then(|| (entry.key.clone(), Absent::Undecided))
    }

    /// Returns those of the keys that the cluster does not hold.
    async fn missed(&self, mut keys: Vec<(Key, Absent)>) -> Result<Vec<(Key, Absent)>, Failure> {
        // One that was held may lie where it was parked and in its own place.
        keys.sort();
        keys.dedup_by(|(a, _), (b, _)| a == b);
        let (Some((first, _)), Some((last, _))) = (keys.first(), keys.last()) else {
            return Ok(keys);
        };
        let around = KeyRange::new(first.clone(), last.successor());
        let mut there = vec![false; keys.len()];
        let mut walk = Walk::new(&[around], WalkLimits::default(), true);
        while let Some(page) = walk.next_page(self.cluster, None).await? {
            for entry in &page.entries {
                let found = keys.binary_search_by(|(key, _)| key.cmp(&entry.key));
                if let Some(there) = found.ok().and_then(|at| there.get_mut(at)) {
                    *there = true;
                }
            }
        }
        let mut there = there.into_iter();
        keys.retain(|_| there.next() == Some(false));
        Ok(keys)
    }

    /// Leaves out what somebody else made on the follower: that is in the mirror's ledger.
    async fn not_foreign(
        &self,
        mut keys: Vec<(Key, Absent)>,
    ) -> Result<Vec<(Key, Absent)>, Failure> {
        let entry = |(key, _): &(Key, Absent)| {
            let place = self.own_place(key);
            self.own.ledger(place.as_ref().unwrap_or(key))
        };
        let entries: Vec<Key> = keys.iter().map(entry).collect();
        let mut found = self.follower.read_keys(&entries, None).await?.into_iter();
        keys.retain(|_| found.next().is_some_and(|found| found.is_none()));
        Ok(keys)
    }
}

/// How many values to ask for next, from the size of the last ones.
fn fitting(entries: &[Entry<PrimaryRevision>]) -> usize {
    let bytes: usize = entries.iter().map(|entry| entry.value.len()).sum();
    let mean = bytes / entries.len().max(1);
    (VALUES_BYTES / mean.max(1)).clamp(1, VALUES_MAX)
}
