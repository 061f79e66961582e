//! The mirror's decisions: a state machine without I/O, clock or randomness.
//!
//! # Contract with the driver
//!
//! 1. After every [`Planner::handle`], take effects with [`Planner::poll_effect`] until there are
//!    none, and begin them in that order.
//! 2. Every effect but [`Effect::Forget`] and [`Effect::End`] is answered by the inputs that its
//!    documentation names; reads may be answered in any order.
//! 3. [`Effect::Forget`] abandons everything outstanding: no answer to an earlier effect may be
//!    handed in after it. A transaction that was on its way may still happen; the planner
//!    reckons with that.
//! 4. At most one [`Effect::Commit`] is outstanding.
//! 5. `now` is any clock that never goes back; only differences count.
//! 6. While [`Planner::wants_changes`] says no, the primary's watch is not read on.
//!
//! Doubt has one cure: forget everything, read the standby's own keys back, prove the primary's
//! history, claim a new epoch (which fences whatever is still on its way), and go on from what
//! is stored. The path after a crash is the path after a lost reply.

mod batch;
mod comparison;
mod copy;
mod dialogue;
mod flight;
mod follow;
mod heal;
mod held;
mod lag;
mod ledger;
mod order;
mod polls;
mod repair;
mod round;
mod stall;
mod start;
mod survey;
mod withheld;
mod witness;

use std::collections::VecDeque;
use std::time::Duration;

use etcd_mvcc::{
    ClusterId, Entry, Expect, Failure, FailureClass, Guard, PageSizes, PrimaryRevision, Revision,
    StandbyRevision,
};
use keyspace_filter::Scope;

use self::copy::Copying;
pub use self::dialogue::{Effect, Ended, Input, OrdersRead, Peer, Standing};
use self::flight::{InFlight, Then};
use self::follow::Following;
use self::heal::Drift;
pub(crate) use self::held::refusal;
use self::held::{Held, SurveyMemory};
use self::lag::LagMeter;
pub(crate) use self::ledger::Ledger;
pub(crate) use self::order::{Kinds, Parked, release_order, uid_of};
use self::repair::Repairs;
pub(crate) use self::repair::{Difference, RepairSurvey};
use self::stall::WatchMeter;
use self::start::Starting;
pub use self::survey::PlanDigest;
pub(crate) use self::survey::{Found, Survey};
pub(crate) use self::withheld::Withheld;
use crate::control::Control;
use crate::history::WitnessBook;
use crate::own_keys::OwnKeys;
use crate::record::{Checkpoint, Epoch, RaftSeen};
use crate::settings::Settings;
use crate::status::{Blocked, State, Status};

/// The epoch that this process holds.
#[derive(Clone, Copy, Debug)]
struct HeldEpoch {
    number: u64,
    modified: StandbyRevision,
    /// When it was known to be ours: an answer to an earlier question may not know it.
    since: Duration,
}

/// Silence that is worth a word: polls are a second apart. The verdict changes at the same time.
const SILENCE_MIN: Duration = Duration::from_secs(5);

/// Keys that are held back, told by name.
const HELD_BACK_SHOWN: usize = 20;

#[derive(Debug)]
enum Phase {
    Starting(Starting),
    Copying(Box<Copying>),
    Following(Box<Following>),
    Paused,
    Blocked(Box<Held>),
    /// For ever, unless only an order made it so.
    Fenced {
        by_order: bool,
    },
    Ended,
}

