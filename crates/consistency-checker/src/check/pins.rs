//! The pair of revisions at which both sides are read.

use std::future::Future;
use std::time::Duration;

use etcd_mvcc::{Failure, Side};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::Pins;

/// How often a newer pair is asked for after the old one was compacted, and how long in between:
/// a mirror that follows writes one within seconds, one that stands still never does.
const RENEWALS: usize = 20;
const RENEWAL_PAUSE: Duration = Duration::from_millis(250);

/// Knows at which revisions both sides ought to be equal.
pub trait PinSource: Send + Sync {
    /// Returns the newest pair of revisions at which both sides ought to be equal.
    ///
    /// # Errors
    ///
    /// There is none, or it could not be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn pin(&self) -> impl Future<Output = Result<Pins, NotPinned>> + Send;
}

/// Why there is no pair to compare at. None of these is ever "no differences".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPinned {
    /// Both sides answered, but nothing says where they ought to be equal.
    #[error("{0}")]
    Undecided(String),
    /// A side could not be read.
    #[error("the {} could not be read: {failure}", crate::error::name(*.side))]
    Unread {
        /// The side.
        side: Side,
        /// What the read ended with.
        failure: Failure,
    },
}

/// The pair of a check under way, renewed for all its parts once compaction has overtaken it.
pub(crate) struct Pinned<'a, N> {
    source: &'a N,
    current: Mutex<Pins>,
}

impl<'a, N: PinSource> Pinned<'a, N> {
    pub(crate) async fn new(source: &'a N) -> Result<Self, NotPinned> {
        let current = Mutex::new(source.pin().await?);
        Ok(Self { source, current })
    }

    pub(crate) async fn current(&self) -> Pins {
        *self.current.lock().await
    }

    /// Returns a pair that is newer than `compacted` on the side whose revision is gone. The first
    /// part to ask fetches it; the others wait and take it over.
    pub(crate) async fn renewed(&self, compacted: Pins, side: Side) -> Result<Pins, NotPinned> {
        let is_newer = |pins: &Pins| match side {
            Side::Primary => pins.primary > compacted.primary,
            Side::Standby => pins.standby > compacted.standby,
        };
        let mut current = self.current.lock().await;
        for attempt in 0..RENEWALS {
            if is_newer(&current) {
                return Ok(*current);
            }
            if attempt > 0 {
                sleep(RENEWAL_PAUSE).await;
            }
            *current = self.source.pin().await?;
        }
        if is_newer(&current) {
            return Ok(*current);
        }
        Err(NotPinned::Undecided(format!(
            "compaction on the {} has overtaken the pinned revision, and there is no newer pair",
            crate::error::name(side)
        )))
    }
}
