//! Reading: pages, single keys, changes.

use std::ops::Bound;

use etcd_mvcc::{
    Change, Entry, Failure, FailureClass, Group, Key, KeyRange, Page, PageRequest, Revision, Value,
};

use crate::ModelEtcd;
use crate::model::{future_failure, live_at};

impl<R: Revision> ModelEtcd<R> {
    /// Reads the first keys of a range, as etcd answers a Range request.
    ///
    /// With keys only, the lease is left out as well: etcd 3.7 does so, and whoever relies on what
    /// older ones say should learn it here.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Resync`] below the compaction revision, [`FailureClass::Retry`] above the
    /// newest.
    pub fn read_page(&self, request: &PageRequest<R>) -> Result<Page<R>, Failure> {
        let at = self.readable(request.at)?;
        let mut page = Page { entries: Vec::new(), at, more: false, count: 0 };
        for entry in self.entries(&request.range, at) {
            page.count += 1;
            if page.entries.len() < request.limit.max(1) {
                let mut entry = entry.clone();
                if request.keys_only {
                    entry.value = Value::default();
                    entry.lease = 0;
                }
                page.entries.push(entry);
            } else {
                page.more = true;
            }
        }
        Ok(page)
    }

    /// Reads single keys at one revision: an entry or `None` for each, in the order asked.
    ///
    /// # Errors
    ///
    /// As [`ModelEtcd::read_page`], and [`FailureClass::Fatal`] for an empty key.
    pub fn read_keys(&self, keys: &[Key], at: Option<R>) -> Result<Vec<Option<Entry<R>>>, Failure> {
        if keys.iter().any(Key::is_empty) {
            return Err(empty_key());
        }
        let at = self.readable(at)?;
        let read = |key: &Key| live_at(self.store.keys.get(key)?, at).cloned();
        Ok(keys.iter().map(read).collect())
    }

    /// Returns what a watch of `range` from `from` on, that revision included, would have
    /// delivered by now: whole revisions, those that changed nothing in the range left out.
    ///
    /// A revision that does not exist yet has no changes, as with etcd: no error.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Resync`] if `from` is below the compaction revision. At that revision
    /// itself etcd accepts a watch; what the answer is worth, [`Quirks`](crate::Quirks) says.
    pub fn events_since(&self, range: &KeyRange, from: R) -> Result<Vec<Group<R>>, Failure> {
        self.first_events_since(range, from, usize::MAX)
    }

    /// The same, at most `count` revisions of it.
    ///
    /// # Errors
    ///
    /// As [`ModelEtcd::events_since`].
    pub fn first_events_since(
        &self,
        range: &KeyRange,
        from: R,
        count: usize,
    ) -> Result<Vec<Group<R>>, Failure> {
        if self.store.compacted.is_some_and(|compacted| from < compacted) {
            return Err(self.compacted_failure());
        }
        let known = self.store.log.partition_point(|group| group.revision < from);
        let new = self.store.log.iter().skip(known);
        Ok(new.filter_map(|group| self.visible(group, range)).take(count).collect())
    }

    fn visible(&self, group: &Group<R>, range: &KeyRange) -> Option<Group<R>> {
        let hides_deletes =
            self.quirks.loses_deletes_at_compaction && Some(group.revision) == self.store.compacted;
        let seen = |change: &&Change<R>| {
            range.contains(change.key().as_bytes())
                && !(hides_deletes && matches!(change, Change::Delete { .. }))
        };
        let changes: Vec<_> = group.changes.iter().filter(seen).cloned().collect();
        (!changes.is_empty()).then_some(Group { revision: group.revision, changes })
    }

    /// Returns what `range` held at `at`, ascending by key, whether that is compacted or not: the
    /// judge's view, which no client of an etcd has. Above the newest revision, the newest.
    #[must_use]
    pub fn truth_at(&self, range: &KeyRange, at: R) -> Vec<Entry<R>> {
        self.entries(range, at).cloned().collect()
    }

    fn entries<'a>(&'a self, range: &'a KeyRange, at: R) -> impl Iterator<Item = &'a Entry<R>> {
        let end = match range.end() {
            _ if range.is_empty() => Bound::Included(range.start()),
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        let keys = self.store.keys.range::<Key, _>((Bound::Included(range.start()), end));
        keys.filter(|(key, _)| range.contains(key.as_bytes()))
            .filter_map(move |(_, writes)| live_at(writes, at))
    }

    /// The revision to read at. As in etcd, zero and below mean the newest.
    fn readable(&self, at: Option<R>) -> Result<R, Failure> {
        let Some(at) = at.filter(|at| at.get() > 0) else { return Ok(self.store.revision) };
        if at > self.store.revision {
            return Err(future_failure());
        }
        if self.store.compacted.is_some_and(|compacted| at < compacted) {
            return Err(self.compacted_failure());
        }
        Ok(at)
    }
}

pub(crate) fn empty_key() -> Failure {
    Failure::new(FailureClass::Fatal, "key is not provided")
}
