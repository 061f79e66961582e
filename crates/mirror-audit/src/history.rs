//! Whether the primary still has the history that a checkpoint was taken from.
//!
//! A primary that was wiped, or restored from an older copy, keeps its cluster id, and its
//! revisions may have overtaken the checkpoint since. What differs then is no drift: there is no
//! pair. The checkpoint's witnesses tell.

use consistency_checker::{NotPinned, Pins};
use etcd_mvcc::{FailureClass, Key, PrimaryRevision, ReadHead, ReadRange, Side, StandbyRevision};
use mirror_engine::Witness;

use crate::records::Records;

/// Makes sure that the pair was one: that the primary is still the cluster that the checkpoint
/// names, and still shows its witnesses at its revision.
///
/// # Errors
///
/// It does not, or that could not be read.
pub(crate) async fn prove<P, S>(
    primary: &P,
    standby: &S,
    name: &str,
    pins: Pins,
) -> Result<(), NotPinned>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
{
    let unread = |side| move |failure| NotPinned::Unread { side, failure };
    let record = Records::new(standby, name).at(pins.standby).await;
    let Some((checkpoint, _)) = record.map_err(unread(Side::Standby))? else { return Ok(()) };
    let cluster = primary.head().await.map_err(unread(Side::Primary))?.cluster;
    if cluster != checkpoint.cluster {
        return Err(NotPinned::Undecided(format!(
            "the primary is cluster {cluster}; the checkpoint was taken from cluster {}",
            checkpoint.cluster
        )));
    }
    let keys: Vec<Key> = checkpoint.witnesses.iter().map(|witness| witness.key.clone()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let entries = match primary.read_keys(&keys, Some(pins.primary)).await {
        Ok(entries) => entries,
        // What was compared was there a moment ago; nothing more can be said of it.
        Err(failure) if failure.class == FailureClass::Resync => return Ok(()),
        Err(failure) => return Err(NotPinned::Unread { side: Side::Primary, failure }),
    };
    let seen = entries
        .into_iter()
        .map(|entry| entry.map(|entry| (entry.modified, Some(entry.value.fingerprint()))));
    for (Witness { key, modified, fingerprint, .. }, seen) in checkpoint.witnesses.iter().zip(seen)
    {
        let expected = fingerprint.is_some().then_some((*modified, *fingerprint));
        if seen != expected {
            return Err(NotPinned::Undecided(format!(
                "the primary's history changed: it does not show {key} as it was mirrored \
                 (restored from an older copy?)"
            )));
        }
    }
    Ok(())
}
