//! `etcd-sync run --once`: bring the standby up to date, and end.

use mirror_engine::{State, Status};
use tokio::sync::watch;

/// Returns once the standby has everything that the primary had when the mirror began to follow,
/// or with the reason why that will not be.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub(crate) async fn done(mut status: watch::Receiver<Status>) -> Option<String> {
    let mut wanted = None;
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
                State::Starting | State::Waiting | State::Copying => {}
            }
        }
        if status.changed().await.is_err() {
            // The mirror has ended, and says why.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{PrimaryRevision, Revision as _};

    use super::*;

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
        let waits = tokio::spawn(done(receiver));
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
            assert!(done(receiver).await.is_some_and(|told| told.contains("why")), "{state}");
        }
    }
}
