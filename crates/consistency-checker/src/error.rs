//! Why a comparison could not be finished.

use etcd_mvcc::{Failure, FailureClass, Key, Side};

use crate::{Cut, Summary};

/// How far a comparison came before a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct Interrupted {
    /// The side whose read failed.
    pub side: Side,
    /// What was compared before, if anything: a new comparison can go on from here.
    pub reached: Option<Cut>,
    /// What was found before. It holds for the keys up to the cut.
    pub so_far: Summary,
    /// What the read ended with.
    pub failure: Failure,
}

/// Why a comparison has no answer. None of these is ever "no differences".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A pinned revision has left its cluster's history: pin anew, and go on from the cut.
    #[error("the {}'s pinned revision was compacted before the comparison ended", name(.0.side))]
    Compacted(#[source] Box<Interrupted>),
    /// A read failed for another reason. The pins may still be good.
    #[error("the {} could not be read", name(.0.side))]
    Unread(#[source] Box<Interrupted>),
    /// A side answered what etcd never answers. Nothing that was compared can be relied on.
    #[error("the {} broke the protocol: {breach}", name(*.side))]
    Broken {
        /// The side.
        side: Side,
        /// What was wrong with its answer.
        breach: Breach,
    },
    /// The mapping does not keep the order of keys, so two streams in order can't be compared.
    #[error("the mapping puts {key} out of order")]
    Unordered {
        /// The key, as the primary spells it.
        key: Key,
    },
}

impl DiffError {
    /// Returns what the caller should do about it.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Compacted(_) => FailureClass::Resync,
            Self::Unread(interrupted) => interrupted.failure.class,
            Self::Broken { .. } | Self::Unordered { .. } => FailureClass::Fatal,
        }
    }

    /// Returns how far the comparison came, if that can be relied on.
    #[must_use]
    pub fn interrupted(&self) -> Option<&Interrupted> {
        match self {
            Self::Compacted(interrupted) | Self::Unread(interrupted) => Some(interrupted),
            Self::Broken { .. } | Self::Unordered { .. } => None,
        }
    }
}

/// What etcd never answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// The page was read at another revision than the one asked for.
    #[error("a page at another revision than the pinned one")]
    Revision,
    /// The page has more keys than were asked for.
    #[error("a page with more keys than its limit")]
    Limit,
    /// A key lies outside the range, is not beyond the one before it, or is newer than the page.
    #[error("a page whose keys are out of order or out of range")]
    Order,
    /// An empty page claims that there is more, or a page's count contradicts it.
    #[error("a page that contradicts itself")]
    Count,
}

pub(crate) fn name(side: Side) -> &'static str {
    match side {
        Side::Primary => "primary",
        Side::Standby => "standby",
    }
}
