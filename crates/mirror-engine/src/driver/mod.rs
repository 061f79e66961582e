//! The dull loop: performs the planner's effects, hands it what came of them, tells the time.
//!
//! One task owns the planner; requests run as tasks of a set that is aborted as a whole whenever
//! the planner says [`Effect::Forget`]. No task outlives [`Mirror::run`].

mod elect;
mod polls;
mod reporter;
mod requests;

use std::time::Duration;

use etcd_mvcc::{
    CommitTxn, Failure, PrimaryRevision, ReadHead, ReadRange, StandbyRevision, Txn, WatchRange,
    WatchStream,
};
use keyspace_filter::Scope;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::elect::{Election, IsGone, NameOf};
use self::reporter::Reporter;
use crate::own_keys::OwnKeys;
use crate::planner::{Ended, Input, Planner};
use crate::settings::Settings;
use crate::status::Status;

/// How often the planner is told the time.
const TICK: Duration = Duration::from_millis(50);

/// How long a transaction that is on its way may take to be answered when the mirror is told to
/// stop. Abandoning it costs nothing but the reading back at the next start.
const GRACE: Duration = Duration::from_secs(3);

/// What the mirror needs of the primary. It has no way to write.
pub trait Primary:
    ReadHead<Revision = PrimaryRevision>
    + ReadRange<Revision = PrimaryRevision>
    + WatchRange<Revision = PrimaryRevision>
    + Clone
    + 'static
{
}

impl<T> Primary for T where
    T: ReadHead<Revision = PrimaryRevision>
        + ReadRange<Revision = PrimaryRevision>
        + WatchRange<Revision = PrimaryRevision>
        + Clone
        + 'static
{
}

/// What the mirror needs of the standby.
pub trait Standby:
    ReadHead<Revision = StandbyRevision>
    + ReadRange<Revision = StandbyRevision>
    + WatchRange<Revision = StandbyRevision>
    + CommitTxn
    + Clone
    + 'static
{
}

impl<T> Standby for T where
    T: ReadHead<Revision = StandbyRevision>
        + ReadRange<Revision = StandbyRevision>
        + WatchRange<Revision = StandbyRevision>
        + CommitTxn
        + Clone
        + 'static
{
}

/// A mirror, ready to run.
pub struct Mirror<P: Primary, S: Standby> {
    primary: P,
    standby: S,
    scope: Scope,
    own: OwnKeys,
    planner: Planner,
    settings: Settings,
    reporter: Reporter,
    started: Instant,
    /// What the planner waits for; abandoned as a whole.
    requests: JoinSet<Answer<P, S>>,
    changes: Option<<P as WatchRange>::Stream>,
    standby_changes: Option<<S as WatchRange>::Stream>,
    committing: bool,
}

impl<P: Primary, S: Standby> std::fmt::Debug for Mirror<P, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("planner", &self.planner).finish_non_exhaustive()
    }
}

enum Answer<P: Primary, S: Standby> {
    Input(Input),
    Committed(Input, Duration),
    Watch(Result<<P as WatchRange>::Stream, Failure>),
    StandbyWatch(Result<<S as WatchRange>::Stream, Failure>),
}

/// Why the work was left.
enum Left {
    Ended(Ended),
    /// Another process has taken the epoch.
    Deposed,
}

impl<P: Primary, S: Standby> Mirror<P, S> {
    /// Makes a mirror, and the receiver of what it says of itself.
    #[must_use]
    pub fn new(
        primary: P,
        standby: S,
        scope: Scope,
        settings: Settings,
    ) -> (Self, watch::Receiver<Status>) {
        let (reporter, receiver) = Reporter::new(&settings);
        let mirror = Self {
            primary,
            standby,
            own: OwnKeys::new(&settings.name),
            planner: Planner::new(scope.clone(), settings.clone()),
            scope,
            settings,
            reporter,
            started: Instant::now(),
            requests: JoinSet::new(),
            changes: None,
            standby_changes: None,
            committing: false,
        };
        (mirror, receiver)
    }

