//! Reads both sides, each once.

use etcd_mvcc::{
    Entry, Failure, FailureClass, KeyRange, PrimaryRevision, ReadHead, ReadRange, Revision,
    SameCluster, Side, StandbyRevision, Walk, WalkLimits, distinct,
};
use keyspace_filter::Scope;

use crate::report::{Conclusion, PreflightReport, conclude};
use crate::settings::PreflightSettings;
use crate::survey::{Notes, Survey};
use crate::{ranges, revisions, trial, versions};

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PreflightError {
    /// The primary did not answer, or refused.
    #[error("the primary: {0}")]
    Primary(Failure),
    /// The standby did not answer, or refused.
    #[error("the standby: {0}")]
    Standby(Failure),
    /// Both ends are the same cluster.
    #[error(transparent)]
    SameCluster(#[from] SameCluster),
}

/// Finds out what would go wrong if this pair were mirrored. Writes nothing: it can't.
///
/// Reads the primary's keys in scope and the standby's that the mirror would touch, and, where
/// Kubernetes is mirrored, the standby's other objects too, each side at one revision; where
/// compaction overtakes it, the rest at a newer one: a link that is slower than compaction must not
/// keep a mirror from ever starting. A page is in memory at a time; beside
/// it some 30 bytes a key, the keys that both sides have with different uids, and the examples.
///
/// # Errors
///
/// See [`PreflightError`].
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn preflight<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    settings: &PreflightSettings,
) -> Result<PreflightReport, PreflightError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let told_apart = distinct(primary, standby, &scope.primary_hull()).await;
    told_apart.map_err(|(side, failure)| match side {
        Side::Primary => PreflightError::Primary(failure),
        Side::Standby => PreflightError::Standby(failure),
    })??;
    let head = primary.head().await.map_err(PreflightError::Primary)?;
    let here = standby.head().await.map_err(PreflightError::Standby)?;
    let mut survey = Survey::new(scope, settings);
    walk(primary, scope.primary_ranges(), head.revision, |entry| survey.offer(entry))
        .await
        .map_err(PreflightError::Primary)?;
    survey.all_offered();
    let (encryption, keyring) = (&survey.encryption, settings.keyring.as_deref());
    let trial = trial::run(primary, encryption, keyring, settings.shown_max)
        .await
        .map_err(PreflightError::Primary)?;
    let ranges = ranges::standby(scope, survey.kubernetes);
    walk(standby, &ranges, here.revision, |entry| survey.hold(entry))
        .await
        .map_err(PreflightError::Standby)?;
    let keys = survey.keys;
    let notes: Notes = survey.judge(settings);
    let gates = vec![
        notes.owners,
        notes.uid_change,
        notes.encryption_keys,
        trial,
        notes.encryption_prefix,
        notes.hard_local,
        notes.service_addresses,
        versions::judge(&settings.versions, settings.shown_max),
        revisions::judge(
            head.revision.get(),
            here.revision.get(),
            (settings.revision_margin, settings.revision_lift),
        ),
        notes.choices,
        notes.conversion_webhooks,
        notes.uid_swaps,
    ];
    let Conclusion { verdict, reason, next_steps, gates } = conclude(gates, &settings.allow);
    Ok(PreflightReport {
        verdict,
        reason,
        next_steps,
        primary_cluster_id: head.cluster.to_string(),
        primary_revision: head.revision.get(),
        standby_cluster_id: here.cluster.to_string(),
        standby_revision: here.revision.get(),
        keys,
        gates,
    })
}

/// Reads ranges page by page, at a revision; from where that is compacted on, at the newest.
async fn walk<C, R>(
    cluster: &C,
    ranges: &[KeyRange],
    at: R,
    mut take: impl FnMut(&Entry<R>),
) -> Result<(), Failure>
where
    C: ReadRange<Revision = R>,
    R: Revision,
{
    let mut walk = Walk::new(ranges, WalkLimits::default(), false);
    let mut at = Some(at);
    loop {
        let page = match walk.next_page(cluster, at).await {
            Err(failure) if failure.class == FailureClass::Resync && at.is_some() => {
                at = None;
                continue;
            }
            page => page?,
        };
        let Some(page) = page else { return Ok(()) };
        at = Some(page.at);
        page.entries.iter().for_each(&mut take);
    }
}
