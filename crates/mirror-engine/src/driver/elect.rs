//! Several instances, of which one mirrors at a time: whoever holds the leader's key.
//!
//! The key hangs on a lease of the standby's etcd, so that it goes when its holder does. Only order
//! comes of it. What makes writing safe is the epoch: an instance that sleeps through the end of its
//! lease and wakes up finds every transaction refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etcd_mvcc::{Expect, Failure, FailureClass, HoldLease, LeaseId, Value, distinct};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Left, Mirror, Primary, Standby};
use crate::control::{Control, Desired};
use crate::planner::{Ended, Peer, Planner, refusal};
use crate::promotion::{Promotion, fenced_by};
use crate::record::Epoch;
use crate::status::{State, Status};

/// How often an instance that waits looks whether the leader is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long giving the leadership back may take when the process ends.
const GRACE: Duration = Duration::from_secs(2);

/// Tells from what a leader wrote whether that process is known to be gone.
pub type IsGone = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// Tells from what a leader wrote who it is, for people.
pub type NameOf = Arc<dyn Fn(&Value) -> String + Send + Sync>;

/// How the instances of a mirror find out which of them leads.
#[derive(Clone)]
pub struct Election {
    /// How long the leader's key outlives the last word from its holder. Default 15 s: a takeover
    /// takes at most that, and a pause of the process or the network that is shorter costs nothing.
    pub ttl: Duration,
    /// What the leader's key holds: who this process is, readable.
    pub holder: Value,
    /// Spares the wait for a holder that is known to be gone, as after a crash and a restart in
    /// place. Default: of nobody that is known.
    pub is_gone: IsGone,
    /// Names a holder for people. Default: what it wrote, as it is.
    pub name_of: NameOf,
}

impl Default for Election {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(15),
            holder: Value::default(),
            is_gone: Arc::new(|_| false),
            name_of: Arc::new(|holder| String::from_utf8_lossy(holder.expose()).into_owned()),
        }
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl<P: Primary, S: Standby + HoldLease> Mirror<P, S> {
    /// Mirrors whenever this instance leads, until it is told to stop: as [`Mirror::run`], with
    /// [`State::Waiting`] while another instance leads. An instance whose epoch was taken is
    /// [`State::Fenced`] until it leads again. Told to stop, it hands the leadership back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as good as a crash: another instance leads when the lease has ended.
    pub async fn run_elected(mut self, election: Election, stop: CancellationToken) -> Ended {
        if let Some(ended) = self.meet_both(&stop).await {
            return ended;
        }
        let mut led = None;
        loop {
            let Some(lease) = self.campaign(&election, led.take(), &stop).await else {
                return Ended::Stopped;
            };
            tracing::info!(owner = %self.settings.owner, "Acquired leader lease");
            let term = stop.child_token();
            let left = {
                let kept = keep(self.standby.clone(), lease, election.ttl);
                let ends = term.clone();
                let keeper = tokio::spawn(async move {
                    kept.await;
                    ends.cancel();
                });
                let left = self.work(&term, true).await;
                keeper.abort();
                left
            };
            match left {
                Left::Deposed if self.still_leads(lease).await => {
                    // Somebody writes who takes no part in elections: do not fight with it.
                    return self.watch_on(&stop).await;
                }
                Left::Deposed => {}
                Left::Ended(Ended::Stopped) if !stop.is_cancelled() => {
                    tracing::warn!("the leader lease has ended; standing by");
                }
                Left::Ended(ended) => {
                    let _ = timeout(GRACE, self.standby.give_back(lease)).await;
                    return ended;
                }
            }
            led = Some(self.planner.status());
            self.forget();
            let met = self.planner.met();
            self.planner = Planner::new(self.scope.clone(), self.settings.clone()).having_met(met);
        }
    }

    /// Waits until both clusters have said who they are: not even a leader's key is written where
    /// both ends may be one, or one of them is not an etcd.
    async fn meet_both(&mut self, stop: &CancellationToken) -> Option<Ended> {
        loop {
            let range = self.scope.primary_hull();
            match distinct(&self.primary, &self.standby, &range).await {
                Ok(Err(same)) if !self.settings.assume_distinct_clusters => {
                    return Some(Ended::SameCluster(same.to_string()));
                }
                Ok(_) => return None,
                Err((side, failure)) if failure.class == FailureClass::NotEtcd => {
                    let side = Peer::from(side).as_str();
                    return Some(Ended::NotEtcd(format!("the {side}: {failure}")));
                }
                Err((side, failure)) => self.say(trouble(side.into(), &failure)),
            }
            if self.told_to_stop(LOOK_EVERY, stop).await {
                return Some(Ended::Stopped);
            }
        }
    }

    fn say(&mut self, status: Status) {
        let now = self.started.elapsed();
        self.reporter.report(status.state, || status, now);
    }

    async fn told_to_stop(&self, pause: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => true,
            () = sleep(pause) => false,
        }
    }

    async fn still_leads(&self, lease: LeaseId) -> bool {
        matches!(self.standby.keep(lease).await, Ok(true))
    }

    /// Stays what it is, fenced, and says so.
    async fn watch_on(&mut self, stop: &CancellationToken) -> Ended {
        match self.work(stop, false).await {
            Left::Ended(ended) => ended,
            Left::Deposed => Ended::Stopped,
        }
    }

    /// Waits until this instance leads; `None` if it is told to stop before.
    async fn campaign(
        &mut self,
        election: &Election,
        led: Option<Status>,
        stop: &CancellationToken,
    ) -> Option<LeaseId> {
        loop {
            let status = match self.try_to_lead(election).await {
                Ok(Attempt::Leads(lease)) => return Some(lease),
                Ok(Attempt::Promoted(promotion)) => promoted(promotion),
                Ok(Attempt::Held { holder, epoch }) => {
                    let holder = (election.name_of)(&holder);
                    match (led.as_ref(), epoch) {
                        // Told by the end of its lease or by a refused transaction, it is the same.
                        (Some(led), Some(taken)) if taken.number > led.epoch => {
                            deposed(&holder, &taken, led)
                        }
                        _ => waiting(&holder),
                    }
                }
                Err(failure) => trouble(Peer::Standby, &failure),
            };
            self.say(status);
            if self.told_to_stop(LOOK_EVERY.min(election.ttl / 3), stop).await {
                return None;
            }
        }
    }

    /// Takes the leader's key if it is free.
    async fn try_to_lead(&self, election: &Election) -> Result<Attempt, Failure> {
        let key = &self.own.leader;
        let keys = [key.clone(), self.own.control.clone(), self.own.epoch.clone()];
        let mut entries = self.standby.read_keys(&keys, None).await?.into_iter();
        let held = entries.next().flatten();
        let over = match &held {
            None => Expect::Absent,
            Some(entry) if (election.is_gone)(&entry.value) => Expect::ModifiedAt(entry.modified),
            Some(entry) => {
                // Whoever leads is fenced too: there is nothing to wait for.
                let control = entries.next().flatten();
                let epoch = entries.next().flatten();
                let control = control.and_then(|entry| Control::decode(&entry.value).ok());
                let promoted = control.filter(|control| control.desired == Desired::Promoted);
                return Ok(match promoted {
                    Some(control) => Attempt::Promoted(control.promotion),
                    None => Attempt::Held {
                        holder: entry.value.clone(),
                        epoch: epoch.and_then(|entry| Epoch::decode(&entry.value).ok()),
                    },
                });
            }
        };
        let taken = self.standby.take(key, &election.holder, over, election.ttl).await?;
        // Whoever was faster says who it is when asked again.
        let faster = || Attempt::Held { holder: Value::default(), epoch: None };
        Ok(taken.map_or_else(faster, Attempt::Leads))
    }
}