    /// Mirrors until it is told to stop. Peers that fail are no reason to end: it says so and
    /// tries again, for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as good as a crash: nothing is lost, the next start goes on from
    /// the checkpoint. Cancelling `stop` waits for the transaction that is on its way.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        match self.work(&stop, false).await {
            Left::Ended(ended) => ended,
            // It is not left for that.
            Left::Deposed => Ended::Stopped,
        }
    }

    /// Does what the planner says until it is told to stop, or, if asked to, until another process
    /// has taken the epoch.
    async fn work(&mut self, stop: &CancellationToken, leave_if_deposed: bool) -> Left {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut polls = JoinSet::new();
        self.poll_head(&mut polls);
        self.poll_orders(&mut polls);
        self.poll_primary_position(&mut polls);
        self.poll_standby_position(&mut polls);
        self.poll_parked(&mut polls, Duration::ZERO);
        let mut stores: JoinSet<()> = JoinSet::new();
        loop {
            if let Some(ended) = self.begin_effects() {
                self.report(&mut stores);
                return Left::Ended(ended);
            }
            self.report(&mut stores);
            if leave_if_deposed && self.planner.is_deposed() {
                return Left::Deposed;
            }
            let wants_changes = self.planner.wants_changes();
            tokio::select! {
                () = stop.cancelled() => {
                    self.finish_commit().await;
                    return Left::Ended(Ended::Stopped);
                }
                Some(answer) = self.requests.join_next(), if !self.requests.is_empty() => {
                    match answer {
                        Ok(answer) => self.on_answer(answer),
                        Err(error) => self.on_lost_task(&error),
                    }
                }
                batch = next(&mut self.changes), if wants_changes => {
                    match batch {
                        Ok(batch) => self.handle(Input::Changed(batch)),
                        Err(failure) => {
                            self.changes = None;
                            self.handle(Input::WatchEnded(failure));
                        }
                    }
                }
                batch = next(&mut self.standby_changes) => {
                    match batch {
                        Ok(batch) => self.handle(Input::StandbyChanged(batch)),
                        Err(failure) => {
                            self.standby_changes = None;
                            self.handle(Input::StandbyWatchEnded(failure));
                        }
                    }
                }
                Some(Ok(polled)) = polls.join_next() => self.on_polled(polled, &mut polls),
                _ = tick.tick() => self.handle(Input::Tick),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.reporter.note_contact(&input, self.started.elapsed());
        self.planner.handle(self.started.elapsed(), input);
    }

    fn on_answer(&mut self, answer: Answer<P, S>) {
        match answer {
            Answer::Input(input) => self.handle(input),
            Answer::Committed(input, took) => {
                self.committing = false;
                self.reporter.committed(&input, took);
                self.handle(input);
            }
            Answer::Watch(Ok(stream)) => self.changes = Some(stream),
            Answer::Watch(Err(failure)) => self.handle(Input::WatchEnded(failure)),
            Answer::StandbyWatch(Ok(stream)) => self.standby_changes = Some(stream),
            Answer::StandbyWatch(Err(failure)) => self.handle(Input::StandbyWatchEnded(failure)),
        }
    }

    fn on_lost_task(&mut self, error: &tokio::task::JoinError) {
        if !error.is_cancelled() {
            let failure = Failure::unknown(format!("a request was lost: {error}"));
            self.handle(Input::StandbyWatchEnded(failure));
        }
    }

    fn forget(&mut self) {
        self.requests.abort_all();
        self.requests = JoinSet::new();
        self.changes = None;
        self.standby_changes = None;
        self.committing = false;
    }

    /// Waits for the answer to the transaction that is on its way, if there is one.
    async fn finish_commit(&mut self) {
        let deadline = Instant::now() + GRACE;
        while self.committing {
            match timeout_at(deadline, self.requests.join_next()).await {
                Ok(Some(Ok(Answer::Committed(..)))) | Ok(None) | Err(_) => break,
                Ok(Some(_)) => {}
            }
        }
        self.forget();
    }

    fn report(&mut self, stores: &mut JoinSet<()>) {
        let now = self.started.elapsed();
        if let Some(status) =
            self.reporter.report(self.planner.state(), || self.planner.status(), now)
            && let Some(guard) = self.planner.status_guard()
            && let Some(op) = self.reporter.stored(&self.own, &status, now)
        {
            while stores.try_join_next().is_some() {}
            if stores.is_empty() {
                let standby = self.standby.clone();
                stores.spawn(async move {
                    // Best effort: the next one is due in seconds.
                    let txn = Txn { guard, writes: Vec::new(), own: vec![op] };
                    if let Err(failure) = standby.commit(txn).await {
                        tracing::debug!("the status could not be stored: {failure}");
                    }
                });
            }
        }
    }
}

/// The next batch of a watch; for ever if there is none.
async fn next<S: WatchStream>(
    stream: &mut Option<S>,
) -> Result<etcd_mvcc::Batch<S::Revision>, Failure> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}