/// The mirror's decisions. See the [module](self) for what it asks of its driver.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    scope: Scope,
    own: OwnKeys,
    now: Duration,
    /// The checkpoint when the primary's head was last told, and when that was.
    head_floor: Option<(Duration, PrimaryRevision)>,
    phase: Phase,
    effects: VecDeque<Effect>,
    /// What the epoch key must look like for a write to happen; as last seen.
    epoch_seen: Option<Expect>,
    epoch: Option<HeldEpoch>,
    checkpoint: Option<Checkpoint>,
    checkpoint_modified: Expect,
    in_flight: Option<InFlight>,
    ledger: Ledger,
    withheld: Withheld,
    drift: Drift,
    control: Control,
    repairs: Repairs,
    lag: LagMeter,
    status: Status,
    /// The standby's watch.
    standby_meter: WatchMeter,
    /// Since when neither side's polls are answered.
    primary_unanswered: Option<Duration>,
    /// When the standby's watch last brought something.
    standby_heard: Duration,
    /// When both sides were last asked where they stand.
    asked_at: Duration,
    /// When the orders that are known were asked for.
    orders_read: Duration,
    standby_unanswered: Option<Duration>,
    /// Failures in a row, for the pause that grows.
    failures: u32,
    /// Why the next start must close the gap with a diff.
    resync: Option<&'static str>,
    /// Today's limit of a request, learned from refusals.
    request_bytes: usize,
    /// The largest request that the standby has taken, and the smallest that it has refused.
    bytes_taken: usize,
    bytes_refused: usize,
    /// The most operations of a transaction, learned from refusals.
    request_ops: usize,
    /// What was learned of the size of pages: it outlives every start over.
    page_sizes: PageSizes,
    /// The role allows to watch every key: then each revision of the primary is seen to pass.
    watch_all: bool,
    /// What was found out about the guard that blocks, across rechecks.
    survey_memory: Option<SurveyMemory>,
    first_standing: bool,
    /// The standby that this process wrote to, or was about to.
    met_standby: Option<ClusterId>,
    /// The primary's history was refuted, and nothing has proven it up to the checkpoint since.
    refuted: bool,
    /// Where the primary's log was, in the history that was proven.
    raft: Option<RaftSeen>,
    /// Witnesses of the history, complete up to what is applied.
    book: WitnessBook,
    /// When the book was last stored, and up to which revision.
    book_stored: Option<(Duration, PrimaryRevision)>,
    /// The witnesses that are stored are of a history that was given up.
    book_void: bool,
    /// The standby has compacted changes that were never looked at.
    skip_unseen: bool,
    /// The standby had no room: what frees some goes first, and nothing is written that a later
    /// change has removed.
    out_of_space: bool,
    /// What the last poll that was not answered came to.
    trouble: Option<String>,
    /// A value can't be written: the mirror is blocked until a write has happened.
    write_blocked: bool,
}

impl Planner {
    /// Makes the planner of a mirror.
    #[must_use]
    pub fn new(scope: Scope, settings: Settings) -> Self {
        let request_bytes = settings.txn.request_bytes;
        let own = OwnKeys::new(&settings.name);
        let page_sizes = settings.walk.into();
        Self {
            own,
            settings,
            scope,
            now: Duration::ZERO,
            head_floor: None,
            phase: Phase::Starting(Starting::Reading),
            effects: VecDeque::from([Effect::ReadStanding]),
            epoch_seen: None,
            epoch: None,
            checkpoint: None,
            checkpoint_modified: Expect::Absent,
            in_flight: None,
            ledger: Ledger::default(),
            withheld: Withheld::default(),
            drift: Drift::default(),
            control: Control::default(),
            repairs: Repairs::default(),
            lag: LagMeter::default(),
            status: Status::default(),
            standby_meter: WatchMeter::new(Duration::ZERO),
            primary_unanswered: None,
            standby_heard: Duration::ZERO,
            asked_at: Duration::ZERO,
            orders_read: Duration::ZERO,
            standby_unanswered: None,
            failures: 0,
            resync: None,
            request_bytes,
            bytes_taken: 0,
            bytes_refused: usize::MAX,
            request_ops: usize::MAX,
            page_sizes,
            watch_all: true,
            survey_memory: None,
            first_standing: true,
            met_standby: None,
            refuted: false,
            raft: None,
            book: WitnessBook::default(),
            book_stored: None,
            book_void: false,
            skip_unseen: false,
            out_of_space: false,
            trouble: None,
            write_blocked: false,
        }
    }

    /// Names the standby that an earlier planner of this process has met: another cluster in its
    /// place blocks the mirror.
    #[must_use]
    pub fn having_met(mut self, standby: Option<ClusterId>) -> Self {
        self.met_standby = standby;
        self
    }

    /// Returns the standby that this planner has met.
    #[must_use]
    pub fn met(&self) -> Option<ClusterId> {
        self.met_standby
    }

    /// Returns what to do next, if there is something to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Tells whether the primary's watch should be read on.
    #[must_use]
    pub fn wants_changes(&self) -> bool {
        let Phase::Following(following) = &self.phase else { return true };
        following.has_room(self.settings.backlog_bytes)
    }

    /// Tells whether another process has taken the epoch: this one never writes again.
    #[must_use]
    pub fn is_deposed(&self) -> bool {
        matches!(self.phase, Phase::Fenced { by_order: false })
    }

    /// Returns the state of the mirror.
    #[must_use]
    pub fn state(&self) -> State {
        self.status.state
    }

