//! `etcd-sync run --once`: bring the standby up to date, and end.

use std::time::Duration;

use mirror_engine::{State, Status};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// What a leader that is alive needs to be heard of, besides its lease.
const LATE_MAX: Duration = Duration::from_secs(2);

/// Returns once the standby has everything that the primary had when the mirror began to follow,
/// or with the reason why that will not be: also if another instance leads for longer than a lease,
/// which only one that is alive can.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub(crate) async fn done(mut status: watch::Receiver<Status>, lease: Duration) -> Option<String> {
    let (mut wanted, mut waits) = (None, None);
    loop {
        {
            let status = status.borrow_and_update();
            match status.state {
                State::Following => {
                    let wanted = *wanted.get_or_insert(status.primary_revision);
                    if status.checkpoint >= wanted && !status.torn {
                        return None;
                    }
                }
                State::Blocked | State::Paused => return Some(status.reason.clone()),
                State::Fenced => return Some(format!("fenced: {}", status.reason)),
                State::Waiting => {
                    waits.get_or_insert_with(|| Instant::now() + lease + LATE_MAX);
                }
                State::Starting | State::Copying => waits = None,
            }
        }
        let changed = match waits {
            Some(until) => timeout_at(until, status.changed()).await,
            None => Ok(status.changed().await),
        };
        match changed {
            Ok(Ok(())) => {}
            // The mirror has ended, and says why.
            Ok(Err(_)) => std::future::pending::<()>().await,
            Err(_) => {
                let leads = status.borrow().reason.clone();
                return Some(format!("another instance mirrors already: {leads}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{PrimaryRevision, Revision as _};

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn following(checkpoint: i64, primary: i64) -> Status {
        Status {
            state: State::Following,
            checkpoint: PrimaryRevision::new(checkpoint),
            primary_revision: PrimaryRevision::new(primary),
            ..Status::default()
        }
    }

    #[tokio::test]
    async fn it_is_done_with_what_the_primary_had_when_the_mirror_began_to_follow() {
        let (sender, receiver) = watch::channel(Status::default());
        let waits = tokio::spawn(done(receiver, LEASE));
        for status in [following(5, 9), following(7, 12), following(9, 15)] {
            tokio::task::yield_now().await;
            sender.send_replace(status);
        }
        assert_eq!(waits.await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_told() {
        for state in [State::Blocked, State::Paused, State::Fenced] {
            let status = Status { state, reason: "why".into(), ..Status::default() };
            let (_sender, receiver) = watch::channel(status);
            assert!(
                done(receiver, LEASE).await.is_some_and(|told| told.contains("why")),
                "{state}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_stays_is_waited_for_as_long_as_its_lease_could_outlive_it() {
        let waiting =
            Status { state: State::Waiting, reason: "x leads".into(), ..Status::default() };
        let (sender, receiver) = watch::channel(waiting.clone());
        let begun = Instant::now();
        let waits = tokio::spawn(done(receiver, LEASE));
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Said again and again, it is the same wait.
            sender.send_replace(waiting.clone());
        }
        assert!(waits.await.unwrap().is_some_and(|told| told.contains("x leads")));
        assert!(begun.elapsed() >= LEASE + LATE_MAX);
        // A leader that goes meanwhile is followed.
        let (sender, receiver) = watch::channel(waiting);
        let waits = tokio::spawn(done(receiver, LEASE));
        tokio::time::sleep(LEASE).await;
        sender.send_replace(following(9, 9));
        assert_eq!(waits.await.unwrap(), None);
    }
}
