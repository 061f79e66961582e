//! Capabilities, not clients: a component is handed exactly the ones that it may use.

use std::fmt;
use std::future::Future;

use crate::{ClusterId, Commit, Entry, Group, Key, KeyRange, Page, PageRequest, Revision, Txn};

/// What the caller should do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// The peer or the network is away or busy: try again, with a pause that grows.
    Retry,
    /// The credentials were not accepted: fetch new ones, try again, then treat it as blocked.
    Reauthenticate,
    /// The revision has left the cluster's history: compare and repair instead.
    Resync,
    /// Somebody must act first (permission, certificate): say so, and keep trying slowly.
    Blocked,
    /// The cluster is out of space and takes no puts until somebody makes room.
    NoSpace,
    /// The cluster has raised its corruption alarm: what it holds can't be trusted.
    Corrupt,
    /// What answers is not an etcd: it has no cluster id, or lacks transactions.
    NotEtcd,
    /// The answer came from another cluster than the one that was asked before.
    OtherCluster,
    /// The request is larger than the server takes: cut it. Nothing was written.
    TooLarge,
    /// The request can never succeed (a defect, or a peer that breaks the protocol).
    Fatal,
}

impl FailureClass {
    /// The word for it in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reauthenticate => "reauthenticate",
            Self::Resync => "resync",
            Self::Blocked => "blocked",
            Self::NoSpace => "no_space",
            Self::Corrupt => "corrupt",
            Self::NotEtcd => "not_etcd",
            Self::OtherCluster => "other_cluster",
            Self::TooLarge => "too_large",
            Self::Fatal => "fatal",
        }
    }
}

/// What a failure says beyond its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureCause {
    /// Nothing that a caller could act on.
    #[default]
    Other,
    /// No answer came in time: a smaller request may be answered.
    TimedOut,
    /// The size of what is too large, in bytes.
    Size(u64),
    /// The most bytes that one request may have.
    SizeMax(u64),
    /// There are too many operations in a transaction.
    Operations {
        /// The most that such a transaction may have, where that is known.
        max: Option<usize>,
    },
}

/// Why a request came to nothing, or may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What to do about it.
    pub class: FailureClass,
    /// For a transaction: it may have happened, or may still happen. `false` for reads.
    pub outcome_unknown: bool,
    /// What else is known of it.
    pub cause: FailureCause,
    /// What failed, for people: endpoint and cause, on one line, without keys' values or secrets.
    pub message: String,
}

impl Failure {
    /// Describes a request that had no effect.
    pub fn new(class: FailureClass, message: impl fmt::Display) -> Self {
        let (outcome_unknown, cause) = (false, FailureCause::Other);
        Self { class, outcome_unknown, cause, message: message.to_string() }
    }

    /// Adds what else is known.
    #[must_use]
    pub fn because(self, cause: FailureCause) -> Self {
        Self { cause, ..self }
    }

    /// Describes a transaction of which nobody knows whether it happened.
    pub fn unknown(message: impl fmt::Display) -> Self {
        Self { outcome_unknown: true, ..Self::new(FailureClass::Retry, message) }
    }
}

/// Who a cluster is and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<R> {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// Its newest revision, agreed on by a quorum.
    pub revision: R,
}

/// How far a cluster's log of consensus (raft) has come, around one linearizable read.
///
/// Within one life of a cluster neither number goes back, and every revision takes at least one
/// entry of the log. A cluster that is restored from a snapshot begins both anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftPosition {
    /// The term of the leader.
    pub term: u64,
    /// Entries that were committed before the read was answered.
    pub index_before: u64,
    /// Entries that were committed once the read was answered.
    pub index_after: u64,
}

/// Where a cluster stands: who it is, how far it has come, and how far its log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<R> {
    /// Id and newest revision.
    pub head: Head<R>,
    /// The log's position; `None` where the cluster does not say (a role that may not ask, a
    /// proxy that hands the questions to different members).
    pub raft: Option<RaftPosition>,
    /// How large the member's database is; `None` where the cluster does not say.
    pub db: Option<DbSize>,
}

/// How large a member's database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DbSize {
    /// What the file takes on disk, in bytes.
    pub bytes: u64,
    /// The member's `--quota-backend-bytes`; `None` before etcd 3.6, which does not say.
    pub quota_bytes: Option<u64>,
}

