//! What a run would do, without doing it.

use std::collections::BTreeMap;

use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, PrimaryRevision, ReadHead, ReadRange,
    StandbyRevision, Walk, WalkLimits,
};
use keyspace_filter::Scope;

use crate::orders::OrderError;
use crate::own_keys::OwnKeys;
use crate::planner::{Found, Ledger, PlanDigest, Survey, Withheld};
use crate::record::{Accounted, Checkpoint, RecordError};
use crate::settings::DeleteFuse;

/// What a run would do.
#[derive(Clone, Debug)]
pub struct PlanReport {
    /// The primary.
    pub primary: ClusterId,
    /// The primary's revision that was read.
    pub revision: PrimaryRevision,
    /// Keys of the primary in scope.
    pub keys: u64,
    /// Keys and values of the primary in scope, in bytes.
    pub bytes: u64,
    /// Keys of the primary that stay out, within the prefixes that are read.
    pub keys_out: u64,
    /// Keys of the primary by the rule that decides them.
    pub by_rule: BTreeMap<String, RuleCount>,
    /// Keys in scope that the standby lacks.
    pub missed: u64,
    /// Keys in scope that both have, with other values.
    pub different: u64,
    /// Keys that the primary has deleted: a resync would delete them.
    pub deletes: u64,
    /// Some of them, at most as many as were asked for.
    pub deletes_shown: Vec<Key>,
    /// Keys in scope that others made on the standby: they stay.
    pub foreign: u64,
    /// Whether the deletions would have to be accepted.
    pub needs_accept: bool,
    /// Names what exactly would be deleted; for `etcd-sync resync --accept`.
    pub digest: PlanDigest,
}

/// What one rule decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// Keys.
    pub keys: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Whether they are in scope.
    pub admitted: bool,
}

/// Why there is no plan.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// The primary did not answer, or refused.
    #[error("the primary: {0}")]
    Primary(Failure),
    /// The standby did not answer, or refused.
    #[error("the standby: {0}")]
    Standby(Failure),
    /// The checkpoint can't be understood.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Both ends are the same cluster.
    #[error("both ends are the same cluster ({0})")]
    SameCluster(ClusterId),
    /// Compaction overtook the reading again and again.
    #[error("the history was compacted while it was read, again and again; try once more")]
    Compacted,
}

/// Finds out what a run would do. Reads both sides, each at one revision; writes nothing.
///
/// # Errors
///
/// See [`PlanError`].
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn plan<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    name: &str,
    fuse: DeleteFuse,
    show: usize,
) -> Result<PlanReport, PlanError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    /// Each attempt takes as long as reading both sides; compaction comes every few minutes.
    const ATTEMPTS: usize = 5;

    for _ in 0..ATTEMPTS {
        match attempt(primary, standby, scope, name, fuse, show).await {
            Err(
                PlanError::Primary(Failure { class: FailureClass::Resync, .. })
                | PlanError::Standby(Failure { class: FailureClass::Resync, .. }),
            ) => {}
            other => return other,
        }
    }
    Err(PlanError::Compacted)
}

