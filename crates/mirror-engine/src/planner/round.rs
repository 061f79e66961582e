//! One round of a copy: what was found to differ and has not been written yet.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::{Entry, Expect, Key, PrimaryRevision};
use keyspace_filter::Scope;

use super::Planner;
use super::comparison::Comparison;
use super::order::{Deletions, Queue, Taken};
use crate::history::WitnessBook;
use crate::record::Witness;
use crate::settings::TxnLimits;

/// Keys that wait to be deleted before the rest is left to the next round: some 8 MiB of them.
pub(super) const DELETIONS_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct Round {
    pub(super) comparison: Comparison,
    pub(super) lane: Lane,
    pub(super) since: Option<PrimaryRevision>,
    pub(super) queue: Queue,
    pub(super) stale: Deletions,
    /// What is stale goes before anything is compared: the standby had no room.
    pub(super) frees: bool,
    /// Keys of the primary's that are held back.
    pub(super) held: BTreeSet<Key>,
    pub(super) standby_keys: u64,
    /// The last key that was compared.
    pub(super) compared: Key,
    /// The key that the round began at; empty for the first one.
    pub(super) resumed_at: Key,
    /// Nothing is left to compare.
    pub(super) compared_all: bool,
    /// Not everything was compared, or deleted, that had to be: another round must follow.
    pub(super) left_over: bool,
    /// The primary's pin is compacted: values are fetched as they are today.
    pub(super) unpinned: bool,
    /// Not all that differs was written, because somebody else wrote it between our look and our
    /// write, or because it had to wait: another round must look at everything.
    pub(super) again: bool,
    pub(super) fuse_checked: bool,
    /// What waited has been given its turn, and what has no owner is known.
    pub(super) judged: bool,
    /// Witnesses, found in this round, and those of the round before by their revision.
    pub(super) book: WitnessBook,
    pub(super) book_before: BTreeMap<PrimaryRevision, Vec<Witness>>,
}

/// What a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Only what goes first: namespaces, and what a rule calls urgent.
    First,
    /// Everything.
    All,
}

impl Planner {
    pub(super) fn round(&self, since: Option<PrimaryRevision>) -> Round {
        let mut book_before: BTreeMap<_, Vec<Witness>> = BTreeMap::new();
        let stored = self.checkpoint.iter().flat_map(|checkpoint| &checkpoint.witnesses);
        for witness in self.book.witnesses().chain(stored) {
            book_before.entry(witness.modified).or_default().push(witness.clone());
        }
        let (first, _) = self.scope.first_ranges();
        let lane = if first.is_empty() { Lane::All } else { Lane::First };
        Round {
            comparison: self.comparison_of(lane, since),
            lane,
            since,
            queue: Queue::new(self.settings.order, &self.scope, false),
            stale: Deletions::default(),
            frees: false,
            held: BTreeSet::new(),
            standby_keys: 0,
            compared: Key::default(),
            resumed_at: Key::default(),
            compared_all: false,
            left_over: false,
            unpinned: false,
            again: false,
            fuse_checked: false,
            judged: false,
            book: WitnessBook::default(),
            book_before,
        }
        .begun()
    }

    /// Only keys are compared where it is known since when values may differ.
    pub(super) fn comparison_of(&self, lane: Lane, since: Option<PrimaryRevision>) -> Comparison {
        let keys_only = since.is_some();
        match lane {
            Lane::First => Comparison::of_first(&self.scope, self.page_sizes, keys_only),
            Lane::All => Comparison::new(&self.scope, self.page_sizes, keys_only, keys_only),
        }
    }
}

impl Round {
    /// An owner that was not seen is missing only where every object is seen.
    pub(super) fn begun(mut self) -> Self {
        let whole = self.since.is_none() && self.resumed_at.is_empty();
        self.queue.sees_all_from_here(whole && self.lane == Lane::All);
        self
    }

    pub(super) fn is_full(&self, limits: &TxnLimits) -> bool {
        self.queue.is_full(limits)
    }

    pub(super) fn nothing_more_comes(&self) -> bool {
        // What goes first and waits all the same is found again when everything is looked at.
        let spent = self.lane == Lane::First || !self.queue.waits();
        self.compared_all && !self.queue.fetches() && spent
    }

    /// Everything before this key is applied once the writes that were taken are. While objects
    /// wait for their turn, or were left out, that is nothing: a copy that is interrupted compares
    /// from the start again, and writes what is missing.
    pub(super) fn cursor(&self) -> Key {
        if self.queue.is_out_of_order() || self.again || self.lane == Lane::First {
            return self.resumed_at.clone();
        }
        match self.queue.first() {
            Some(key) => key.clone(),
            None if self.compared.is_empty() => self.resumed_at.clone(),
            None => self.compared.successor(),
        }
    }

    /// Notes a key of the primary that was compared.
    pub(super) fn saw(&mut self, scope: &Scope, entry: &Entry<PrimaryRevision>) {
        self.compared = entry.key.clone();
        self.note_in_book(scope, entry);
    }

    fn note_in_book(&mut self, scope: &Scope, entry: &Entry<PrimaryRevision>) {
        if self.since.is_none() {
            if self.book.wants(entry.modified, entry.created)
                && let Some(key) = scope.primary_key(&entry.key)
            {
                self.book.note(Witness { key, ..Witness::from(entry) });
            }
            return;
        }
        let Some(before) = self.book_before.get(&entry.modified) else { return };
        let key = scope.primary_key(&entry.key);
        let unchanged = before.iter().find(|witness| Some(&witness.key) == key.as_ref());
        if let Some(witness) = unchanged {
            self.book.note(witness.clone());
        }
    }

    /// Takes in a key that the standby lacks or holds otherwise.
    pub(super) fn differs(
        &mut self,
        scope: &Scope,
        entry: Entry<PrimaryRevision>,
        expect: Option<Expect>,
    ) {
        let Some(primary_key) = scope.primary_key(&entry.key) else { return };
        if self.since.is_some() {
            return self.queue.want(primary_key, entry.key, expect);
        }
        let taken = self.queue.put(scope, primary_key, entry, expect);
        self.again |= taken == Taken::Left;
    }

    /// Takes in a key that both sides hold alike.
    pub(super) fn is_equal(&mut self, entry: &Entry<PrimaryRevision>) {
        if self.since.is_none() {
            self.queue.settle(entry);
        }
    }
}
