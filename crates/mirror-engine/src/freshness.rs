//! How old the stored status is, judged by what etcd keeps.
//!
//! No two clocks are compared: when the mirror's machine says that it wrote the status is for
//! people. There are two signs of life:
//!
//! - The leader key hangs on a lease. While the lease lives, its holder was heard of within its
//!   term, and a holder stores its status every few seconds, unless the standby takes no writes.
//!   A status from before the key was taken is the word of another instance.
//! - The status moves between two looks. Its age is then the time since the last look at which it
//!   had not moved, by the clock of whoever looks.

use std::fmt;
use std::time::Duration;

use etcd_mvcc::{LeaseTerm, ReadAlarms, ReadLease, ReadRange, StandbyRevision};
use tokio::time::{Instant, sleep};

use crate::orders::{OrderError, Stored, read_state};

/// A mirror stores its status this often, and at once when its state changes.
pub(crate) const STORE_EVERY: Duration = Duration::from_secs(5);

/// What a transaction of a healthy standby and a busy process may take more.
const STORE_LATE_MAX: Duration = Duration::from_secs(1);

/// How long a status is watched that nothing else proves to be fresh: one that is alive moves.
const WATCH_FOR: Duration = Duration::from_secs(6);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How old a stored status is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is not older than this.
    AtMost(Duration),
    /// Nothing says so, for this reason.
    Unknown(Silence),
}

/// Why it is not known how old a stored status is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// There is no status.
    NeverSpoke,
    /// No instance holds the leader key, and the status has not moved for this long.
    NoLeader(Duration),
    /// An instance holds the leader key, and the status has not moved for this long.
    Still(Duration),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSpoke => f.write_str("no status is stored"),
            Self::NoLeader(still) => {
                let still = still.as_secs();
                write!(f, "no instance holds the leader key, and no status came for {still} s")
            }
            Self::Still(still) => {
                let still = still.as_secs();
                write!(f, "an instance holds the leader key, but no status came for {still} s")
            }
        }
    }
}

/// What a mirror has stored, and how old its status is.
#[derive(Clone, Debug)]
pub struct Look {
    /// What is stored.
    pub stored: Stored,
    /// How old the status is.
    pub age: Age,
    /// Alarms of the standby: while there is one, it takes no writes, and so no status. Empty
    /// where the standby does not say.
    pub alarms: Vec<String>,
}

/// Looks at a mirror's stored status, and remembers it from one look to the next: a status that
/// stood still before is not watched again.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    sighting: Option<Sighting>,
}

/// A status that was seen.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    written_at: StandbyRevision,
    /// When it was seen first.
    first: Instant,
    /// When it was seen last.
    last: Instant,
}

impl Observer {
    /// Reads what the mirror called `name` has stored, and finds out how old its status is.
    ///
    /// Takes up to six seconds where the leader key's lease does not prove it: the status is
    /// watched for as long as a mirror that is alive needs to store the next one.
    ///
    /// # Errors
    ///
    /// The standby did not answer, or holds records that can't be understood.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment: it only looks.
    pub async fn look<S>(&mut self, standby: &S, name: &str) -> Result<Look, OrderError>
    where
        S: ReadRange<Revision = StandbyRevision> + ReadLease + ReadAlarms,
    {
        // Whoever may not ask for alarms still sees whether the status moves.
        let answer = standby.alarms().await;
        let takes_writes = answer.as_ref().is_ok_and(Vec::is_empty);
        let alarms = answer.unwrap_or_default();
        loop {
            let stored = read_state(standby, name).await?;
            let Some(written_at) = stored.status_written_at else {
                return Ok(Look { stored, age: Age::Unknown(Silence::NeverSpoke), alarms });
            };
            let moved = self.see(written_at);
            let kept = heard(standby, &stored).await.filter(|_| takes_writes);
            let kept = kept.map(|term| term.since_kept() + STORE_EVERY + STORE_LATE_MAX);
            let age = kept.into_iter().chain(moved).min().map(Age::AtMost);
            if let Some(age) = age.or_else(|| self.still(&stored)) {
                return Ok(Look { stored, age, alarms });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Notes the status that was seen; if it has moved, returns how old it is at most.
    fn see(&mut self, written_at: StandbyRevision) -> Option<Duration> {
        let now = Instant::now();
        let before = self.sighting;
        let first = before.filter(|seen| seen.written_at == written_at);
        self.sighting =
            Some(Sighting { written_at, first: first.map_or(now, |seen| seen.first), last: now });
        let moved = before.filter(|seen| seen.written_at != written_at)?;
        // Written after the last look at the one before. If that is long ago, the next one is soon.
        Some(now.saturating_duration_since(moved.last)).filter(|age| *age <= WATCH_FOR)
    }

    /// The status has stood still for long enough.
    fn still(&self, stored: &Stored) -> Option<Age> {
        let seen = self.sighting?;
        let still = seen.last.saturating_duration_since(seen.first);
        let silence = match stored.leader {
            Some(_) => Silence::Still(still),
            None => Silence::NoLeader(still),
        };
        (still >= WATCH_FOR).then_some(Age::Unknown(silence))
    }
}

/// How the lease stands of the instance that leads, if the status is its own word.
async fn heard<S: ReadLease>(standby: &S, stored: &Stored) -> Option<LeaseTerm> {
    let leader = stored.leader?;
    if stored.status_written_at? <= leader.taken_at {
        return None;
    }
    standby.term(leader.lease).await.ok().flatten()
}
