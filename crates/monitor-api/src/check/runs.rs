//! Running checks: one at a time, for whoever asks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::book::{Book, Newest};
use super::{CheckReport, CheckTotals, Comparison};
use crate::LastCheckReport;

/// How long a check may take unless told otherwise.
const DURATION_MAX: Duration = Duration::from_secs(600);

type Running = Pin<Box<dyn Future<Output = CheckReport> + Send>>;
type Outcome = watch::Receiver<Option<Arc<CheckReport>>>;

/// Runs checks, one at a time, and remembers what came of them. Cloning is cheap; all clones are
/// one.
///
/// A run goes on in a task of its own when those who asked for it are gone, and ends with the last
/// clone. It always comes to a report: one that takes too long, or breaks, is inconclusive.
#[derive(Clone)]
pub struct Checks(Arc<Shared>);

struct Shared {
    compare: Arc<dyn Fn() -> Running + Send + Sync>,
    duration_max: Duration,
    book: Arc<Book>,
    current: Mutex<Option<Current>>,
}

/// The run that is under way, or was.
struct Current {
    outcome: Outcome,
    /// Ends the run with its owner.
    _task: AbortOnDropHandle<()>,
}

impl Current {
    fn is_under_way(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }
}

impl Checks {
    /// Makes checks of a function that compares once; each run may take ten minutes.
    pub fn new<C, F>(compare: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = CheckReport> + Send + 'static,
    {
        Self::within(DURATION_MAX, compare)
    }

    /// Likewise, with the time that a run may take.
    pub fn within<C, F>(duration_max: Duration, compare: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = CheckReport> + Send + 'static,
    {
        Self(Arc::new(Shared {
            compare: Arc::new(move || Box::pin(compare())),
            duration_max,
            book: Arc::new(Book::new()),
            current: Mutex::new(None),
        }))
    }

    /// Returns what a check says now. Whoever calls while one runs gets that one's report.
    ///
    /// The report names all keys that the comparison named; those that are remembered are trimmed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops nothing: the run goes on, for others and for the history.
    pub async fn run(&self) -> Arc<CheckReport> {
        let mut outcome = self.joined();
        let ended = outcome.wait_for(Option::is_some).await;
        ended.ok().and_then(|report| report.clone()).unwrap_or_else(|| {
            let reason = "the check was cut off, with the process most likely";
            Arc::new(CheckReport::inconclusive(reason, Comparison::default()))
        })
    }

    /// Joins the run that is under way, or starts one.
    fn joined(&self) -> Outcome {
        let Shared { compare, duration_max, book, current } = &*self.0;
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = current.as_ref().filter(|run| run.is_under_way()) {
            return run.outcome.clone();
        }
        let (told, outcome) = watch::channel(None);
        // The task must not own the handle: it would keep itself alive.
        let (compare, duration_max, book) = (Arc::clone(compare), *duration_max, Arc::clone(book));
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let report = Arc::new(attempt(compare, duration_max).await);
            book.enter(&report);
            told.send_replace(Some(report));
        }));
        *current = Some(Current { outcome: outcome.clone(), _task: task });
        outcome
    }

    /// Returns the newest report, if any, with at most a thousand keys of each kind.
    #[must_use]
    pub fn last(&self) -> Option<Arc<CheckReport>> {
        self.newest().map(|(report, _)| report)
    }

    /// Returns the newest report and when it came.
    pub(crate) fn newest(&self) -> Newest {
        self.0.book.newest()
    }

    /// Returns the newest reports, newest first: at most 32, fewer if they are large, each with at
    /// most a thousand keys of each kind.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<CheckReport>> {
        self.0.book.history().into_iter().map(|(report, _)| report).collect()
    }

    /// Returns the same with the seconds since each check began, by this process's own clock.
    pub(crate) fn dated(&self) -> Vec<(Arc<CheckReport>, f64)> {
        let history = self.0.book.history().into_iter();
        history.map(|(report, came)| (Arc::clone(&report), age(&report, came))).collect()
    }

    /// Returns what the last check said, without the keys, and how old that is.
    #[must_use]
    pub fn last_summary(&self) -> Option<LastCheckReport> {
        let (report, came) = self.newest()?;
        let age_seconds = Some(age(&report, came));
        Some(LastCheckReport { age_seconds, ..LastCheckReport::from(&*report) })
    }

    /// Returns what the metrics tell.
    #[must_use]
    pub fn totals(&self) -> CheckTotals {
        self.0.book.totals()
    }

    /// Returns a channel that always holds the newest report.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<CheckReport>>> {
        self.0.book.subscribe()
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("duration_max", &self.0.duration_max).finish_non_exhaustive()
    }
}

/// Seconds since a check began, by this process's own clock.
fn age(report: &CheckReport, came: Instant) -> f64 {
    let seconds = report.found().duration_seconds + came.elapsed().as_secs_f64();
    (seconds * 1000.0).round() / 1000.0
}

/// Compares once; comes to a report whatever happens.
async fn attempt(
    compare: Arc<dyn Fn() -> Running + Send + Sync>,
    duration_max: Duration,
) -> CheckReport {
    let (began, began_at) = (Instant::now(), now());
    // A task of its own, so that a panic ends it and nothing else.
    let run = AbortOnDropHandle::new(tokio::spawn(async move { compare().await }));
    let report = match timeout(duration_max, run).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => {
            tracing::error!(panicked = error.is_panic(), "a check broke");
            let reason = "the check itself broke, which is a defect; the log says where";
            CheckReport::inconclusive(reason, Comparison::default())
        }
        Err(_) => {
            let reason = format!(
                "the check was given up after {} s, the most that it may take",
                duration_max.as_secs_f64()
            );
            CheckReport::inconclusive(reason, Comparison::default())
        }
    };
    report.timed(began_at, began.elapsed())
}

/// Seconds since 1970, by the clock of this machine.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
