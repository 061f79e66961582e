//! Are both ends two clusters, although their ids are equal?
//!
//! etcd makes its id from the members' names, addresses and token: two clusters that were made from
//! one manifest have one id. So an equal id is a suspicion. It is decided by reading alone.

use crate::{
    ClusterId, Entry, Failure, KeyRange, PageRequest, Position, PrimaryRevision, ReadHead,
    ReadRange, Revision, Side, StandbyRevision,
};

/// Keys that are compared.
const KEYS: usize = 200;

/// Both ends are one cluster, or nothing that can be read tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "both ends are the same cluster ({cluster}): same id, same revision ({revision}), same keys. \
     Point --primary-endpoints and --standby-endpoints at two different etcds. If they are two that \
     were made alike, give one an --initial-cluster-token of its own, or run with \
     --assume-distinct-clusters"
)]
pub struct SameCluster {
    /// The id of both.
    pub cluster: ClusterId,
    /// The revision at which nothing told them apart.
    pub revision: i64,
}

/// Tells whether two clusters answer. Reads only; `range` is what may be read of the primary.
///
/// The primary is asked before and after the standby: a single cluster's revision and log position,
/// asked in between, lie in between, and at that revision both ends hold the same keys.
///
/// # Errors
///
/// A side did not answer.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn distinct<P, S>(
    primary: &P,
    standby: &S,
    range: &KeyRange,
) -> Result<Result<(), SameCluster>, (Side, Failure)>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let of_primary = |failure| (Side::Primary, failure);
    let before = primary.position().await.map_err(of_primary)?;
    let between = standby.position().await.map_err(|failure| (Side::Standby, failure))?;
    if before.head.cluster != between.head.cluster {
        return Ok(Ok(()));
    }
    let after = primary.position().await.map_err(of_primary)?;
    if !lies_between(&before, &between, &after) {
        return Ok(Ok(()));
    }
    let revision = between.head.revision.get();
    // What a role may not read, or what is compacted, tells nothing.
    let theirs = primary.read_page(page(range, PrimaryRevision::new(revision))).await;
    let ours = standby.read_page(page(range, StandbyRevision::new(revision))).await;
    if let (Ok(theirs), Ok(ours)) = (theirs, ours)
        && !theirs.entries.iter().map(shape).eq(ours.entries.iter().map(shape))
    {
        return Ok(Ok(()));
    }
    Ok(Err(SameCluster { cluster: before.head.cluster, revision }))
}

fn page<R: Revision>(range: &KeyRange, at: R) -> PageRequest<R> {
    PageRequest { range: range.clone(), at: Some(at), limit: KEYS, keys_only: true }
}

/// What of a key is the same wherever one cluster is asked.
fn shape<R: Revision>(entry: &Entry<R>) -> (&[u8], i64, i64, i64) {
    (entry.key.as_bytes(), entry.created.get(), entry.modified.get(), entry.version)
}

/// Tells whether `between` may be the position of the cluster that was at `before` and, later, at
/// `after`.
fn lies_between(
    before: &Position<PrimaryRevision>,
    between: &Position<StandbyRevision>,
    after: &Position<PrimaryRevision>,
) -> bool {
    let (first, last) = (before.head.revision.get(), after.head.revision.get());
    if !(first..=last).contains(&between.head.revision.get()) {
        return false;
    }
    match (before.raft, between.raft, after.raft) {
        (Some(before), Some(between), Some(after)) => {
            (before.term..=after.term).contains(&between.term)
                && before.index_before <= between.index_after
                && between.index_before <= after.index_after
        }
        (None, _, _) | (_, None, _) | (_, _, None) => true,
    }
}
