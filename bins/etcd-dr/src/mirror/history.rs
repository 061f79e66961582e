//! What a cluster has written between two of its revisions, and whether it has the history that a
//! checkpoint speaks of.

use std::time::Duration;

use etcd_link::Primary;
use etcd_mvcc::{
    Entry, Failure, FailureClass, Group, Key, KeyRange, PrimaryRevision, ReadRange as _,
    Revision as _, WatchRange as _, WatchStream as _,
};
use mirror_engine::Checkpoint;
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

/// Whether the cluster shows, at the checkpoint's revision, what was mirrored last; `None` if that
/// revision is compacted, and what it holds now does not belie it.
///
/// # Errors
///
/// Whatever kept the cluster from answering.
pub(super) async fn shown(
    cluster: &Primary,
    checkpoint: &Checkpoint,
) -> Result<Option<bool>, Failure> {
    let keys: Vec<Key> = checkpoint.witnesses.iter().map(|witness| witness.key.clone()).collect();
    if keys.is_empty() {
        return Ok(Some(true));
    }
    let seen = |entry: Option<Entry<PrimaryRevision>>| {
        entry.map(|entry| (entry.modified, entry.value.fingerprint()))
    };
    let expected = checkpoint
        .witnesses
        .iter()
        .map(|witness| witness.fingerprint.map(|fingerprint| (witness.modified, fingerprint)));
    match cluster.read_keys(&keys, Some(checkpoint.revision)).await {
        Ok(entries) => return Ok(Some(entries.into_iter().map(seen).eq(expected))),
        Err(failure) if failure.class == FailureClass::Resync => {}
        Err(failure) => return Err(failure),
    }
    // A key's revision only grows, and one revision wrote one value.
    let now = cluster.read_keys(&keys, None).await?.into_iter().map(seen);
    let belied = now.zip(expected).any(|pair| match pair {
        (Some((at, value)), Some((mirrored_at, mirrored))) => {
            at < mirrored_at || at == mirrored_at && value != mirrored
        }
        (None, _) | (_, None) => false,
    });
    Ok(belied.then_some(false))
}
