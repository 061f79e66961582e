//! What the answers are drawn from, and how many may be under way.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::server::Ending;
use crate::{Checks, PreflightSlot, Snapshot, StatusReport, Thresholds};

/// What is served.
#[derive(Clone, Debug)]
pub struct Sources {
    /// What the mirror says of itself. Its sender is gone once the mirror's task has ended.
    pub status: watch::Receiver<Snapshot>,
    /// What readiness asks for.
    pub asked: Thresholds,
    /// How to check; without it, `/check` says that it can't.
    pub checks: Option<Checks>,
    /// What the last preflight said.
    pub preflight: PreflightSlot,
    /// How many may be served at the same time.
    pub room: Room,
}

/// How many may be served at the same time. The rest is sent away at once, with `Retry-After`.
///
/// Whoever fetches an answer slowly keeps its place. The health paths need none: their answers are
/// so small that nobody can fetch them slowly, and they must not depend on what others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Answers other than health. Default 64: a few scrapers and people, and those below.
    pub answers_max: usize,
    /// Callers of `/check`, waiting or fetching. Default 32: they share one run.
    pub check_callers_max: usize,
    /// Listeners to `/api/v1/events`. Default 8.
    pub listeners_max: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { answers_max: 64, check_callers_max: 32, listeners_max: 8 }
    }
}

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) status: watch::Receiver<Snapshot>,
    pub(super) asked: Thresholds,
    pub(super) checks: Option<Checks>,
    pub(super) preflight: PreflightSlot,
    pub(super) answers: Places,
    pub(super) check_callers: Places,
    pub(super) listeners: Places,
}

impl Source {
    pub(super) fn new(sources: Sources) -> Self {
        let Sources { status, asked, checks, preflight, room } = sources;
        Self {
            status,
            asked,
            checks,
            preflight,
            answers: Places::new(room.answers_max),
            check_callers: Places::new(room.check_callers_max),
            listeners: Places::new(room.listeners_max),
        }
    }

    /// The engine's sender is gone once its task has ended.
    pub(super) fn mirror_runs(&self) -> bool {
        self.status.has_changed().is_ok()
    }

    pub(super) fn report(&self) -> StatusReport {
        // The borrow ends before any await: it would hold up the engine's next status.
        self.status.borrow().at(Instant::now())
    }
}

/// A number of places, of which nobody waits for one.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes a place, if one is free.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Waits for the connection's end to be near; for ever, where the routes are mounted elsewhere.
pub(super) async fn ended(ending: Option<&Ending>) {
    match ending {
        Some(ending) => ending.0.cancelled().await,
        None => std::future::pending().await,
    }
}

/// The connection's end, as handlers are told of it.
pub(super) type MaybeEnding = Option<Extension<Ending>>;
