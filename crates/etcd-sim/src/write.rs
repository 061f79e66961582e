//! Writing: one transaction, one revision.

use std::collections::BTreeSet;

use etcd_mvcc::{
    Change, Commit, Committed, Entry, Expect, Failure, FailureCause, FailureClass, Group, Key,
    KeyRange, Op, Revision, StandbyRevision, Txn, Value,
};

use crate::ModelEtcd;
use crate::read::empty_key;

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Sets a key.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
        /// The lease that it hangs on from then on; 0 for none. The model keeps no leases: whoever
        /// lets one expire deletes its keys in one transaction.
        lease: i64,
    },
    /// Removes a key; no error if it is absent.
    Delete(Key),
    /// Removes all keys of a range.
    DeleteRange(KeyRange),
}

impl Mutation {
    /// Sets a key, without a lease.
    pub fn put(key: impl Into<Key>, value: impl Into<Value>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: 0 }
    }

    /// Removes a key.
    pub fn delete(key: impl Into<Key>) -> Self {
        Self::Delete(key.into())
    }

    fn size(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete(key) => key.len(),
            Self::DeleteRange(range) => range.start().len() + range.end().map_or(0, Key::len),
        }
    }

    fn has_empty_key(&self) -> bool {
        match self {
            Self::Put { key, .. } | Self::Delete(key) => key.is_empty(),
            Self::DeleteRange(_) => false,
        }
    }
}

impl From<Op> for Mutation {
    fn from(op: Op) -> Self {
        match op {
            Op::Put { key, value } => Self::Put { key, value, lease: 0 },
            Op::Delete { key } => Self::Delete(key),
        }
    }
}

/// What must be true of a key for a transaction to happen: [`Expect`], for either cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<R> {
    /// The key's last write was at this revision. Zero means that it does not exist, as in etcd.
    ModifiedAt(R),
    /// The key does not exist.
    Absent,
}

impl From<Expect> for Condition<StandbyRevision> {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::ModifiedAt(revision) => Self::ModifiedAt(revision),
            Expect::Absent => Self::Absent,
        }
    }
}

/// What a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<R> {
    /// The newest revision afterwards: the one that was made, if anything changed.
    pub revision: R,
    /// How many keys were deleted.
    pub deleted: usize,
}

impl<R: Revision> ModelEtcd<R> {
    /// Sets a key, and returns the revision that this made.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Fatal`] for an empty key, [`FailureClass::TooLarge`] for too large a value;
    /// nothing has changed then.
    pub fn put(&mut self, key: impl Into<Key>, value: impl Into<Value>) -> Result<R, Failure> {
        Ok(self.write(&[Mutation::put(key, value)])?.revision)
    }

    /// Removes a key. Nothing happens if it does not exist.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Fatal`] for an empty key.
    pub fn delete(&mut self, key: impl Into<Key>) -> Result<Applied<R>, Failure> {
        self.write(&[Mutation::delete(key)])
    }

    /// Removes all keys of a range, at one revision. Nothing happens if there are none.
    ///
    /// # Errors
    ///
    /// [`FailureClass::TooLarge`] if the ends of the range are past the size limit.
    pub fn delete_range(&mut self, range: &KeyRange) -> Result<Applied<R>, Failure> {
        self.write(&[Mutation::DeleteRange(range.clone())])
    }

    /// Makes all these writes, at one revision; none, if nothing changes.
    ///
    /// There is no limit to their number: nested transactions and expiring leases have none either.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Fatal`] for an empty key and for a key that is put twice or put and deleted,
    /// [`FailureClass::TooLarge`] past the size limit; nothing has changed then.
    pub fn write(&mut self, mutations: &[Mutation]) -> Result<Applied<R>, Failure> {
        self.refuse_malformed(mutations)?;
        Ok(self.apply(mutations))
    }

    /// Makes all these writes, at one revision, if every key of the guard is as it should be;
    /// `None` if one is not.
    ///
    /// # Errors
    ///
    /// As [`ModelEtcd::write`], whatever the guard says.
    pub fn txn(
        &mut self,
        guard: &[(Key, Condition<R>)],
        mutations: &[Mutation],
    ) -> Result<Option<Applied<R>>, Failure> {
        if guard.iter().any(|(key, _)| key.is_empty()) {
            return Err(empty_key());
        }
        self.refuse_malformed(mutations)?;
        let holds = guard.iter().all(|(key, condition)| self.meets(key, *condition));
        Ok(holds.then(|| self.apply(mutations)))
    }

    fn refuse_malformed(&self, mutations: &[Mutation]) -> Result<(), Failure> {
        if mutations.iter().any(Mutation::has_empty_key) {
            return Err(empty_key());
        }
        refuse_duplicates(mutations)?;
        self.refuse_size(mutations.iter().map(Mutation::size).sum())
    }

    fn meets(&self, key: &Key, condition: Condition<R>) -> bool {
        let modified = self.get(key.as_bytes()).map_or(R::new(0), |entry| entry.modified);
        match condition {
            Condition::ModifiedAt(revision) => modified == revision,
            Condition::Absent => modified == R::new(0),
        }
    }

