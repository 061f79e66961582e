//! Revisions: etcd's logical clock, one type per cluster.

use std::fmt;
use std::hash::Hash;

/// A position in the history of one cluster.
///
/// etcd counts one revision per transaction that changed something, from 1 on. The trait exists so
/// that pages and walks can be written once for both clusters; it does not let a revision of one
/// cluster become a revision of the other.
pub trait Revision:
    Copy + Ord + Hash + fmt::Debug + fmt::Display + Default + Send + Sync + 'static
{
    /// Names the revision that etcd wrote as `raw`.
    fn new(raw: i64) -> Self;

    /// Returns the number as etcd writes it.
    fn get(self) -> i64;

    /// Returns the revision after this one.
    #[must_use]
    fn next(self) -> Self {
        Self::new(self.get().saturating_add(1))
    }

    /// Returns the revision before this one; zero has none before it.
    #[must_use]
    fn previous(self) -> Self {
        Self::new(self.get().saturating_sub(1).max(0))
    }

    /// Returns how many revisions this one is ahead of `earlier`; zero if it is not ahead.
    fn ahead_of(self, earlier: Self) -> u64 {
        u64::try_from(self.get().saturating_sub(earlier.get())).unwrap_or(0)
    }
}

macro_rules! revision {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl Revision for $name {
            fn new(raw: i64) -> Self {
                Self(raw)
            }

            fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

revision! {
    /// A revision of the primary: the etcd that is read.
    PrimaryRevision
}

revision! {
    /// A revision of the standby: the etcd that is written.
    StandbyRevision
}

/// What etcd calls a cluster's id: a hash of its first members' addresses and token.
///
/// It tells two clusters apart, not two histories: a cluster that was wiped, or restored from a
/// snapshot, at the same addresses has the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(u64);

impl ClusterId {
    /// Names the cluster with this id.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the number behind the id.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// In hexadecimal, as `etcdctl endpoint status` and etcd's logs print it.
impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
