//! What a comparison tells.

use etcd_mvcc::{Entry, Key, PrimaryRevision, StandbyRevision};

/// The revisions that are compared with each other, one per cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pins {
    /// The primary's.
    pub primary: PrimaryRevision,
    /// The standby's.
    pub standby: StandbyRevision,
}

/// A key on which the two clusters do not agree, with all that was read of it.
///
/// The primary's entries carry the key as the standby spells it; `source` is the key as the primary
/// does. Values are in there to be copied; neither `Debug` nor anything else here prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The standby lacks the key.
    Missed {
        /// The key as the primary spells it.
        source: Key,
        /// What the primary holds.
        primary: Entry<PrimaryRevision>,
    },
    /// The primary lacks the key.
    Surplus {
        /// What the standby holds.
        standby: Entry<StandbyRevision>,
    },
    /// Both have the key, with different values.
    Different {
        /// The key as the primary spells it.
        source: Key,
        /// What the primary holds.
        primary: Entry<PrimaryRevision>,
        /// What the standby holds.
        standby: Entry<StandbyRevision>,
    },
}

impl Difference {
    /// Returns the key, as the standby spells it.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Missed { primary, .. } | Self::Different { primary, .. } => &primary.key,
            Self::Surplus { standby } => &standby.key,
        }
    }

    /// Returns the word for it: `missed`, `surplus` or `different`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missed { .. } => "missed",
            Self::Surplus { .. } => "surplus",
            Self::Different { .. } => "different",
        }
    }
}

/// What was compared, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The revisions compared.
    pub pins: Pins,
    /// Keys compared: those in scope that at least one side has.
    pub keys: u64,
    /// Bytes of their keys and values, both sides together.
    pub bytes: u64,
    /// Keys that the standby lacks.
    pub missed: u64,
    /// Keys that the primary lacks.
    pub surplus: u64,
    /// Keys with different values.
    pub different: u64,
}

impl Summary {
    pub(crate) fn new(pins: Pins) -> Self {
        Self { pins, keys: 0, bytes: 0, missed: 0, surplus: 0, different: 0 }
    }

    /// Tells whether no difference was found in what was compared.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missed == 0 && self.surplus == 0 && self.different == 0
    }
}

/// How far a comparison has come: everything up to and including these keys has been compared.
///
/// Given to another comparison of the same ranges, that one goes on from there, at whichever pins:
/// every key in scope is then compared exactly once between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last key compared, as the standby spells it.
    pub standby: Key,
    /// The last of the primary's keys compared, as the primary spells it: where to read on.
    pub primary: Option<Key>,
}
