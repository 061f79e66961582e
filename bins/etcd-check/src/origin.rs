//! At which revision a side is written down.

use consistency_checker::{PinSource as _, PinnedPair, Pins, RangeFile};
use etcd_link::{Primary, Standby};
use etcd_mvcc::{ClusterId, PrimaryRevision, ReadHead as _};
use keyspace_filter::Scope;
use mirror_audit::{MirrorPins, pair_at};
use mirror_config::Failure;
use mirror_engine::orders;

/// The primary's cluster, and the revision to read: the one asked for, else the one that the ranges
/// were found at, else the newest.
pub(crate) async fn primary(
    primary: &Primary,
    asked: Option<PrimaryRevision>,
    ranges: Option<&RangeFile>,
) -> Result<(ClusterId, PrimaryRevision), Failure> {
    let head = primary
        .head()
        .await
        .map_err(|failure| Failure::unanswered(&failure, format!("the primary: {failure}")))?;
    let found = ranges.map(|ranges| ranges.pair.pins.primary);
    Ok((head.cluster, asked.or(found).unwrap_or(head.revision)))
}

/// A pair of a standby: which primary it mirrors, and at which revisions both ought to be equal.
pub(crate) struct Pair {
    pub(crate) primary: ClusterId,
    pub(crate) pins: Pins,
}

/// The standby's cluster, and the pair to read: that of the revision asked for, else the one that
/// the ranges were found at, else the newest.
pub(crate) async fn standby(
    standby: &Standby,
    name: &str,
    scope: &Scope,
    asked: Option<PrimaryRevision>,
    ranges: Option<&RangeFile>,
) -> Result<(ClusterId, Pair), Failure> {
    let head = standby
        .head()
        .await
        .map_err(|failure| Failure::unanswered(&failure, format!("the standby: {failure}")))?;
    if let (None, Some(RangeFile { pair: PinnedPair { primary, pins, .. }, .. })) = (asked, ranges)
    {
        return Ok((head.cluster, Pair { primary: *primary, pins: *pins }));
    }
    let stored = orders::read_state(standby, name).await.map_err(Failure::undecided)?;
    let Some(checkpoint) = stored.checkpoint else {
        return Err(Failure::undecided(
            "no mirror of this name has written to this standby, so nothing says which state of \
             the primary it ought to equal (check --mirror-name)",
        ));
    };
    let pins = match asked {
        Some(revision) => pair_at(standby, name, revision, head.revision).await,
        None => {
            let identity = (checkpoint.cluster, scope.hash());
            MirrorPins::new(standby, name, identity, || None).pin().await
        }
    };
    let pins = pins.map_err(Failure::undecided)?;
    Ok((head.cluster, Pair { primary: checkpoint.cluster, pins }))
}
