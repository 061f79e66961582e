//! The vocabulary of an etcd keyspace.
//!
//! This crate performs no I/O, spawns nothing, reads no clock. It says what a [`Key`], a
//! [`PrimaryRevision`], a [`Group`] of changes and a guarded [`Txn`] are, which capabilities a
//! component may be handed ([`ReadRange`], [`WatchRange`], [`CommitTxn`]), how a large range is
//! walked without hurting the server ([`Walk`]), and how two sorted streams are compared
//! ([`Merge`]). Everything else in the workspace stands on it.
//!
//! Two revisions of two clusters can't be compared: [`PrimaryRevision`] and [`StandbyRevision`]
//! are types of their own, and there is no conversion.
#![forbid(unsafe_code)]

mod capability;
mod distinct;
mod entry;
mod key;
mod lease;
mod merge;
mod range;
mod revision;
mod txn;
mod walk;

pub use capability::{
    Batch, CommitTxn, DbSize, Failure, FailureCause, FailureClass, Head, Position, RaftPosition,
    ReadAlarms, ReadHead, ReadRange, WatchRange, WatchStream,
};
pub use distinct::{SameCluster, distinct};
pub use entry::{Change, Entry, Group, Page, PageRequest};
pub use key::{Key, Value};
pub use lease::{HoldLease, LeaseId, LeaseTerm, ReadLease};
pub use merge::{Merge, Side, Step};
pub use range::{KeyRange, prefix_end};
pub use revision::{ClusterId, PrimaryRevision, Revision, StandbyRevision};
pub use txn::{Commit, Committed, Expect, Guard, Op, Txn, Write};
pub use walk::{PageSize, PageSizes, Walk, WalkLimits};