async fn attempt<P, S>(
    primary: &P,
    standby: &S,
    scope: &Scope,
    name: &str,
    fuse: DeleteFuse,
    show: usize,
) -> Result<PlanReport, PlanError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let head = primary.head().await.map_err(PlanError::Primary)?;
    let here = standby.head().await.map_err(PlanError::Standby)?;
    if head.cluster == here.cluster {
        return Err(PlanError::SameCluster(head.cluster));
    }
    let stored = crate::orders::read_state(standby, name).await?;
    let (entered, written_at) = (stored.checkpoint.is_some(), stored.written_at);
    let accounted = accounted(stored.checkpoint, written_at);
    let mut ledger =
        load_ledger(standby, name, accounted, None).await.map_err(PlanError::Standby)?;
    let limits = WalkLimits::default();
    let mut survey = Survey::new(scope, limits, head.cluster, !entered)
        .replacing(written_at)
        .in_full(scope, limits, show);
    let own = OwnKeys::new(name);
    let mut values = Values::new(scope);
    while !survey.advance(&mut ledger, &own) {
        if let Some(request) = survey.comparison.want_primary() {
            let page = primary.read_page(request).await.map_err(PlanError::Primary)?;
            values.count(&page.entries);
            survey.comparison.primary_page(page);
        }
        if let Some(request) = survey.comparison.want_standby(true) {
            let page = standby.read_page(request).await.map_err(PlanError::Standby)?;
            survey.comparison.standby_page(page);
        }
    }
    let Found { missed, stale, foreign, different, .. } = survey.found;
    let revision = survey.comparison.pins().map_or(head.revision, |pins| pins.last);
    Ok(PlanReport {
        primary: head.cluster,
        revision,
        keys: survey.comparison.keys_read,
        bytes: survey.comparison.bytes_read,
        keys_out: values.keys_out,
        by_rule: values.by_rule,
        missed,
        different,
        deletes: stale,
        deletes_shown: std::mem::take(&mut survey.shown),
        foreign,
        needs_accept: fuse.blows(stale, survey.found.standby_keys()),
        digest: survey.digest(),
    })
}

/// What a checkpoint says of who wrote what; the transaction that wrote it was the mirror's too.
pub(crate) fn accounted(
    checkpoint: Option<Checkpoint>,
    written_at: Option<StandbyRevision>,
) -> Accounted {
    let mut accounted =
        checkpoint.map_or_else(Accounted::default, |checkpoint| checkpoint.accounted);
    accounted.ours.extend(written_at);
    accounted
}

/// Reads the ledger, at one revision of the standby or, without one, as it is.
pub(crate) async fn load_ledger<S>(
    standby: &S,
    name: &str,
    accounted: Accounted,
    at: Option<StandbyRevision>,
) -> Result<Ledger, Failure>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let mut ledger = Ledger::new(accounted);
    let own = OwnKeys::new(name);
    let mut walk = Walk::new(&[own.ledger_range()], WalkLimits::default(), true);
    while let Some(request) = walk.request::<StandbyRevision>(at) {
        let page = standby.read_page(request.clone()).await?;
        for entry in &page.entries {
            if let Some(key) = own.ledgered(&entry.key) {
                ledger.load(&key);
            }
        }
        walk.advance(&request, &page);
    }
    Ok(ledger)
}

/// Why it can't be said what is held back.
pub(crate) enum WithheldError {
    Standby(Failure),
    Record(RecordError),
}

/// Reads what is held back, at one revision of the standby.
pub(crate) async fn load_withheld<S>(
    standby: &S,
    name: &str,
    at: StandbyRevision,
) -> Result<Withheld, WithheldError>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let mut withheld = Withheld::default();
    let own = OwnKeys::new(name);
    let mut walk = Walk::new(&[own.withheld_range()], WalkLimits::default(), false);
    while let Some(request) = walk.request(Some(at)) {
        let page = standby.read_page(request.clone()).await.map_err(WithheldError::Standby)?;
        for entry in &page.entries {
            if let Some(key) = own.withheld_key(&entry.key) {
                withheld.load(key, &entry.value).map_err(WithheldError::Record)?;
            }
        }
        walk.advance(&request, &page);
    }
    Ok(withheld)
}

/// Counts what each rule decides.
struct Values<'a> {
    scope: &'a Scope,
    by_rule: BTreeMap<String, RuleCount>,
    keys_out: u64,
}

impl<'a> Values<'a> {
    fn new(scope: &'a Scope) -> Self {
        Self { scope, by_rule: BTreeMap::new(), keys_out: 0 }
    }

    fn count(&mut self, entries: &[Entry<PrimaryRevision>]) {
        for entry in entries {
            let decision = self.scope.decide(entry.key.as_bytes());
            let count = self.by_rule.entry(decision.rule.to_string()).or_default();
            count.keys += 1;
            count.bytes += (entry.key.len() + entry.value.len()) as u64;
            count.admitted = decision.admitted;
            self.keys_out += u64::from(!decision.admitted);
        }
    }
}
