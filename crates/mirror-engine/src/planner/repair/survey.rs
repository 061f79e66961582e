//! What a repair would do, found before anything is written.

use etcd_mvcc::{ClusterId, PageSizes, PrimaryRevision, StandbyRevision};
use keyspace_filter::Scope;

use super::differences::{Difference, Differences, Next};
use crate::planner::comparison::Comparison;
use crate::planner::{Ledger, Withheld};
use crate::repair::{Digesting, RepairCounts, RepairDigest, RepairKinds};

/// Compares every key by value, counts what differs, and digests it. The plan that an operator is
/// shown and the look that the mirror takes before it writes are the same survey.
#[derive(Debug)]
pub(crate) struct RepairSurvey {
    differences: Differences,
    digesting: Digesting,
    /// The keys that would be mended.
    pub(crate) found: RepairCounts,
    /// Those of them that others made.
    pub(crate) foreign: u64,
}

impl RepairSurvey {
    /// Compares the two sides at `pair`; without a revision of the standby, at that of its first
    /// page.
    pub(crate) fn new(
        scope: &Scope,
        sizes: impl Into<PageSizes>,
        cluster: ClusterId,
        kinds: RepairKinds,
        pair: (PrimaryRevision, Option<StandbyRevision>),
    ) -> Self {
        let (primary, standby) = pair;
        let comparison = Comparison::new(scope, sizes, false, false).pinned(primary, standby);
        Self {
            differences: Differences::new(comparison, kinds),
            digesting: Digesting::new(cluster, &scope.hash().to_string(), kinds),
            found: RepairCounts::default(),
            foreign: 0,
        }
    }

    pub(crate) fn comparison(&mut self) -> &mut Comparison {
        &mut self.differences.comparison
    }

    /// Keys that others made and that nobody asked to delete.
    pub(crate) fn foreign_left(&self) -> u64 {
        self.differences.foreign_left
    }

    /// Works through what has been read, and shows each key that would be mended; `true` when all
    /// of it is known.
    pub(crate) fn advance(
        &mut self,
        ledger: &Ledger,
        withheld: &Withheld,
        mut show: impl FnMut(&Difference),
    ) -> bool {
        loop {
            let found = match self.differences.next(ledger, withheld) {
                Next::Found(found) => found,
                Next::Wait => return false,
                Next::Done => return true,
            };
            let (kind, fingerprint, modified) =
                (found.kind(), found.fingerprint(), found.modified());
            self.digesting.key(kind, found.key(), fingerprint, modified);
            self.found.count(kind);
            self.foreign += u64::from(matches!(found, Difference::Surplus { foreign: true, .. }));
            show(&found);
        }
    }

    pub(crate) fn digest(&self) -> RepairDigest {
        self.digesting.digest()
    }
}
