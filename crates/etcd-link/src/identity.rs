//! Which cluster answers: the first answer says so, and every later one has to say the same.
//!
//! An address is not a cluster. A load balancer may lead one connection here and the next one
//! there, and an address may be given to another cluster while it is in use. etcd writes its
//! cluster's id into the header of every answer, so every answer is held against the id that was
//! seen first.
//!
//! What carries an id, measured on etcd 3.5, 3.6 and 3.7, directly and through `etcd grpc-proxy`:
//!
//! - Ranges, transactions, statuses, leases and tokens always do. Of a transaction only the outer
//!   header does; the answers that are nested in it carry a revision and nothing else.
//! - Watches do, events and progress too, with one exception: the proxy answers the second watch of
//!   a range by itself, and leaves the id of that first answer 0. Such a 0 is let pass, because a
//!   watch is opened only over a connection that has just proven its cluster by a range.
//! - `etcd-client` does not show the header of a lease that was kept. No other cluster has that
//!   lease; one that says so is asked once more, in a way that shows its id.
//!
//! A range or a transaction without an id does not come from an etcd. kine answers so.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use etcd_client::proto::PbResponseHeader;
use etcd_client::{
    AlarmResponse, AuthenticateResponse, GetResponse, LeaseGrantResponse, LeaseRevokeResponse,
    LeaseTimeToLiveResponse, StatusResponse, TxnResponse, WatchResponse,
};
use etcd_mvcc::{ClusterId, FailureClass};
use tonic::Status;

/// What an answer says of where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The id of the cluster; 0 if the answer names none.
    pub(crate) cluster: u64,
    /// Every etcd names its cluster in an answer of this kind.
    pub(crate) always: bool,
    /// Something was written there.
    pub(crate) written: bool,
}

impl Origin {
    pub(crate) fn of(header: Option<&PbResponseHeader>) -> Self {
        let cluster = header.map_or(0, |header| header.cluster_id);
        Self { cluster, always: false, written: false }
    }

    pub(crate) fn always(self) -> Self {
        Self { always: true, ..self }
    }
}

/// An answer that says where it comes from.
pub(crate) trait Identified {
    fn origin(&self) -> Origin;
}

impl Identified for GetResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref()).always()
    }
}

impl Identified for TxnResponse {
    fn origin(&self) -> Origin {
        Origin { written: self.0.succeeded, ..Origin::of(self.0.header.as_ref()).always() }
    }
}

impl Identified for LeaseGrantResponse {
    fn origin(&self) -> Origin {
        Origin { written: true, ..Origin::of(self.0.header.as_ref()) }
    }
}

impl Identified for LeaseRevokeResponse {
    fn origin(&self) -> Origin {
        Origin { written: true, ..Origin::of(self.0.header.as_ref()) }
    }
}

impl Identified for LeaseTimeToLiveResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref())
    }
}

impl Identified for StatusResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref())
    }
}

impl Identified for AlarmResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref())
    }
}

impl Identified for AuthenticateResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref())
    }
}

impl Identified for WatchResponse {
    fn origin(&self) -> Origin {
        Origin::of(self.0.header.as_ref())
    }
}

/// The cluster that is meant.
#[derive(Debug, Default)]
pub(crate) struct Pin {
    /// 0 as long as no cluster has answered.
    meant: AtomicU64,
    /// The first one that was ever meant. After [`Pin::forget`], it is preferred to others among
    /// the endpoints.
    first: AtomicU64,
}

impl Pin {
    pub(crate) fn meant(&self) -> u64 {
        self.meant.load(Ordering::Relaxed)
    }

    /// Forgets which cluster is meant: the next one that answers is.
    pub(crate) fn forget(&self) {
        self.meant.store(0, Ordering::Relaxed);
    }