    /// Returns what the mirror says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.status.clone();
        status.lag = self.lag.lag(self.now);
        status.last_repair = self.repairs.last();
        status.promotion = self.control.promotion.clone();
        status.drift = self.drift.status();
        status.held_back = self.withheld.len();
        status.held_back_shown = self.withheld.first(HELD_BACK_SHOWN);
        status.epoch = self.epoch.map_or(status.epoch, |epoch| epoch.number);
        if let Some(checkpoint) = &self.checkpoint {
            status.checkpoint = checkpoint.revision;
            status.torn = !checkpoint.is_whole();
        }
        let silent = |since: Option<Duration>| since.map(|since| self.now.saturating_sub(since));
        status.primary_unanswered = silent(self.primary_unanswered);
        status.standby_unanswered = silent(self.standby_unanswered);
        if let Phase::Following(following) = &self.phase {
            status.primary_watch_behind = following.meter.behind(self.now);
            status.standby_watch_behind = self.standby_meter.behind(self.now);
        }
        if status.state == State::Following && status.reason.is_empty() {
            status.reason = self.silence(&status).unwrap_or_default();
        }
        // What was written is known to be there, whenever the head was last asked for.
        status.primary_revision = status.primary_revision.max(status.checkpoint);
        let level = self.level().unwrap_or(status.checkpoint);
        status.lag_revisions = status.primary_revision.ahead_of(level);
        status
    }

    /// What a mirror that follows has not heard of for too long, in words.
    fn silence(&self, status: &Status) -> Option<String> {
        let trouble = self.trouble.as_deref().unwrap_or("no answer");
        let long = |silent: Option<Duration>| silent.filter(|silent| *silent >= SILENCE_MIN);
        let seconds = |silent: Duration| silent.as_secs();
        if let Some(silent) = long(status.primary_unanswered) {
            return Some(format!(
                "the primary has not answered for {} s: {trouble}",
                seconds(silent)
            ));
        }
        if let Some(silent) = long(status.standby_unanswered) {
            return Some(format!(
                "the standby has not answered for {} s: {trouble}",
                seconds(silent)
            ));
        }
        let behind = |side: &str, silent| {
            format!(
                "the {side}'s watch has brought nothing for {} s although the {side} is ahead of it",
                seconds(silent)
            )
        };
        long(status.primary_watch_behind)
            .map(|silent| behind("primary", silent))
            .or_else(|| long(status.standby_watch_behind).map(|silent| behind("standby", silent)))
    }

    /// Returns the guard under which the status may be stored: the epoch as last seen.
    #[must_use]
    pub fn status_guard(&self) -> Option<Guard> {
        let expect =
            self.epoch.map(|epoch| Expect::ModifiedAt(epoch.modified)).or(self.epoch_seen)?;
        Some(Guard(vec![(self.own.epoch.clone(), expect)]))
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Duration, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Standing(standing) => self.on_standing(*standing),
            Input::StandingFailed(peer, failure) => self.on_failure(peer, &failure),
            Input::Witnesses(answer) => self.on_witnesses(answer),
            Input::Preflighted(found) => self.on_preflighted(found),
            Input::LedgerPage(page) => self.on_ledger_page(page),
            Input::PrimaryPage(page) => self.on_primary_page(page),
            Input::StandbyPage(page) => self.on_standby_page(page),
            Input::Fetched(answer) => self.on_any_fetched(answer),
            Input::Changed(batch) => self.on_changed(batch),
            Input::WatchEnded(failure) => self.on_watch_ended(&failure),
            Input::StandbyChanged(batch) => self.on_standby_changed(&batch),
            Input::StandbyWatchEnded(failure) => self.on_standby_watch_ended(&failure),
            Input::Committed(committed) => self.on_committed(&committed),
            Input::Refused => self.on_refused(),
            Input::CommitFailed(failure) => self.on_commit_failed(&failure),
            Input::Waited => self.on_waited(),
            Input::PrimaryHead { asked_at, head } => self.on_primary_head(asked_at, head),
            Input::PrimaryPosition(position) => self.on_primary_position(&position),
            Input::StandbyPosition(position) => self.on_standby_position(&position),
            Input::Orders { asked_at, answer } => self.on_orders(asked_at, answer),
            Input::Tick => self.on_tick(),
        }
        self.pump();
    }

    fn on_any_fetched(&mut self, answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>) {
        match &self.phase {
            Phase::Copying(_) => self.on_fetched(answer),
            Phase::Following(following) if following.healing.is_some() => {
                self.on_heals_fetched(answer);
            }
            Phase::Following(_) => self.on_mends_fetched(answer),
            Phase::Starting(_)
            | Phase::Paused
            | Phase::Blocked(_)
            | Phase::Fenced { .. }
            | Phase::Ended => {}
        }
    }

    /// Does whatever the phase can do by now.
    fn pump(&mut self) {
        match self.phase {
            Phase::Copying(_) => self.pump_copy(),
            Phase::Following(_) => self.pump_follow(),
            Phase::Blocked(_) => self.pump_held(),
            Phase::Starting(_) | Phase::Paused | Phase::Fenced { .. } | Phase::Ended => {}
        }
    }

    /// A request came to nothing: count it, say it, and start over, or wait for help.
    fn on_failure(&mut self, peer: Peer, failure: &Failure) {
        self.count_error(peer, failure);
        self.out_of_space |= peer == Peer::Standby && failure.class == FailureClass::NoSpace;
        match failure.class {
            FailureClass::Blocked
            | FailureClass::NoSpace
            | FailureClass::Corrupt
            | FailureClass::NotEtcd
            | FailureClass::OtherCluster => {
                let Blocked { guard, reason, .. } = refusal(peer, failure);
                self.hold_until_mended(guard, reason);
            }
            FailureClass::Retry
            | FailureClass::Reauthenticate
            | FailureClass::Resync
            | FailureClass::TooLarge
            | FailureClass::Fatal => self.start_over(&failure.message),
        }
    }

    fn count_error(&mut self, peer: Peer, failure: &Failure) {
        let count = (peer.as_str(), failure.class.as_str());
        *self.status.counters.errors.entry(count).or_default() += 1;
    }

    /// Forgets everything and starts again from what is stored, after a pause that grows.
    fn start_over(&mut self, reason: &str) {
        if matches!(self.phase, Phase::Fenced { .. } | Phase::Ended) {
            return;
        }
        reason.clone_into(&mut self.status.reason);
        let pause = match self.failures {
            0 => Duration::ZERO,
            n => Duration::from_millis(50 << n.min(7)).min(Duration::from_secs(5)),
        };
        self.failures = self.failures.saturating_add(1);
        if !matches!(self.status.state, State::Blocked) {
            self.status.state = State::Starting;
        }
        self.rest(pause);
    }

    fn rest(&mut self, pause: Duration) {
        self.forget();
        self.phase = Phase::Starting(Starting::Resting);
        self.effects.push_back(Effect::Wait(pause));
    }

    fn forget(&mut self) {
        self.effects.clear();
        self.in_flight = None;
        self.head_floor = None;
        self.effects.push_back(Effect::Forget);
    }

    fn fence(&mut self, reason: String, by_order: bool) {
        self.forget();
        self.write_blocked = false;
        self.phase = Phase::Fenced { by_order };
        self.status.state = State::Fenced;
        self.status.reason = reason;
        self.status.blocked = None;
    }

    /// The standby has become a primary: what this mirror held of it is void.
    fn fence_promoted(&mut self) {
        let reason = crate::promotion::fenced_by(self.control.promotion.as_ref());
        self.fence(reason, true);
        // Were it taken back, a new epoch has to be claimed.
        self.epoch = None;
    }

    fn pause(&mut self) {
        self.forget();
        self.write_blocked = false;
        self.phase = Phase::Paused;
        self.status.state = State::Paused;
        "told to stand still; `etcd-sync resume` goes on".clone_into(&mut self.status.reason);
        self.status.blocked = None;
    }

    /// The primary revision up to which the standby is known to hold everything.
    fn level(&self) -> Option<PrimaryRevision> {
        let checkpoint = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.is_whole())?;
        let quiet = self.in_flight.is_none();
        let seen = match &self.phase {
            Phase::Following(following) if quiet => following.level(),
            Phase::Following(_)
            | Phase::Starting(_)
            | Phase::Copying(_)
            | Phase::Paused
            | Phase::Blocked(_)
            | Phase::Fenced { .. }
            | Phase::Ended => None,
        };
        seen.or(Some(checkpoint.revision))
    }
}

impl Planner {
    /// The standby's revision that wrote the checkpoint, if one is stored.
    fn checkpoint_written_at(&self) -> Option<StandbyRevision> {
        match self.checkpoint_modified {
            Expect::ModifiedAt(revision) => Some(revision),
            Expect::Absent => None,
        }
    }
}

fn decode_control(entry: Option<&Entry<StandbyRevision>>) -> Result<Control, crate::RecordError> {
    entry.map_or_else(|| Ok(Control::default()), |entry| Control::decode(&entry.value))
}

fn decode_epoch(
    entry: Option<&Entry<StandbyRevision>>,
) -> Result<Option<Epoch>, crate::RecordError> {
    entry.map(|entry| Epoch::decode(&entry.value)).transpose()
}

/// What a guard's key must look like, as an entry was seen.
fn seen(entry: Option<&Entry<StandbyRevision>>) -> Expect {
    entry.map_or(Expect::Absent, |entry| Expect::ModifiedAt(entry.modified))
}
