//! What reads and watches return.

use crate::{Key, KeyRange, Revision, Value};

/// A key as one cluster holds it at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<R> {
    /// The key.
    pub key: Key,
    /// The value; empty if keys only were asked for.
    pub value: Value,
    /// The revision at which this life of the key began.
    pub created: R,
    /// The revision of the last write to the key.
    pub modified: R,
    /// How many writes this life of the key has seen, from 1 on.
    pub version: i64,
    /// The lease that the key hangs on; 0 for none.
    pub lease: i64,
}

/// Asks for a part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<R> {
    /// What to read. Bounded ends keep etcd from counting the rest of its index for every page.
    pub range: KeyRange,
    /// The revision to read at; without one, the newest (linearizable).
    pub at: Option<R>,
    /// The most keys to return; at least 1.
    pub limit: usize,
    /// Leave the values out.
    pub keys_only: bool,
}

/// A part of a range, in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<R> {
    /// The keys found, ascending.
    pub entries: Vec<Entry<R>>,
    /// The revision that the page was read at: the one asked for, else the newest.
    pub at: R,
    /// The range holds keys beyond the last entry.
    pub more: bool,
    /// How many keys the whole range holds, as etcd counted them.
    pub count: u64,
}

/// One write that a watch has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<R> {
    /// The key was written.
    Put(Entry<R>),
    /// The key was deleted at this revision.
    Delete {
        /// The key.
        key: Key,
        /// The revision of the deletion.
        modified: R,
    },
}

impl<R: Revision> Change<R> {
    /// Returns the key that changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// Returns the revision of the change.
    pub fn modified(&self) -> R {
        match self {
            Self::Put(entry) => entry.modified,
            Self::Delete { modified, .. } => *modified,
        }
    }

    /// Returns the memory that key and value take, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Put(entry) => entry.key.len() + entry.value.len(),
            Self::Delete { key, .. } => key.len(),
        }
    }
}

/// All changes of one revision within the watched range: a revision whole, never a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<R> {
    /// The revision.
    pub revision: R,
    /// Its changes, each key once.
    pub changes: Vec<Change<R>>,
}

impl<R: Revision> Group<R> {
    /// Returns the memory that keys and values take, in bytes.
    pub fn size(&self) -> usize {
        self.changes.iter().map(Change::size).sum()
    }
}
