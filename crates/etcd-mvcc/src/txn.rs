//! The only way to write: a transaction under a guard.

use crate::{Key, StandbyRevision, Value};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the key, without a lease.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// Removes the key; no error if it is absent.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Op {
    /// Returns the key that is written.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Returns the bytes of key and value.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

/// What must be true of a key for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key's last write was at this revision.
    ModifiedAt(StandbyRevision),
    /// The key does not exist.
    Absent,
}

/// A write, and what it expects to find. An unmet expectation skips this write alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What to do.
    pub op: Op,
    /// What must be true of the key first; `None` writes whatever is there.
    pub expect: Option<Expect>,
}

impl From<Op> for Write {
    fn from(op: Op) -> Self {
        Self { op, expect: None }
    }
}

/// What must hold for a transaction to happen at all: our own keys as we last saw them.
///
/// A guard that compares the checkpoint's last write fences every other writer and every delayed
/// attempt of our own: whatever landed in between has moved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard(pub Vec<(Key, Expect)>);

/// A transaction: all of it at one standby revision, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// What must hold.
    pub guard: Guard,
    /// Writes to mirrored keys; each key at most once.
    pub writes: Vec<Write>,
    /// Writes to this software's own keys (checkpoint, epoch, ledger); each key at most once.
    pub own: Vec<Op>,
}

impl Txn {
    /// Returns the bytes of all keys and values, an estimate of the request's size from below.
    #[must_use]
    pub fn size(&self) -> usize {
        self.writes.iter().map(|write| write.op.size()).sum::<usize>()
            + self.own.iter().map(Op::size).sum::<usize>()
    }
}

/// What became of a transaction that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The guard held.
    Done(Committed),
    /// The guard did not hold: nothing was written.
    Refused,
}

/// A transaction that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision that it made.
    pub revision: StandbyRevision,
    /// Indices into [`Txn::writes`] whose expectation was not met, ascending.
    pub skipped: Vec<usize>,
}
