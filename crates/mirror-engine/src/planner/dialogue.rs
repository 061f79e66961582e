//! The words between planner and driver: what happened, and what to do.

use std::time::Duration;

use etcd_mvcc::{
    Batch, Committed, Entry, Failure, Head, Key, KeyRange, Page, PageRequest, Position,
    PrimaryRevision, SameCluster, Side, StandbyRevision, Txn,
};

use crate::settings::Preflighted;

/// What both clusters say when a mirror starts, or starts over.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The primary's id, newest revision, and the position of its log.
    pub primary: Position<PrimaryRevision>,
    /// The standby's id and newest revision.
    pub standby: Head<StandbyRevision>,
    /// The stored epoch.
    pub epoch: Option<Entry<StandbyRevision>>,
    /// The stored checkpoint.
    pub checkpoint: Option<Entry<StandbyRevision>>,
    /// The operator's orders.
    pub control: Option<Entry<StandbyRevision>>,
    /// What became of the last repair.
    pub repair: Option<Entry<StandbyRevision>>,
    /// Further witnesses of the history that was mirrored.
    pub history: Option<Entry<StandbyRevision>>,
    /// Both ends may be one cluster: their ids are equal, and nothing told them apart.
    pub same: Option<SameCluster>,
}

/// One of the two clusters, for counting what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The cluster that is read.
    Primary,
    /// The cluster that is written.
    Standby,
}

impl From<Side> for Peer {
    fn from(side: Side) -> Self {
        match side {
            Side::Primary => Self::Primary,
            Side::Standby => Self::Standby,
        }
    }
}

impl Peer {
    /// The word for it in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
        }
    }
}

/// The standby's orders, as they were read at one moment.
#[derive(Clone, Debug)]
pub struct OrdersRead {
    /// The standby's newest revision, asked for before the rest.
    pub head: Head<StandbyRevision>,
    /// The stored epoch.
    pub epoch: Option<Entry<StandbyRevision>>,
    /// The operator's orders.
    pub control: Option<Entry<StandbyRevision>>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// [`Effect::ReadStanding`] is done.
    Standing(Box<Standing>),
    /// [`Effect::ReadStanding`] failed at this cluster.
    StandingFailed(Peer, Failure),
    /// [`Effect::ReadWitnesses`] is done.
    Witnesses(Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>),
    /// [`Effect::Preflight`] is done.
    Preflighted(Result<Preflighted, Failure>),
    /// [`Effect::ReadLedger`] is done.
    LedgerPage(Result<Page<StandbyRevision>, Failure>),
    /// [`Effect::ReadPrimary`] is done.
    PrimaryPage(Result<Page<PrimaryRevision>, Failure>),
    /// [`Effect::ReadStandby`] is done.
    StandbyPage(Result<Page<StandbyRevision>, Failure>),
    /// [`Effect::FetchPrimary`] is done.
    Fetched(Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>),
    /// The watch of [`Effect::Watch`] has delivered.
    Changed(Batch<PrimaryRevision>),
    /// The watch of [`Effect::Watch`] has ended, or could not be opened.
    WatchEnded(Failure),
    /// The watch of [`Effect::WatchStandby`] has delivered.
    StandbyChanged(Batch<StandbyRevision>),
    /// The watch of [`Effect::WatchStandby`] has ended, or could not be opened.
    StandbyWatchEnded(Failure),
    /// The transaction happened.
    Committed(Committed),
    /// The transaction's guard did not hold: nothing was written.
    Refused,
    /// The transaction did not happen, or nobody knows.
    CommitFailed(Failure),
    /// The time of [`Effect::Wait`] is over.
    Waited,
    /// The primary was asked for its head at the time `asked_at`: unasked, about once a second.
    PrimaryHead {
        /// When the question was sent, on the clock of [`Planner::handle`](super::Planner::handle).
        asked_at: Duration,
        /// What came.
        head: Result<Head<PrimaryRevision>, Failure>,
    },
    /// Where the primary stands, its log included: unasked, every few seconds.
    PrimaryPosition(Position<PrimaryRevision>),
    /// Where the standby stands: unasked, every few seconds.
    StandbyPosition(Position<StandbyRevision>),
    /// The standby's orders were read: unasked, about once a second.
    Orders {
        /// When the question was sent, on the clock of [`Planner::handle`](super::Planner::handle).
        asked_at: Duration,
        /// What came.
        answer: Result<OrdersRead, Failure>,
    },
    /// Time has passed: unasked, several times a second.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask both clusters where they stand and the standby for epoch, checkpoint, control, repair and
    /// history record, all linearizable; and if their ids are equal, whether they are two: [`Input::Standing`] or [`Input::StandingFailed`].
    ReadStanding,
    /// Read single keys of the primary: [`Input::Witnesses`].
    ReadWitnesses {
        /// The keys.
        keys: Vec<Key>,
        /// The revision; without one, today's.
        at: Option<PrimaryRevision>,
    },
    /// Look at both sides before the first write: [`Input::Preflighted`].
    Preflight,
    /// Read a page of the ledger, or of what is held back: [`Input::LedgerPage`].
    ReadLedger(PageRequest<StandbyRevision>),
    /// Read a page of the primary: [`Input::PrimaryPage`].
    ReadPrimary(PageRequest<PrimaryRevision>),
    /// Read a page of the standby: [`Input::StandbyPage`].
    ReadStandby(PageRequest<StandbyRevision>),
    /// Read single keys of the primary: [`Input::Fetched`].
    FetchPrimary {
        /// The keys.
        keys: Vec<Key>,
        /// The revision; without one, today's.
        at: Option<PrimaryRevision>,
    },
    /// Watch the primary: [`Input::Changed`] again and again, then [`Input::WatchEnded`].
    Watch {
        /// What to watch.
        range: KeyRange,
        /// The first revision to deliver.
        from: PrimaryRevision,
    },
    /// Give up the primary's watch, which brings nothing, turn to another member, and watch as
    /// [`Effect::Watch`] does.
    Rewatch {
        /// What to watch.
        range: KeyRange,
        /// The first revision to deliver.
        from: PrimaryRevision,
    },
    /// The same for the standby's watch, as [`Effect::WatchStandby`].
    RewatchStandby {
        /// What to watch.
        range: KeyRange,
        /// The first revision to deliver.
        from: StandbyRevision,
    },
    /// Watch the standby: [`Input::StandbyChanged`] again and again, then
    /// [`Input::StandbyWatchEnded`].
    WatchStandby {
        /// What to watch.
        range: KeyRange,
        /// The first revision to deliver.
        from: StandbyRevision,
    },
    /// Write: [`Input::Committed`], [`Input::Refused`] or [`Input::CommitFailed`].
    Commit(Txn),
    /// Let this time pass: [`Input::Waited`].
    Wait(Duration),
    /// Abandon everything outstanding and close the watches. No answer.
    Forget,
    /// There is nothing more to do. No answer.
    End(Ended),
}

/// Why a mirror ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// Both ends are the same cluster, and were so from the start.
    SameCluster(String),
    /// One of both ends is not an etcd, and was none from the start.
    NotEtcd(String),
}
