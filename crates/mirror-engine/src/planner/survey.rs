//! What a resync would delete, found before anything is written.

use std::fmt;

use etcd_mvcc::{
    ClusterId, Entry, Key, PageSizes, PrimaryRevision, Revision, StandbyRevision, Step,
};
use keyspace_filter::Scope;
use xxhash_rust::xxh3::Xxh3;

use super::comparison::Comparison;
use super::ledger::Ledger;
use super::order::Deletions;
use super::round::DELETIONS_MAX;
use crate::own_keys::OwnKeys;

/// Counts, by key names alone, what is on both sides and what on the standby only, and digests
/// what would be deleted.
///
/// The digest covers who the primary is, the filter, and each key to delete with its last
/// revision: a plan that was accepted is carried out only while it deletes just that. What is
/// written is by definition the primary's state and moves with it, so it is not part of it.
///
/// A key is deleted at one revision once, so no two plans with deletions are alike. One without is
/// told from the next by the checkpoint that it replaces: a word given months ago is none today.
pub(crate) struct Survey {
    pub(crate) comparison: Comparison,
    /// Enter every surplus key in the ledger: before the first copy all of them are others'.
    enrol: bool,
    digest: Xxh3,
    /// When the checkpoint was written that a resync would replace.
    replaces: StandbyRevision,
    values: bool,
    show: usize,
    /// Whether this is the history that was mirrored up to this revision is to be found out.
    doubts: Option<PrimaryRevision>,
    /// The first key that the primary last changed up to then and the standby does not hold so, and
    /// how many there are.
    pub(crate) contradiction: Option<(Key, u64)>,
    /// What would be deleted, where that is to be done before anything else.
    pub(crate) stale: Option<Deletions>,
    /// Some of the keys that would be deleted.
    pub(crate) shown: Vec<Key>,
    pub(crate) found: Found,
}

impl fmt::Debug for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Survey")
            .field("enrol", &self.enrol)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// What a survey found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Keys that the primary alone has.
    pub(crate) missed: u64,
    /// Keys that both have.
    pub(crate) both: u64,
    /// Those of them whose values differ; only counted where values are read.
    pub(crate) different: u64,
    /// Keys that we wrote and the primary has deleted since.
    pub(crate) stale: u64,
    /// Keys that others made on the standby.
    pub(crate) foreign: u64,
}

impl Found {
    /// The standby's keys in scope that the mirror answers for.
    pub(crate) fn standby_keys(self) -> u64 {
        self.both + self.stale
    }
}

impl Survey {
    pub(crate) fn new(
        scope: &Scope,
        sizes: impl Into<PageSizes>,
        cluster: ClusterId,
        enrol: bool,
    ) -> Self {
        let mut digest = Xxh3::new();
        digest.update(&cluster.get().to_be_bytes());
        digest.update(scope.hash().to_string().as_bytes());
        Self {
            comparison: Comparison::new(scope, sizes, true, true),
            enrol,
            digest,
            replaces: StandbyRevision::default(),
            values: false,
            show: 0,
            doubts: None,
            contradiction: None,
            stale: None,
            shown: Vec::new(),
            found: Found::default(),
        }
    }

    /// Names the checkpoint that a resync would replace, by the revision that wrote it.
    pub(crate) fn replacing(mut self, written_at: Option<StandbyRevision>) -> Self {
        self.replaces = written_at.unwrap_or_default();
        self
    }

    /// Keeps what would be deleted, up to as much as one round deletes.
    pub(crate) fn keeping_stale(mut self) -> Self {
        self.stale = Some(Deletions::default());
        self
    }

    /// Reads the values too, and counts what the primary last changed at or before `revision` and
    /// the standby does not hold so: in the history that was mirrored there is nothing like it.
    pub(crate) fn doubting(mut self, scope: &Scope, revision: PrimaryRevision) -> Self {
        self.comparison = Comparison::new(scope, self.comparison.page_sizes(), false, false);
        self.doubts = Some(revision);
        self
    }

    /// Reads the values too, counts those that differ, and keeps up to `show` of the keys that
    /// would be deleted. The whole primary is read, whatever the standby holds.
    pub(crate) fn in_full(mut self, scope: &Scope, show: usize) -> Self {
        self.comparison = Comparison::new(scope, self.comparison.page_sizes(), false, false);
        self.values = true;
        self.show = show;
        self
    }

    /// Works through what has been read; `true` when all of it is known.
    pub(crate) fn advance(
        &mut self,
        ledger: &mut Ledger,
        own: &OwnKeys,
        held_back: impl Fn(&Key) -> bool,
    ) -> bool {
        loop {
            // Nothing of the standby left: nothing is surplus, whatever the primary still has.
            if self.enrol && !self.values && self.comparison.standby_is_spent() {
                return true;
            }
            match self.comparison.step() {
                Step::Missed(entry) => {
                    self.found.missed += 1;
                    if !held_back(&entry.key) {
                        self.contradicts(entry);
                    }
                }
                Step::Both(primary, standby) => {
                    self.found.both += 1;
                    if primary.value != standby.value && !held_back(&primary.key) {
                        self.contradicts(primary.clone());
                    }
                    self.found.different += u64::from(primary.value != standby.value);
                }
                Step::Surplus(entry) if self.enrol => {
                    ledger.enter(own, &entry.key);
                    self.found.foreign += 1;
                }
                Step::Surplus(entry) if ledger.is_foreign(&entry) => {
                    self.found.foreign += 1;
                }
                Step::Surplus(entry) => {
                    self.found.stale += 1;
                    self.digest_deletion(&entry.key, entry.modified);
                    if self.shown.len() < self.show {
                        self.shown.push(entry.key.clone());
                    }
                    if let Some(stale) = &mut self.stale
                        && stale.len() < DELETIONS_MAX
                    {
                        stale.push(entry);
                    }
                }
                Step::Need(_) => return false,
                Step::Done => return true,
            }
        }
    }

    fn contradicts(&mut self, entry: Entry<PrimaryRevision>) {
        if self.doubts.is_some_and(|revision| entry.modified <= revision) {
            self.contradiction.get_or_insert((entry.key, 0)).1 += 1;
        }
    }

    fn digest_deletion(&mut self, key: &Key, modified: StandbyRevision) {
        self.digest.update(&(key.len() as u64).to_be_bytes());
        self.digest.update(key.as_bytes());
        self.digest.update(&modified.get().to_be_bytes());
    }

    pub(crate) fn digest(&self) -> PlanDigest {
        let mut digest = self.digest.clone();
        if self.found.stale == 0 {
            digest.update(&self.replaces.get().to_be_bytes());
        }
        PlanDigest(digest.digest128())
    }
}

/// Names what exactly a resync would delete, and from whose copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanDigest(u128);

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
