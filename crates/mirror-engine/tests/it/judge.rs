//! What a mirror may write where somebody else writes too.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::{
    Commit, Entry, Expect, Failure, Key, KeyRange, Op, Page, PageRequest, StandbyRevision, Txn,
};
use mirror_engine::{Checkpoint, OwnKeys, Phase};

use crate::world::World;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// What the primary does is done on the standby: newer than whatever a stranger wrote.
    Follow,
    /// A difference that was found is closed.
    Copy,
    /// What a stranger did is undone.
    Heal,
    /// What an operator ordered.
    Repair,
}

/// What one process has seen of the standby's keys, page by page.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Keys that were there when they were last looked at.
    there: BTreeSet<Key>,
    /// Keys that a copy did not write because somebody else had, and that were not looked at since.
    skipped: BTreeSet<Key>,
    /// The checkpoint as the process knows it: another one may have written a newer one.
    stored: Option<Checkpoint>,
}

impl Looks {
    /// The process has started over from this checkpoint.
    pub(crate) fn started(&mut self, stored: Option<Checkpoint>) {
        *self = Self { stored, ..Self::default() };
    }

    pub(crate) fn looked(
        &mut self,
        request: &PageRequest<StandbyRevision>,
        page: &Result<Page<StandbyRevision>, Failure>,
    ) {
        let Ok(page) = page else { return };
        let last = page.entries.last().filter(|_| page.more).map(|entry| &entry.key);
        let covered = |key: &Key| {
            request.range.contains(key.as_bytes()) && last.is_none_or(|last| key <= last)
        };
        self.there.retain(|key| !covered(key));
        self.skipped.retain(|key| !covered(key));
        self.there.extend(page.entries.iter().map(|entry| entry.key.clone()));
    }

    /// A transaction was answered.
    pub(crate) fn answered(
        &mut self,
        own: &OwnKeys,
        work: Work,
        txn: &Txn,
        commit: &Result<Commit, Failure>,
    ) {
        if let (Work::Copy, Ok(Commit::Done(committed))) = (work, commit) {
            let skipped = committed.skipped.iter().map(|at| txn.writes[*at].op.key().clone());
            self.skipped.extend(skipped);
        }
        if let (Some(record), Ok(Commit::Done(_))) = (own.record(txn), commit) {
            self.stored = Some(record);
        }
    }
}

/// Reads a transaction's own keys.
pub(crate) trait Reads {
    /// The checkpoint that it writes.
    fn record(&self, txn: &Txn) -> Option<Checkpoint>;
}

impl Reads for OwnKeys {
    fn record(&self, txn: &Txn) -> Option<Checkpoint> {
        txn.own.iter().find_map(|op| match op {
            Op::Put { key, value } if *key == self.checkpoint => {
                Some(Checkpoint::decode(value).unwrap())
            }
            _ => None,
        })
    }
}

impl World {
    /// What a transaction is for, if it writes mirrored keys or closes a copy.
    pub(crate) fn work(&self, looks: &Looks, txn: &Txn) -> Work {
        let (record, stored) = (self.own.record(txn), looks.stored.as_ref());
        let copies = |record: &Checkpoint| matches!(record.phase, Phase::Copying(_));
        if txn.own.iter().any(|op| *op.key() == self.own.repair) {
            return Work::Repair;
        }
        match (record, stored) {
            (Some(record), _) if copies(&record) => Work::Copy,
            // It closes the copy.
            (Some(_), Some(stored)) if copies(stored) => Work::Copy,
            (Some(record), Some(stored))
                if record.is_whole() && stored.is_whole() && record.revision == stored.revision =>
            {
                Work::Heal
            }
            (Some(_), _) => Work::Follow,
            (None, Some(stored)) if copies(stored) => Work::Copy,
            // A value that goes alone is announced, unless it is put back.
            (None, Some(stored)) if stored.is_whole() => Work::Heal,
            (None, _) => Work::Follow,
        }
    }

    /// Judges what a process sends, by what it knows.
    pub(crate) fn judge_sent(&self, work: Work, looks: &Looks, txn: &Txn) {
        for write in &txn.writes {
            let key = write.op.key();
            match (work, &write.op, write.expect) {
                (Work::Follow, ..) | (_, _, Some(_)) => {}
                (Work::Copy, Op::Put { .. }, None) => {
                    assert!(!looks.there.contains(key), "{key} is there, and is written unguarded");
                }
                (Work::Copy | Work::Heal | Work::Repair, ..) => {
                    panic!("{work:?} writes {key} unguarded");
                }
            }
        }
        let whole = self.own.record(txn).is_some_and(|record| record.is_whole());
        assert!(
            work != Work::Copy || !whole || looks.skipped.is_empty(),
            "the copy is said to be whole, and {:?} were not written",
            looks.skipped
        );
    }

    /// What each write of a transaction finds, before it lands.
    pub(crate) fn found(&self, txn: &Txn) -> BTreeMap<Key, Option<StandbyRevision>> {
        let found = |key: &Key| self.standby.get(key.as_bytes()).map(|entry| entry.modified);
        txn.writes.iter().map(|write| (write.op.key().clone(), found(write.op.key()))).collect()
    }

    /// I8: where a write says what it expects, it replaces nothing else: somebody's newer write
    /// least of all.
    pub(crate) fn invariant_expectations_are_met(
        txn: &Txn,
        skipped: &[usize],
        found: &BTreeMap<Key, Option<StandbyRevision>>,
    ) {
        for (at, write) in txn.writes.iter().enumerate() {
            let key = write.op.key();
            let met = match write.expect {
                None => true,
                Some(Expect::Absent) => found[key].is_none(),
                Some(Expect::ModifiedAt(at)) => found[key] == Some(at),
            };
            assert_eq!(met, !skipped.contains(&at), "{key}: {:?} of {found:?}", write.expect);
        }
    }

    /// I9: what the primary wrote after a stranger did has replaced what the stranger wrote.
    pub(crate) fn invariant_newer_values_replace_strangers(
        &self,
        checkpoint: &Checkpoint,
        written_at: StandbyRevision,
    ) {
        for (key, since) in self.tampered.last_writes() {
            let Some(source) = self.scope.primary_key(key) else { continue };
            let range = KeyRange::single(&source);
            let Some(Entry { value, modified, .. }) =
                self.primary.truth_at(&range, checkpoint.revision).into_iter().next()
            else {
                continue;
            };
            let place = KeyRange::single(key);
            let there = self.standby.truth_at(&place, written_at).into_iter().next();
            assert!(
                modified <= since
                    || self.is_held_back(key)
                    || there.map(|entry| entry.value) == Some(value),
                "{key} was written at {modified} on the primary, after a stranger at {since}, and \
                 the standby does not hold that at ({}, {written_at})",
                checkpoint.revision
            );
        }
    }
}
