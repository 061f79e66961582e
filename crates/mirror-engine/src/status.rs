//! What the mirror says of itself: plain values, published on every change.

use std::fmt;
use std::time::Duration;

use etcd_mvcc::{ClusterId, DbSize, Key, PrimaryRevision, StandbyRevision};

use crate::held_back::HeldBack;
use crate::promotion::Promotion;
use crate::repair::RepairRecord;

/// The state of a mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Connecting, reading the checkpoint, proving the history.
    #[default]
    Starting,
    /// Another instance leads.
    Waiting,
    /// Comparing and repairing: a base copy, or a resync.
    Copying,
    /// Applying the primary's changes as they come.
    Following,
    /// Told to stand still.
    Paused,
    /// A guard stopped the mirror; see [`Status::blocked`].
    Blocked,
    /// A newer epoch or a promotion took over; this mirror never writes again.
    Fenced,
}

impl State {
    /// All states, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Waiting,
        Self::Copying,
        Self::Following,
        Self::Paused,
        Self::Blocked,
        Self::Fenced,
    ];

    /// The word for it in status, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Copying => "copying",
            Self::Following => "following",
            Self::Paused => "paused",
            Self::Blocked => "blocked",
            Self::Fenced => "fenced",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which guard stopped the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardKind {
    /// Both ends are the same cluster.
    SameCluster,
    /// The primary has another cluster id than the checkpoint.
    ClusterChanged,
    /// The standby has another cluster id than the checkpoint.
    StandbyChanged,
    /// What answers at one of the two ends is not an etcd.
    NotEtcd,
    /// The primary's history is not the one that the checkpoint was taken from.
    HistoryChanged,
    /// Nothing proves that the primary's history is the one that the checkpoint was taken from.
    HistoryUnproven,
    /// A resync would delete more than the fuse allows.
    TooManyDeletes,
    /// The filter is not the one that the checkpoint was written under.
    ScopeChanged,
    /// The standby refuses writes: no space, or a corruption alarm.
    StandbyAlarm,
    /// A peer refuses the credentials or the permission.
    Denied,
    /// A change does not fit into one request of the standby.
    TooLarge,
    /// The software's own keys on the standby can't be understood.
    CheckpointUnreadable,
    /// Something was found before the first write that must not be.
    Preflight,
    /// A value is encrypted with a key that the standby does not have.
    EncryptionKey,
}

impl GuardKind {
    /// All guards.
    pub const ALL: [Self; 14] = [
        Self::SameCluster,
        Self::ClusterChanged,
        Self::StandbyChanged,
        Self::NotEtcd,
        Self::HistoryChanged,
        Self::HistoryUnproven,
        Self::TooManyDeletes,
        Self::ScopeChanged,
        Self::StandbyAlarm,
        Self::Denied,
        Self::TooLarge,
        Self::CheckpointUnreadable,
        Self::Preflight,
        Self::EncryptionKey,
    ];

    /// The word for it in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameCluster => "same_cluster",
            Self::ClusterChanged => "cluster_changed",
            Self::StandbyChanged => "standby_changed",
            Self::NotEtcd => "not_etcd",
            Self::HistoryChanged => "history_changed",
            Self::HistoryUnproven => "history_unproven",
            Self::TooManyDeletes => "too_many_deletes",
            Self::ScopeChanged => "scope_changed",
            Self::StandbyAlarm => "standby_alarm",
            Self::Denied => "denied",
            Self::TooLarge => "too_large",
            Self::CheckpointUnreadable => "checkpoint_unreadable",
            Self::Preflight => "preflight",
            Self::EncryptionKey => "encryption_key",
        }
    }
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the mirror is blocked, and what releases it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The guard.
    pub guard: GuardKind,
    /// What was found, on one line.
    pub reason: String,
    /// The command that releases it, or what must be mended first.
    pub release: String,
    /// The digest of the plan that an order may accept: it says exactly what would be done. `None`
    /// while it is being worked out, and where no order releases the guard.
    pub digest: Option<String>,
    /// That plan is being worked out.
    pub pending: bool,
    /// The digest of an order that was compared with the plan and is not the same.
    pub refused: Option<String>,
}

