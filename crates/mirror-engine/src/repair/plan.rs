//! What a repair would do, without doing it.

use etcd_mvcc::{
    ClusterId, Failure, FailureClass, Key, PrimaryRevision, ReadHead, ReadRange, Revision as _,
    SameCluster, Side, StandbyRevision, WalkLimits, distinct,
};
use keyspace_filter::Scope;

use super::digest::RepairDigest;
use super::kinds::{RepairCounts, RepairKind, RepairKinds};
use crate::history::{Judgement, Refutation, prove};
use crate::own_keys::OwnKeys;
use crate::plan::{WithheldError, accounted, load_ledger, load_withheld};
use crate::planner::{Difference, RepairSurvey};
use crate::record::{Checkpoint, Phase, RecordError};

/// What a repair would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairPlan {
    /// The primary.
    pub primary: ClusterId,
    /// The kinds that were asked for.
    pub kinds: RepairKinds,
    /// The primary's revision that was compared: the checkpoint's.
    pub revision: PrimaryRevision,
    /// The standby's revision that was compared: its newest. No write of the mirror lies between
    /// the checkpoint and it.
    pub standby_revision: StandbyRevision,
    /// The standby's revision at which the checkpoint was written.
    pub written_at: StandbyRevision,
    /// Keys of the primary in scope.
    pub keys: u64,
    /// The keys that would be mended, by kind.
    pub counts: RepairCounts,
    /// Those of them that others made on the standby: they would be deleted.
    pub foreign: u64,
    /// Keys that others made on the standby and that stay.
    pub foreign_left: u64,
    /// Names exactly this repair; for [`order_repair`](crate::orders::order_repair).
    pub digest: RepairDigest,
}

/// A key that would be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairDifference {
    /// The key, as the standby spells it.
    pub key: Key,
    /// How it differs.
    pub kind: RepairKind,
    /// A surplus key that somebody else made on the standby.
    pub foreign: bool,
}

/// What a plan finds on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairFinding {
    /// Compaction has overtaken the comparison: it begins anew, and what was shown before is void.
    StartedOver,
    /// A key that would be mended. They come in the standby's order.
    Differs(RepairDifference),
}

/// Why the standby can't be repaired as it is: no pair is pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRepairable {
    /// Both ends are one cluster.
    #[error(transparent)]
    SameCluster(#[from] SameCluster),
    /// No mirror of this name has written to the standby.
    #[error("there is no checkpoint: no mirror of this name has copied anything yet")]
    NoCheckpoint,
    /// The mirror is copying.
    #[error("the mirror is copying: the standby is between two states; wait until it follows")]
    Copying,
    /// A wide revision is partly applied.
    #[error("primary revision {0} is torn: part of it has been applied; try again")]
    Torn(PrimaryRevision),
    /// The checkpoint was written under another filter.
    #[error("the filter is {today}; the checkpoint was written under {checkpoint}")]
    ScopeChanged {
        /// The hash of the checkpoint's filter.
        checkpoint: String,
        /// The hash of the filter that was given.
        today: String,
    },
    /// The primary's history is not the one that was mirrored, or nothing proves that it is.
    #[error("{0}")]
    NotProven(String),
}

/// Why there is no plan.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RepairPlanError {
    /// The primary did not answer, or refused.
    #[error("the primary: {0}")]
    Primary(Failure),
    /// The standby did not answer, or refused.
    #[error("the standby: {0}")]
    Standby(Failure),
    /// The checkpoint can't be understood.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The two sides can't be compared.
    #[error(transparent)]
    NotRepairable(#[from] NotRepairable),
    /// The primary has compacted the revision that the checkpoint names: there is no pair to
    /// compare at before the mirror moves on.
    #[error(
        "the primary has compacted revision {0}, the checkpoint's: there is nothing to compare at \
         until the mirror moves on"
    )]
    CheckpointCompacted(PrimaryRevision),
    /// Compaction overtook the reading again and again.
    #[error("the history was compacted while it was read, again and again; try once more")]
    Compacted,
}

/// A pair, and what the plan needs to know of it.
struct Pinned {
    primary: ClusterId,
    standby_revision: StandbyRevision,
    written_at: StandbyRevision,
    checkpoint: Checkpoint,
}

/// Finds out what a repair of these kinds would do, and shows every key of it to `show`. Reads
/// both sides in full, each at one revision; writes nothing.
///
/// Compared are the primary at the checkpoint's revision and the standby as it is: at its newest
/// revision, in which the checkpoint is read too, so that no write of the mirror lies between. (At
/// the revision that wrote the checkpoint, what was lost since on a quiet standby would not show.)
///
/// # Errors
///
/// See [`RepairPlanError`].
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn repair_plan<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    name: &str,
    kinds: RepairKinds,
    mut show: impl FnMut(RepairFinding) + Send,
) -> Result<RepairPlan, RepairPlanError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    /// Each attempt takes as long as reading both sides; compaction comes every few minutes.
    const ATTEMPTS: usize = 5;

    let mut stuck = None;
    for _ in 0..ATTEMPTS {
        let mut compared = None;
        match attempt(primary, standby, scope, name, kinds, &mut compared, &mut show).await {
            Err(RepairPlanError::Primary(Failure { class: FailureClass::Resync, .. })) => {
                if let Some(revision) = compared.filter(|_| compared == stuck) {
                    return Err(RepairPlanError::CheckpointCompacted(revision));
                }
                stuck = compared;
            }
            Err(RepairPlanError::Standby(Failure { class: FailureClass::Resync, .. })) => {}
            other => return other,
        }
        show(RepairFinding::StartedOver);
    }
    Err(RepairPlanError::Compacted)
}

