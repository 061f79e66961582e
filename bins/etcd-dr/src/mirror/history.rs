//! What a cluster has written between two of its revisions.

use std::time::Duration;

use etcd_link::Primary;
use etcd_mvcc::{
    Failure, FailureClass, Group, KeyRange, PrimaryRevision, Revision as _, WatchRange as _,
    WatchStream as _,
};
use tokio::time::timeout;

/// History that exists is sent at once; a member that is silent for so long has lost it.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Hands every revision after `after`, up to and including `until`, to `each`, in order. Keys of
/// all kinds are in them: only so it is certain that a watch comes to its end.
///
/// # Errors
///
/// [`FailureClass::Resync`] if the history is compacted; else whatever kept the cluster from
/// answering.
///
/// # Cancel safety
///
/// Dropping the future ends the watch.
pub(super) async fn replay(
    cluster: &Primary,
    after: PrimaryRevision,
    until: PrimaryRevision,
    mut each: impl FnMut(Group<PrimaryRevision>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if after >= until {
        return Ok(());
    }
    let from = PrimaryRevision::new(after.get() + 1);
    let mut watch = cluster.watch(KeyRange::all(), from).await?;
    loop {
        let Ok(next) = timeout(SILENCE_MAX, watch.next()).await else {
            let limit = SILENCE_MAX.as_secs();
            let silent =
                format!("the history up to revision {until} did not come within {limit} s");
            return Err(Failure::new(FailureClass::Retry, silent));
        };
        let batch = next?;
        for group in batch.groups.into_iter().filter(|group| group.revision <= until) {
            each(group)?;
        }
        if batch.position >= until {
            return Ok(());
        }
    }
}
