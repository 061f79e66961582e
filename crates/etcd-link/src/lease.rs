//! The leader's key: one key of our own under a lease.

use std::time::Duration;

use etcd_client::{Error, LeaseTimeToLiveResponse, PutOptions, TxnOp};
use etcd_mvcc::{
    Expect, Failure, FailureClass, HoldLease, Key, LeaseId, LeaseTerm, ReadLease, Value,
};

use crate::identity::{Identified, Origin};
use crate::standby::Standby;
use crate::txn::compare;

/// etcd grants nothing shorter.
const TTL_SECONDS_MIN: u64 = 2;

impl HoldLease for Standby {
    async fn take(
        &self,
        key: &Key,
        value: &Value,
        over: Expect,
        ttl: Duration,
    ) -> Result<Option<LeaseId>, Failure> {
        if !self.is_own(key) {
            let refused = format!("not sent: the key {key} is not our own");
            return Err(Failure::new(FailureClass::Fatal, refused));
        }
        let seconds = i64::try_from(ttl.as_secs().max(TTL_SECONDS_MIN)).unwrap_or(i64::MAX);
        let (link, lane) = self.lane();
        let granted = link
            .call(lane, link.writing(1, 0), |mut member| async move {
                member.clients.lease.grant(seconds, None).await
            })
            .await?;
        let lease = LeaseId::new(granted.id());
        let answer = link
            .call(lane, link.writing(1, 0), |mut member| {
                let put = TxnOp::put(
                    key.as_bytes().to_vec(),
                    value.expose().to_vec(),
                    Some(PutOptions::new().with_lease(lease.get())),
                );
                let guard = vec![compare(key.as_bytes().to_vec(), over)];
                let txn = etcd_client::Txn::new().when(guard).and_then(vec![put]);
                async move { member.clients.kv.txn(txn).await }
            })
            .await;
        match answer {
            Ok(answer) if answer.succeeded() => Ok(Some(lease)),
            Ok(_) => {
                // Nothing hangs on it; if this fails it ends by itself.
                let _ = self.give_back(lease).await;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn keep(&self, lease: LeaseId) -> Result<bool, Failure> {
        let (link, lane) = self.lane();
        let kept = link
            .call(lane, link.writing(1, 0), |mut member| async move {
                // Sent once, and answered before it returns; no stream is left open.
                match member.clients.lease.keep_alive(lease.get()).await {
                    Ok(_) => Ok(Kept::Yes),
                    // A lease that has ended, a stream that broke, or another cluster: its etcd
                    // knows which.
                    Err(Error::LeaseKeepAliveError(_)) => {
                        let left = member.clients.lease.time_to_live(lease.get(), None).await?;
                        Ok(Kept::Left(left))
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(match kept {
            Kept::Yes => true,
            Kept::Left(left) => left.ttl() > 0,
        })
    }

    async fn give_back(&self, lease: LeaseId) -> Result<(), Failure> {
        let (link, lane) = self.lane();
        let revoked = link
            .call(lane, link.writing(1, 0), |mut member| async move {
                member.clients.lease.revoke(lease.get()).await
            })
            .await;
        revoked.map(|_| ())
    }
}

impl ReadLease for Standby {
    async fn term(&self, lease: LeaseId) -> Result<Option<LeaseTerm>, Failure> {
        let link = self.link();
        let answer = link
            .call(&link.reads, link.reading(), |mut member| async move {
                member.clients.lease.time_to_live(lease.get(), None).await
            })
            .await?;
        // A lease that has ended has -1 s left.
        let seconds = |seconds: i64| u64::try_from(seconds).ok().map(Duration::from_secs);
        let term = seconds(answer.ttl()).zip(seconds(answer.granted_ttl()));
        Ok(term.map(|(remaining, granted)| LeaseTerm { granted, remaining }))
    }
}

/// What came of keeping a lease.
enum Kept {
    /// It is kept. Only its own cluster knows it.
    Yes,
    /// It was asked for once more.
    Left(LeaseTimeToLiveResponse),
}

impl Identified for Kept {
    fn origin(&self) -> Origin {
        match self {
            Self::Yes => Origin::default(),
            Self::Left(left) => left.origin(),
        }
    }
}
