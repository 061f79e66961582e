//! Whose keys a file speaks of, and which two files belong together.

use etcd_mvcc::{ClusterId, PrimaryRevision, Side, StandbyRevision};
use keyspace_filter::ScopeHash;

use super::error::CompareError;
use crate::Pins;

/// Whose keys a file speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The name of the mirror.
    pub mirror: String,
    /// Which keys are in scope, and what they are called on the standby.
    pub scope: ScopeHash,
    /// The cluster that was read.
    pub cluster: ClusterId,
    /// Which side it is, and when it was read.
    pub origin: Origin,
}

impl FileHeader {
    /// Returns the side that was read.
    #[must_use]
    pub fn side(&self) -> Side {
        match self.origin {
            Origin::Primary { .. } => Side::Primary,
            Origin::Standby { .. } => Side::Standby,
        }
    }
}

/// A side at one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The cluster that is read by the mirror.
    Primary {
        /// The revision that it was read at.
        at: PrimaryRevision,
    },
    /// The cluster that is written by the mirror.
    Standby {
        /// The revision that it was read at.
        at: StandbyRevision,
        /// What its checkpoint says it equals at this revision; `None` if nothing is known.
        mirrors: Option<Mirrored>,
    },
}

/// A primary at one revision, as a standby's checkpoint names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The primary's cluster.
    pub cluster: ClusterId,
    /// The primary's revision.
    pub revision: PrimaryRevision,
}

/// How much was read; what is out of scope does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTotals {
    /// Keys.
    pub keys: u64,
    /// Bytes of their names, as the standby spells them, and of their values.
    pub bytes: u64,
}

impl FileTotals {
    pub(crate) fn add(&mut self, key_bytes: usize, value_bytes: usize) {
        let bytes = u64::try_from(key_bytes.saturating_add(value_bytes)).unwrap_or(u64::MAX);
        self.keys = self.keys.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Two sides at revisions at which they ought to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedPair {
    /// The name of the mirror.
    pub mirror: String,
    /// Which keys are in scope.
    pub scope: ScopeHash,
    /// The primary's cluster.
    pub primary: ClusterId,
    /// The standby's cluster.
    pub standby: ClusterId,
    /// The revisions.
    pub pins: Pins,
}

impl PinnedPair {
    /// Joins the headers of two files, in either order, if the standby's checkpoint says that both
    /// sides ought to be equal there.
    pub(crate) fn of(left: &FileHeader, right: &FileHeader) -> Result<Self, CompareError> {
        let (primary, at, standby, standby_at, mirrors) = match (left.origin, right.origin) {
            (Origin::Primary { at }, Origin::Standby { at: standby_at, mirrors }) => {
                (left, at, right, standby_at, mirrors)
            }
            (Origin::Standby { at: standby_at, mirrors }, Origin::Primary { at }) => {
                (right, at, left, standby_at, mirrors)
            }
            (Origin::Primary { .. }, Origin::Primary { .. }) => {
                return Err(CompareError::SameSide { side: Side::Primary });
            }
            (Origin::Standby { .. }, Origin::Standby { .. }) => {
                return Err(CompareError::SameSide { side: Side::Standby });
            }
        };
        if primary.scope != standby.scope {
            return Err(CompareError::Scope { primary: primary.scope, standby: standby.scope });
        }
        if primary.mirror != standby.mirror {
            let (primary, standby) = (primary.mirror.clone(), standby.mirror.clone());
            return Err(CompareError::Mirror { primary, standby });
        }
        if primary.cluster == standby.cluster {
            return Err(CompareError::SameCluster { cluster: primary.cluster });
        }
        let Some(mirrors) = mirrors else { return Err(CompareError::NotPinned) };
        if mirrors.cluster != primary.cluster {
            let expected = mirrors.cluster;
            return Err(CompareError::Cluster { expected, found: primary.cluster });
        }
        if mirrors.revision != at {
            return Err(CompareError::Revision { expected: mirrors.revision, found: at });
        }
        Ok(Self {
            mirror: primary.mirror.clone(),
            scope: primary.scope,
            primary: primary.cluster,
            standby: standby.cluster,
            pins: Pins { primary: at, standby: standby_at },
        })
    }
}
