//! Who of several may lead: whoever's key lives, and it lives as long as its holder is heard of.

use std::future::Future;
use std::time::Duration;

use crate::{Expect, Failure, Key, Value};

/// A lease of the standby's etcd: what is attached to it goes when nobody keeps it alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(i64);

impl LeaseId {
    /// Wraps an id as etcd counts them.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// Returns the id as etcd counts them.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// How a lease stands, as the etcd that keeps it says: both by that etcd's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerm {
    /// How long the lease lives after a keep-alive.
    pub granted: Duration,
    /// How long it still lives.
    pub remaining: Duration,
}

impl LeaseTerm {
    /// Returns how long ago the lease was kept alive, at most. etcd gives every lease its full term
    /// again when another member becomes the leader: then it is as if it had been kept alive.
    #[must_use]
    pub const fn since_kept(&self) -> Duration {
        self.granted.saturating_sub(self.remaining)
    }
}

/// May ask how a lease stands. It has no way to keep one alive or to end one.
pub trait ReadLease: Send + Sync {
    /// Asks how the lease stands; `None` if it has ended.
    ///
    /// # Errors
    ///
    /// The standby did not answer, or refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    fn term(
        &self,
        lease: LeaseId,
    ) -> impl Future<Output = Result<Option<LeaseTerm>, Failure>> + Send;
}

/// May hold a key of this software's own on the standby under a lease.
///
/// Who holds it leads. That is a matter of order, never of safety: a process that sleeps through
/// the end of its lease does not know it, so every write goes under a guard all the same.
pub trait HoldLease: Send + Sync {
    /// Puts `key` under a new lease of `ttl`, if the key is as `over` expects. `None` if it is not.
    ///
    /// # Errors
    ///
    /// The standby did not answer, or refused. The key may be held all the same, for as long as the
    /// lease lasts.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still take effect; its lease then ends by itself.
    fn take(
        &self,
        key: &Key,
        value: &Value,
        over: Expect,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<LeaseId>, Failure>> + Send;

    /// Keeps the lease alive for another term. `false` if it has ended.
    ///
    /// # Errors
    ///
    /// The standby did not answer, or refused: nobody knows whether the lease lives.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still take effect.
    fn keep(&self, lease: LeaseId) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Ends the lease, and with it the key.
    ///
    /// # Errors
    ///
    /// The standby did not answer, or refused: the lease ends by itself.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still take effect.
    fn give_back(&self, lease: LeaseId) -> impl Future<Output = Result<(), Failure>> + Send;
}
