//! One round of a copy: what was found to differ and has not been written yet.

use std::collections::VecDeque;

use etcd_mvcc::{Entry, Expect, Key, Op, PrimaryRevision, StandbyRevision, Write};
use keyspace_filter::Scope;

use super::Planner;
use super::comparison::Comparison;
use super::order::{Turn, turn};
use super::outbox::Outbox;
use super::witness::{is_newer, note};
use crate::record::Witness;
use crate::settings::TxnLimits;

/// Keys that wait to be fetched, or deleted, before the comparison pauses or leaves the rest to
/// the next round: some 8 MiB of them.
pub(super) const KEYS_WAITING_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct Round {
    pub(super) comparison: Comparison,
    pub(super) since: Option<PrimaryRevision>,
    pub(super) writes: Outbox,
    pub(super) to_fetch: VecDeque<ToFetch>,
    pub(super) fetching: Vec<ToFetch>,
    pub(super) fetch_keys: usize,
    pub(super) stale: VecDeque<(Key, StandbyRevision)>,
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
    /// Somebody else wrote a key between our look and our write.
    pub(super) raced: bool,
    pub(super) fuse_checked: bool,
    pub(super) witnesses: Vec<Witness>,
    pub(super) witnesses_before: Vec<Witness>,
}

/// A key whose value changed, to be fetched and written.
#[derive(Clone, Debug)]
pub(super) struct ToFetch {
    pub(super) primary_key: Key,
    pub(super) standby_key: Key,
    pub(super) expect: Option<Expect>,
}

impl Planner {
    pub(super) fn round(&self, since: Option<PrimaryRevision>) -> Round {
        let keys_only = since.is_some();
        let before = self.checkpoint.as_ref().map(|checkpoint| checkpoint.witnesses.clone());
        Round {
            comparison: Comparison::new(&self.scope, self.settings.walk, keys_only, keys_only),
            since,
            writes: Outbox::default(),
            to_fetch: VecDeque::new(),
            fetching: Vec::new(),
            fetch_keys: 16,
            stale: VecDeque::new(),
            standby_keys: 0,
            compared: Key::default(),
            resumed_at: Key::default(),
            compared_all: false,
            left_over: false,
            unpinned: false,
            raced: false,
            fuse_checked: false,
            witnesses: Vec::new(),
            witnesses_before: before.unwrap_or_default(),
        }
    }
}

impl Round {
    pub(super) fn is_full(&self, limits: &TxnLimits) -> bool {
        self.writes.is_full(limits) || self.to_fetch.len() >= KEYS_WAITING_MAX
    }

    pub(super) fn nothing_more_comes(&self) -> bool {
        self.compared_all && self.to_fetch.is_empty() && self.fetching.is_empty()
    }

    /// Everything before this key is applied once the writes that were taken are.
    pub(super) fn cursor(&self) -> Key {
        let first_open = self
            .writes
            .first()
            .or_else(|| self.fetching.first().map(|wanted| &wanted.standby_key))
            .or_else(|| self.to_fetch.front().map(|wanted| &wanted.standby_key));
        match first_open {
            Some(key) => key.clone(),
            None if self.compared.is_empty() => self.resumed_at.clone(),
            None => self.compared.successor(),
        }
    }

    /// Notes a key of the primary that was compared.
    pub(super) fn saw(&mut self, scope: &Scope, entry: &Entry<PrimaryRevision>) {
        self.compared = entry.key.clone();
        if self.since.is_none() {
            if is_newer(&self.witnesses, entry.modified)
                && let Some(key) = scope.primary_key(&entry.key)
            {
                note_entry(&mut self.witnesses, &key, entry);
            }
        } else if let Some(before) = self.witnesses_before.iter().find(|before| {
            before.modified == entry.modified
                && scope.primary_key(&entry.key).as_ref() == Some(&before.key)
        }) {
            // Unchanged since: it is still there at this round's revision.
            note(&mut self.witnesses, before.clone());
        }
    }

    pub(super) fn differs(
        &mut self,
        scope: &Scope,
        entry: Entry<PrimaryRevision>,
        expect: Option<Expect>,
    ) {
        match turn(&entry) {
            Turn::Now if self.since.is_none() => {
                let key = entry.key.clone();
                self.write(key, entry, expect);
            }
            Turn::Now => {
                let Some(primary_key) = scope.primary_key(&entry.key) else { return };
                self.to_fetch.push_back(ToFetch { primary_key, standby_key: entry.key, expect });
            }
        }
    }

    pub(super) fn write(
        &mut self,
        key: Key,
        entry: Entry<PrimaryRevision>,
        expect: Option<Expect>,
    ) {
        self.writes.push(Write { op: Op::Put { key, value: entry.value }, expect });
    }
}

pub(super) fn note_entry(witnesses: &mut Vec<Witness>, key: &Key, entry: &Entry<PrimaryRevision>) {
    if is_newer(witnesses, entry.modified) {
        let fingerprint = Some(entry.value.fingerprint());
        note(witnesses, Witness { key: key.clone(), modified: entry.modified, fingerprint });
    }
}
