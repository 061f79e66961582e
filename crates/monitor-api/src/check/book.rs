//! The reports of the last checks, within bounds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::{CheckReport, CheckTotals};

/// How many reports are kept.
const REPORTS_MAX: usize = 32;
/// How many keys of each kind a kept report names, and about how many bytes they may take.
const NAMED_MAX: usize = 1_000;
const NAMED_BYTES_MAX: usize = 256 << 10;
/// About how many bytes all kept reports may take; the newest is kept whatever it takes.
const BYTES_MAX: usize = 4 << 20;

/// The newest report, and when it came.
pub(super) type Newest = Option<(Arc<CheckReport>, Instant)>;

/// What came of the checks so far.
#[derive(Debug)]
pub(super) struct Book {
    kept: Mutex<Kept>,
    newest: watch::Sender<Option<Arc<CheckReport>>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Newest first, with when they came.
    reports: VecDeque<(Arc<CheckReport>, Instant)>,
    totals: CheckTotals,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), newest: watch::Sender::new(None) }
    }

    /// Enters a report, trimmed.
    pub(super) fn enter(&self, report: &Arc<CheckReport>) {
        let report = bounded(report);
        let mut kept = self.kept();
        kept.totals.add(&report);
        kept.reports.push_front((Arc::clone(&report), Instant::now()));
        let mut bytes = 0;
        let fitting = kept
            .reports
            .iter()
            .take(REPORTS_MAX)
            .take_while(|(report, _)| {
                bytes += report.bytes();
                bytes <= BYTES_MAX
            })
            .count();
        kept.reports.truncate(fitting.max(1));
        drop(kept);
        self.newest.send_replace(Some(report));
    }

    /// Returns the reports and when they came, newest first.
    pub(super) fn history(&self) -> Vec<(Arc<CheckReport>, Instant)> {
        self.kept().reports.iter().cloned().collect()
    }

    pub(super) fn newest(&self) -> Newest {
        self.kept().reports.front().cloned()
    }

    pub(super) fn totals(&self) -> CheckTotals {
        self.kept().totals.clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<CheckReport>>> {
        self.newest.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded(report: &Arc<CheckReport>) -> Arc<CheckReport> {
    let fits = report.found().differences.len() <= NAMED_MAX && report.bytes() <= NAMED_BYTES_MAX;
    if fits {
        Arc::clone(report)
    } else {
        let report = CheckReport::clone(report);
        Arc::new(report.trimmed_to(NAMED_MAX, NAMED_BYTES_MAX))
    }
}