    /// Holds an answer against the cluster that is meant; if none is, it is this one. With
    /// `others_left`, another endpoint may still answer as the first one that was ever meant.
    pub(crate) fn admit(&self, origin: Origin, others_left: bool) -> Result<(), Stranger> {
        if self.meant() == 0 && origin.cluster != 0 {
            let first = self.first.load(Ordering::Relaxed);
            if others_left && first != 0 && first != origin.cluster {
                return Err(Stranger { origin, meant: first });
            }
            let (relaxed, id) = (Ordering::Relaxed, origin.cluster);
            // Whoever was faster is held against this answer below.
            let _ = self.meant.compare_exchange(0, id, relaxed, relaxed);
            let _ = self.first.compare_exchange(0, id, relaxed, relaxed);
        }
        self.verify(origin)
    }

    /// The same, but an answer to this does not decide which cluster is meant.
    pub(crate) fn verify(&self, origin: Origin) -> Result<(), Stranger> {
        let meant = self.meant();
        match origin.cluster {
            0 if origin.always => Err(Stranger { origin, meant }),
            0 => Ok(()),
            cluster if meant == 0 || meant == cluster => Ok(()),
            _ => Err(Stranger { origin, meant }),
        }
    }
}

/// An answer that does not come from the cluster that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stranger {
    origin: Origin,
    meant: u64,
}

impl Stranger {
    pub(crate) fn class(self) -> FailureClass {
        if self.origin.cluster == 0 { FailureClass::NotEtcd } else { FailureClass::OtherCluster }
    }

    /// Tells whether the request has written something there.
    pub(crate) fn written(self) -> bool {
        self.origin.written
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin.cluster {
            0 => f.write_str(&not_etcd("its answers name no cluster (cluster id 0)")),
            cluster => {
                let (found, meant) = (ClusterId::new(cluster), ClusterId::new(self.meant));
                write!(f, "answered as cluster {found}; cluster {meant} was asked before")
            }
        }
    }
}

impl Error for Stranger {}

impl From<Stranger> for etcd_client::Error {
    fn from(stranger: Stranger) -> Self {
        Status::from_error(Box::new(stranger)).into()
    }
}

/// Says that something is not an etcd, and why.
pub(crate) fn not_etcd(why: &str) -> String {
    format!("not an etcd: {why}; etcd-sync needs an etcd on both ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(cluster: u64) -> Origin {
        Origin { cluster, always: true, written: false }
    }

    #[test]
    fn the_first_answer_decides_and_another_is_named() {
        let pin = Pin::default();
        assert_eq!(pin.admit(from(0xabc), false), Ok(()));
        assert_eq!(pin.admit(from(0xabc), false), Ok(()));
        let stranger = pin.admit(from(0xdef), false).unwrap_err();
        assert_eq!(stranger.class(), FailureClass::OtherCluster);
        assert_eq!(stranger.to_string(), "answered as cluster def; cluster abc was asked before");
        assert_eq!(pin.meant(), 0xabc);
    }

    #[test]
    fn a_range_without_a_cluster_is_not_an_etcds_and_a_watch_may_be() {
        let pin = Pin::default();
        for _ in 0..2 {
            let stranger = pin.admit(from(0), false).unwrap_err();
            assert_eq!(stranger.class(), FailureClass::NotEtcd);
            let said = stranger.to_string();
            assert!(said.starts_with("not an etcd: ") && said.contains("cluster id 0"), "{said}");
            assert_eq!(pin.admit(Origin::default(), false), Ok(()));
            pin.admit(from(1), false).unwrap();
        }
    }

    #[test]
    fn a_pin_that_was_forgotten_prefers_the_first_cluster_among_several_endpoints() {
        let pin = Pin::default();
        pin.admit(from(1), true).unwrap();
        pin.forget();
        assert!(pin.admit(from(2), true).is_err(), "another endpoint may be of cluster 1");
        pin.admit(from(2), false).unwrap();
        assert!(pin.admit(from(1), false).is_err());
        pin.forget();
        pin.admit(from(1), true).unwrap();
    }

    #[test]
    fn a_token_does_not_decide_which_cluster_is_meant() {
        let pin = Pin::default();
        pin.verify(from(2)).unwrap();
        pin.admit(from(1), false).unwrap();
        assert!(pin.verify(from(2)).is_err());
    }
}