    fn refuse_size(&self, bytes: usize) -> Result<(), Failure> {
        if bytes > self.request_bytes_max {
            let message = format_args!("request is too large: {bytes} bytes");
            return Err(Failure::new(FailureClass::TooLarge, message));
        }
        Ok(())
    }

    fn apply(&mut self, mutations: &[Mutation]) -> Applied<R> {
        self.store.raft_index += 1;
        let revision = self.store.revision.next();
        let mut changes = Vec::new();
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value, lease } => {
                    changes.push(self.put_change(revision, key, value, *lease));
                }
                Mutation::Delete(key) => {
                    self.delete_changes(revision, &KeyRange::single(key), &mut changes);
                }
                Mutation::DeleteRange(range) => self.delete_changes(revision, range, &mut changes),
            }
        }
        let deleted = changes.iter().filter(|c| matches!(c, Change::Delete { .. })).count();
        if !changes.is_empty() {
            for change in &changes {
                let writes = self.store.keys.entry(change.key().clone()).or_default();
                debug_assert!(writes.last().is_none_or(|last| last.modified() < revision));
                writes.push(change.clone());
            }
            self.store.log.push(Group { revision, changes });
            self.store.revision = revision;
            self.grow();
        }
        Applied { revision: self.store.revision, deleted }
    }

    fn put_change(&self, modified: R, key: &Key, value: &Value, lease: i64) -> Change<R> {
        let (created, version) = match self.get(key.as_bytes()) {
            Some(entry) => (entry.created, entry.version + 1),
            None => (modified, 1),
        };
        let (key, value) = (key.clone(), value.clone());
        Change::Put(Entry { key, value, created, modified, version, lease })
    }

    fn delete_changes(&self, modified: R, range: &KeyRange, changes: &mut Vec<Change<R>>) {
        let gone: BTreeSet<Key> = changes.iter().map(|change| change.key().clone()).collect();
        let live = self.truth_at(range, self.store.revision).into_iter().map(|entry| entry.key);
        changes.extend(
            live.filter(|key| !gone.contains(key)).map(|key| Change::Delete { key, modified }),
        );
    }
}

impl ModelEtcd<StandbyRevision> {
    /// Applies a transaction if its guard holds; a write whose own expectation is not met is left
    /// out, alone. If nothing changes, no revision is made, and the answer carries the newest.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Fatal`] for an empty key and for a key that is written twice,
    /// [`FailureClass::TooLarge`] past the limits of size and operations,
    /// [`FailureClass::NoSpace`] past [`ModelEtcd::limit_space`]; nothing has changed then.
    pub fn commit(&mut self, txn: &Txn) -> Result<Commit, Failure> {
        let written = || txn.writes.iter().map(|write| write.op.key()).chain(own_keys(txn));
        if written().chain(txn.guard.0.iter().map(|(key, _)| key)).any(Key::is_empty) {
            return Err(empty_key());
        }
        let mut seen = BTreeSet::new();
        if !written().all(|key| seen.insert(key)) {
            return Err(duplicate_key());
        }
        self.refuse_size(txn.size())?;
        if txn.writes.len() + txn.own.len() > self.request_ops_max {
            let message = "too many operations in txn request";
            let cause = FailureCause::Operations { max: Some(self.request_ops_max) };
            return Err(Failure::new(FailureClass::TooLarge, message).because(cause));
        }
        let ops = txn.writes.iter().map(|write| &write.op).chain(&txn.own);
        let puts = ops.filter(|op| matches!(op, Op::Put { .. })).count() > 0;
        self.refuse_space(puts, txn.size())?;
        if !txn.guard.0.iter().all(|(key, expect)| self.meets(key, (*expect).into())) {
            return Ok(Commit::Refused);
        }
        let mut skipped = Vec::new();
        let mut mutations = Vec::with_capacity(txn.writes.len() + txn.own.len());
        for (index, write) in txn.writes.iter().enumerate() {
            if write.expect.is_none_or(|expect| self.meets(write.op.key(), expect.into())) {
                mutations.push(write.op.clone().into());
            } else {
                skipped.push(index);
            }
        }
        mutations.extend(txn.own.iter().cloned().map(Mutation::from));
        let Applied { revision, .. } = self.apply(&mutations);
        Ok(Commit::Done(Committed { revision, skipped }))
    }
}

fn own_keys(txn: &Txn) -> impl Iterator<Item = &Key> {
    txn.own.iter().map(Op::key)
}

fn duplicate_key() -> Failure {
    Failure::new(FailureClass::Fatal, "duplicate key given in txn request")
}

/// As etcd's `checkIntervals`: a put excludes every other write to its key, while deletions
/// may overlap one another.
fn refuse_duplicates(mutations: &[Mutation]) -> Result<(), Failure> {
    let mut puts = BTreeSet::new();
    for mutation in mutations {
        if let Mutation::Put { key, .. } = mutation
            && !puts.insert(key)
        {
            return Err(duplicate_key());
        }
    }
    let meets_put = |mutation: &Mutation| match mutation {
        Mutation::Put { .. } => false,
        Mutation::Delete(key) => puts.contains(key),
        Mutation::DeleteRange(range) => puts.iter().any(|key| range.contains(key.as_bytes())),
    };
    if mutations.iter().any(meets_put) { Err(duplicate_key()) } else { Ok(()) }
}