async fn attempt<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    name: &str,
    kinds: RepairKinds,
    compared: &mut Option<PrimaryRevision>,
    show: &mut (impl FnMut(RepairFinding) + Send),
) -> Result<RepairPlan, RepairPlanError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let Pinned { primary: cluster, standby_revision, written_at, checkpoint } =
        pin(primary, standby, scope, name).await?;
    let revision = checkpoint.revision;
    *compared = Some(revision);
    let accounted = accounted(Some(checkpoint), Some(written_at));
    let ledger = load_ledger(standby, name, accounted, Some(standby_revision))
        .await
        .map_err(RepairPlanError::Standby)?;
    let withheld =
        load_withheld(standby, name, standby_revision).await.map_err(|error| match error {
            WithheldError::Standby(failure) => RepairPlanError::Standby(failure),
            WithheldError::Record(error) => RepairPlanError::Record(error),
        })?;
    let pair = (revision, Some(standby_revision));
    let mut survey = RepairSurvey::new(scope, WalkLimits::default(), cluster, kinds, pair);
    while !survey.advance(&ledger, &withheld, |found| {
        show(RepairFinding::Differs(difference(found)));
    }) {
        if let Some(request) = survey.comparison().want_primary() {
            match primary.read_page(request).await {
                Ok(page) => survey.comparison().primary_page(page),
                Err(failure) if survey.comparison().primary_failed(&failure) => {}
                Err(failure) => return Err(RepairPlanError::Primary(failure)),
            }
        }
        if let Some(request) = survey.comparison().want_standby(true) {
            match standby.read_page(request).await {
                Ok(page) => survey.comparison().standby_page(page),
                Err(failure) if survey.comparison().standby_failed(&failure) => {}
                Err(failure) => return Err(RepairPlanError::Standby(failure)),
            }
        }
    }
    Ok(RepairPlan {
        primary: cluster,
        kinds,
        revision,
        standby_revision,
        written_at,
        keys: survey.comparison().keys_read,
        counts: survey.found,
        foreign: survey.foreign,
        foreign_left: survey.foreign_left(),
        digest: survey.digest(),
    })
}

/// Reads the checkpoint in the standby's newest revision, and judges whether it is a pair.
async fn pin<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    name: &str,
) -> Result<Pinned, RepairPlanError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let here = standby.head().await.map_err(RepairPlanError::Standby)?;
    let keys = [OwnKeys::new(name).checkpoint];
    let entries = standby.read_keys(&keys, Some(here.revision)).await;
    let entry = entries.map_err(RepairPlanError::Standby)?.into_iter().next().flatten();
    // After the checkpoint: a primary that answers later has come at least as far.
    let told_apart = distinct(primary, standby, &scope.primary_hull()).await;
    told_apart
        .map_err(|(side, failure)| match side {
            Side::Primary => RepairPlanError::Primary(failure),
            Side::Standby => RepairPlanError::Standby(failure),
        })?
        .map_err(NotRepairable::from)?;
    let Some(entry) = entry else { return Err(NotRepairable::NoCheckpoint.into()) };
    let checkpoint = Checkpoint::decode(&entry.value)?;
    let today = scope.hash().to_string();
    if checkpoint.scope != today {
        return Err(NotRepairable::ScopeChanged { checkpoint: checkpoint.scope, today }.into());
    }
    match checkpoint.phase {
        Phase::Whole if checkpoint.revision.get() > 0 => {}
        Phase::Whole => return Err(NotRepairable::NoCheckpoint.into()),
        Phase::Torn { revision } => return Err(NotRepairable::Torn(revision).into()),
        Phase::Copying(_) => return Err(NotRepairable::Copying.into()),
    }
    match prove(primary, here.cluster, &checkpoint, None).await.map_err(RepairPlanError::Primary)? {
        Judgement::Proven(_) => {}
        Judgement::Refuted(Refutation { evidence: reason, .. }) | Judgement::Undecided(reason) => {
            return Err(NotRepairable::NotProven(reason).into());
        }
    }
    Ok(Pinned {
        primary: checkpoint.cluster,
        standby_revision: here.revision,
        written_at: entry.modified,
        checkpoint,
    })
}

fn difference(found: &Difference) -> RepairDifference {
    RepairDifference {
        key: found.key().clone(),
        kind: found.kind(),
        foreign: matches!(found, Difference::Surplus { foreign: true, .. }),
    }
}