impl Blocked {
    /// A guard that no order releases: something outside has to change.
    #[must_use]
    pub const fn until_fixed(guard: GuardKind, reason: String, release: String) -> Self {
        Self { guard, reason, release, digest: None, pending: false, refused: None }
    }
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyProgress {
    /// Keys of the primary that were compared.
    pub keys_read: u64,
    /// Their keys and values, in bytes.
    pub bytes_read: u64,
    /// Keys that were written.
    pub keys_written: u64,
    /// Their keys and values, in bytes.
    pub bytes_written: u64,
    /// Keys that were deleted.
    pub keys_deleted: u64,
    /// How many keys the scope's ranges hold, as the primary counts them; 0 before it is known.
    pub keys_total: u64,
}

/// Counts since the process started; each only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Puts that the watch delivered, in scope.
    pub puts_received: u64,
    /// Deletions that the watch delivered, in scope.
    pub deletes_received: u64,
    /// Changes that the watch delivered, out of scope.
    pub filtered: u64,
    /// Puts that were committed.
    pub puts_applied: u64,
    /// Deletions that were committed.
    pub deletes_applied: u64,
    /// Transactions that were committed.
    pub txns: u64,
    /// Time spent waiting for transactions to commit.
    pub txn_time: Duration,
    /// Transactions whose guard did not hold.
    pub fenced_txns: u64,
    /// How often the watch was opened again, by reason.
    pub watch_restarts: std::collections::BTreeMap<&'static str, u64>,
    /// How often a watch stood still behind a head that moved, by side (`primary`, `standby`).
    pub watch_stalls: std::collections::BTreeMap<&'static str, u64>,
    /// How often a diff had to close a gap, by reason.
    pub resyncs: std::collections::BTreeMap<&'static str, u64>,
    /// Failed requests, by side (`primary`, `standby`) and class.
    pub errors: std::collections::BTreeMap<(&'static str, &'static str), u64>,
    /// Puts by others to keys in scope on the standby.
    pub foreign_puts: u64,
    /// Deletions by others of keys in scope on the standby.
    pub foreign_deletes: u64,
}

/// What others did to the mirror's keys on the standby, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftStatus {
    /// Keys that were put back since the process started.
    pub healed: u64,
    /// Keys that wait to be put back.
    pub waiting: u64,
    /// Keys that the standby refuses: they were put back as often as the limit allows.
    pub refused: u64,
    /// Some of them, at most twenty.
    pub refused_shown: Vec<RefusedKey>,
}

/// A key that something on the standby keeps undoing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key, as the standby spells it.
    pub key: Key,
    /// How often it was put back.
    pub healed: u32,
    /// Who is known to do such a thing.
    pub suspect: String,
}

/// What the mirror knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// What it is doing or waiting for, on one line; empty if there is nothing to add.
    pub reason: String,
    /// Why it is blocked, while it is.
    pub blocked: Option<Blocked>,
    /// The fence number it writes under; 0 before it has one.
    pub epoch: u64,
    /// The primary's id, once known.
    pub primary_cluster: Option<ClusterId>,
    /// The standby's id, once known.
    pub standby_cluster: Option<ClusterId>,
    /// The primary's newest revision, as of the last answer.
    pub primary_revision: PrimaryRevision,
    /// The primary revision up to which the standby equals the primary.
    pub checkpoint: PrimaryRevision,
    /// The checkpoint lies inside a revision too wide for one transaction, or inside a copy.
    pub torn: bool,
    /// The standby's newest revision that the mirror knows of.
    pub standby_revision: StandbyRevision,
    /// The primary's compacted revision, once known.
    pub primary_compacted: Option<PrimaryRevision>,
    /// `primary_revision` less `checkpoint`.
    pub lag_revisions: u64,
    /// Time since the standby was last known to hold everything the primary had; `None` before
    /// that was ever so in this process. It grows while the primary can't be reached.
    pub lag: Option<Duration>,
    /// How long the primary has not answered: since the first poll in a row that failed was sent.
    /// `None` if the last one was answered.
    pub primary_unanswered: Option<Duration>,
    /// The same of the standby.
    pub standby_unanswered: Option<Duration>,
    /// How long the primary's watch has brought nothing although the head is ahead of it. `None` if
    /// it has brought everything up to a head that was asked for since.
    pub primary_watch_behind: Option<Duration>,
    /// The same of the standby's watch.
    pub standby_watch_behind: Option<Duration>,
    /// How large the primary's database is, as of the last answer.
    pub primary_db: Option<DbSize>,
    /// How large the standby's database is, as of the last answer.
    pub standby_db: Option<DbSize>,
    /// Time since the primary last answered; `None` before it ever did.
    pub primary_contact_age: Option<Duration>,
    /// Time since the standby last answered; `None` before it ever did.
    pub standby_contact_age: Option<Duration>,
    /// The copy that is running, or the last one.
    pub copy: CopyProgress,
    /// The repair that is being carried out, or what became of the last one.
    pub last_repair: Option<RepairRecord>,
    /// Who has promoted the standby, while it is.
    pub promotion: Option<Promotion>,
    /// What others did to the mirror's keys on the standby.
    pub drift: DriftStatus,
    /// Keys in scope that are kept off the standby.
    pub held_back: u64,
    /// Some of them, at most twenty, and why.
    pub held_back_shown: Vec<(Key, HeldBack)>,
    /// Keys that are parked until the standby is promoted; looked at every few seconds.
    pub parked: u64,
    /// Counts since the process started.
    pub counters: Counters,
}