/// May ask a cluster who it is.
pub trait ReadHead: Send + Sync {
    /// The cluster's kind of revision.
    type Revision: Revision;

    /// Asks for id and newest revision (linearizable).
    ///
    /// # Errors
    ///
    /// Whatever kept the cluster from answering.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn head(&self) -> impl Future<Output = Result<Head<Self::Revision>, Failure>> + Send;

    /// Asks for id, newest revision (linearizable), the position of the log and the database's size.
    ///
    /// # Errors
    ///
    /// Whatever kept the cluster from answering.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn position(&self) -> impl Future<Output = Result<Position<Self::Revision>, Failure>> + Send;

    /// Forgets which cluster is meant: whoever answers next is. From that answer on, an answer of
    /// any kind from another cluster is a failure of the class [`FailureClass::OtherCluster`].
    fn repin(&self);
}

/// May ask which alarms a cluster has raised.
pub trait ReadAlarms: Send + Sync {
    /// Asks for the alarms, by etcd's names (`NOSPACE`, `CORRUPT`), each once. While there is one,
    /// the cluster takes no writes.
    ///
    /// # Errors
    ///
    /// Whatever kept the cluster from answering.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn alarms(&self) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;
}

/// May read ranges of a cluster, at pinned revisions. It has no way to write.
pub trait ReadRange: Send + Sync {
    /// The cluster's kind of revision.
    type Revision: Revision;

    /// Reads the first keys of a range.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Resync`] if the revision asked for is compacted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn read_page(
        &self,
        request: PageRequest<Self::Revision>,
    ) -> impl Future<Output = Result<Page<Self::Revision>, Failure>> + Send;

    /// Reads single keys, in one request at one revision: an entry or `None` for each, in the
    /// order asked. Without a revision, the newest (linearizable).
    ///
    /// # Errors
    ///
    /// [`FailureClass::Resync`] if the revision asked for is compacted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn read_keys(
        &self,
        keys: &[Key],
        at: Option<Self::Revision>,
    ) -> impl Future<Output = Result<Vec<Option<Entry<Self::Revision>>>, Failure>> + Send;
}

/// What a watch has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<R> {
    /// Whole revisions, ascending; possibly none.
    pub groups: Vec<Group<R>>,
    /// Everything in the watched range up to and including this revision has been delivered.
    pub position: R,
}

/// An open watch.
pub trait WatchStream: Send {
    /// The cluster's kind of revision.
    type Revision: Revision;

    /// Waits for the next whole revisions, or for word that there were none.
    ///
    /// Never yields a revision below the one asked for, nor one twice.
    ///
    /// # Errors
    ///
    /// The watch has ended; open another. [`FailureClass::Resync`] if compaction overtook it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that was received is lost.
    fn next(&mut self) -> impl Future<Output = Result<Batch<Self::Revision>, Failure>> + Send;
}

/// May watch ranges of a cluster.
pub trait WatchRange: Send + Sync {
    /// The cluster's kind of revision.
    type Revision: Revision;
    /// What an open watch is.
    type Stream: WatchStream<Revision = Self::Revision> + 'static;

    /// Watches a range from a revision on, that revision included.
    ///
    /// # Errors
    ///
    /// The watch could not be opened. That its start is compacted may also be told by the
    /// stream's first answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the stream, ends the watch.
    fn watch(
        &self,
        range: KeyRange,
        from: Self::Revision,
    ) -> impl Future<Output = Result<Self::Stream, Failure>> + Send;

    /// Turns away from the member that serves watches: the next one is opened over a new
    /// connection, on another member if there is one. Watches that are open stay as they are.
    fn turn_away(&self) {}
}

/// May write to the standby, under a guard only: there is no other way.
pub trait CommitTxn: Send + Sync {
    /// Applies the transaction if its guard holds.
    ///
    /// # Errors
    ///
    /// With [`Failure::outcome_unknown`], it may have happened or may still happen: read the
    /// guarded keys back before anything else. Otherwise nothing was written.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still take effect, at any later time. The guard makes that harmless,
    /// provided that the guarded keys are moved on before the next write is planned.
    fn commit(&self, txn: Txn) -> impl Future<Output = Result<Commit, Failure>> + Send;
}