/// What came of trying to lead.
enum Attempt {
    /// This instance does.
    Leads(LeaseId),
    /// Another one does.
    Held {
        /// What it wrote of itself.
        holder: Value,
        /// The epoch that is stored.
        epoch: Option<Epoch>,
    },
    /// Another one does, and the standby was promoted.
    Promoted(Option<Promotion>),
}

/// Returns once the lease has ended. While nobody can say whether it has, it counts as held: the
/// epoch, not the lease, keeps a second writer out.
async fn keep<S: HoldLease>(standby: S, lease: LeaseId, ttl: Duration) {
    loop {
        sleep(ttl / 3).await;
        match standby.keep(lease).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(failure) => tracing::debug!("the leader lease could not be kept: {failure}"),
        }
    }
}

fn trouble(peer: Peer, failure: &Failure) -> Status {
    let blocked = match failure.class {
        FailureClass::Blocked
        | FailureClass::NoSpace
        | FailureClass::Corrupt
        | FailureClass::NotEtcd
        | FailureClass::OtherCluster => Some(refusal(peer, failure)),
        FailureClass::Retry
        | FailureClass::Reauthenticate
        | FailureClass::Resync
        | FailureClass::TooLarge
        | FailureClass::Fatal => None,
    };
    Status {
        state: if blocked.is_some() { State::Blocked } else { State::Starting },
        reason: match &blocked {
            Some(blocked) => blocked.reason.clone(),
            None => format!("the {}: {failure}", peer.as_str()),
        },
        blocked,
        ..Status::default()
    }
}

fn promoted(promotion: Option<Promotion>) -> Status {
    let reason = fenced_by(promotion.as_ref());
    Status { state: State::Fenced, reason, promotion, ..Status::default() }
}

fn waiting(holder: &str) -> Status {
    let reason = format!("{}; this instance stands by", leads(holder));
    Status { state: State::Waiting, reason, ..Status::default() }
}

/// This instance has led, and another one has taken the epoch from it.
fn deposed(holder: &str, taken: &Epoch, led: &Status) -> Status {
    let Epoch { number, owner } = taken;
    let reason = format!(
        "epoch {number} was taken by {owner}; {}, and this instance stands by",
        leads(holder)
    );
    Status { state: State::Fenced, reason, blocked: None, ..led.clone() }
}

fn leads(holder: &str) -> String {
    let holder: String = holder.chars().filter(|c| !c.is_control()).collect();
    let holder = if holder.is_empty() { "another instance" } else { &holder };
    format!("{holder} leads")
}
