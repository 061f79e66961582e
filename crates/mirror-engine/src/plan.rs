//! What a run would do, without doing it.

use std::collections::BTreeMap;

use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, PrimaryRevision, ReadHead, ReadRange,
    SameCluster, Side, StandbyRevision, Walk, WalkLimits, distinct,
};
use keyspace_filter::{Rule, Scope};

use crate::history::{Judgement, ProofError, prove_stored};
use crate::orders::OrderError;
use crate::own_keys::OwnKeys;
use crate::planner::{Found, Ledger, PlanDigest, Survey, Withheld};
use crate::record::{Accounted, Checkpoint, RecordError};
use crate::settings::DeleteFuse;
use crate::tally::{Amount, GroupCount, GroupName, Tally};

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
    /// Keys of the primary by the rule that decides them, in the order in which rules are asked.
    pub by_rule: Vec<(String, GroupCount)>,
    /// Keys of the primary by resource, the largest first. At most 10,000 are told apart.
    pub by_resource: Vec<(GroupName, GroupCount)>,
    /// Keys of the primary by namespace, the largest first. At most 10,000 are told apart.
    pub by_namespace: Vec<(GroupName, GroupCount)>,
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
    /// Whether the primary's history is the one that the checkpoint was taken from: refuted, a run
    /// stops before it writes. `None` where there is no checkpoint.
    pub history: Option<Judgement>,
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
    #[error(transparent)]
    SameCluster(#[from] SameCluster),
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
    let told_apart = distinct(primary, standby, &scope.primary_hull()).await;
    told_apart.map_err(|(side, failure)| match side {
        Side::Primary => PlanError::Primary(failure),
        Side::Standby => PlanError::Standby(failure),
    })??;
    let head = primary.head().await.map_err(PlanError::Primary)?;
    let history = match prove_stored(primary, standby, name, None).await {
        Ok(judgement) => judgement,
        Err(ProofError::Unread { side: Side::Primary, failure }) => {
            return Err(PlanError::Primary(failure));
        }
        Err(ProofError::Unread { side: Side::Standby, failure }) => {
            return Err(PlanError::Standby(failure));
        }
        Err(ProofError::Record(error)) => return Err(OrderError::from(error).into()),
    };
    let stored = crate::orders::read_state(standby, name).await?;
    let (entered, written_at) = (stored.checkpoint.is_some(), stored.written_at);
    let accounted = accounted(stored.checkpoint, written_at);
    let mut ledger =
        load_ledger(standby, name, accounted, None).await.map_err(PlanError::Standby)?;
    let mut survey = Survey::new(scope, WalkLimits::default(), head.cluster, !entered)
        .replacing(written_at)
        .in_full(scope, show);
    let own = OwnKeys::new(name);
    let mut counts = Counts::new(scope);
    while !survey.advance(&mut ledger, &own, |_| false) {
        if let Some(request) = survey.comparison.want_primary() {
            match primary.read_page(request).await {
                Ok(page) => {
                    counts.count(&page.entries);
                    survey.comparison.primary_page(page);
                }
                Err(failure) if survey.comparison.primary_failed(&failure) => {}
                Err(failure) => return Err(PlanError::Primary(failure)),
            }
        }
        if let Some(request) = survey.comparison.want_standby(true) {
            match standby.read_page(request).await {
                Ok(page) => survey.comparison.standby_page(page),
                Err(failure) if survey.comparison.standby_failed(&failure) => {}
                Err(failure) => return Err(PlanError::Standby(failure)),
            }
        }
    }
    let Found { missed, stale, foreign, different, .. } = survey.found;
    let revision = survey.comparison.pins().map_or(head.revision, |pins| pins.last);
    Ok(PlanReport {
        primary: head.cluster,
        revision,
        keys: survey.comparison.keys_read,
        bytes: survey.comparison.bytes_read,
        keys_out: counts.keys_out,
        by_rule: counts.rules(),
        by_resource: counts.by_resource.largest_first(),
        by_namespace: counts.by_namespace.largest_first(),
        missed,
        different,
        deletes: stale,
        deletes_shown: std::mem::take(&mut survey.shown),
        foreign,
        needs_accept: fuse.blows(stale, survey.found.standby_keys()),
        digest: survey.digest(),
        history,
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
    while let Some(page) = walk.next_page(standby, at).await? {
        for entry in &page.entries {
            ledger.load(&own, entry);
        }
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
    while let Some(page) =
        walk.next_page(standby, Some(at)).await.map_err(WithheldError::Standby)?
    {
        for entry in &page.entries {
            if let Some(key) = own.withheld_key(&entry.key) {
                withheld.load(key, &entry.value).map_err(WithheldError::Record)?;
            }
        }
    }
    Ok(withheld)
}

/// Counts the primary's keys as they are read.
struct Counts<'a> {
    scope: &'a Scope,
    by_rule: BTreeMap<usize, GroupCount>,
    by_resource: Tally,
    by_namespace: Tally,
    keys_out: u64,
}

impl<'a> Counts<'a> {
    fn new(scope: &'a Scope) -> Self {
        Self {
            scope,
            by_rule: BTreeMap::new(),
            by_resource: Tally::default(),
            by_namespace: Tally::default(),
            keys_out: 0,
        }
    }

    fn count(&mut self, entries: &[Entry<PrimaryRevision>]) {
        for entry in entries {
            let key = entry.key.as_bytes();
            let decision = self.scope.decide(key);
            let shape = self.scope.grammar().parse(key);
            let amount = Amount { keys: 1, bytes: (key.len() + entry.value.len()) as u64 };
            let admitted = decision.admitted;
            self.by_rule.entry(decision.rule.index()).or_default().add(admitted, amount);
            self.by_resource.by_resource(&shape, admitted, amount);
            self.by_namespace.by_namespace(&shape, admitted, amount);
            self.keys_out += u64::from(!admitted);
        }
    }

    /// The rules that decided over a key, in the order in which they are asked.
    fn rules(&self) -> Vec<(String, GroupCount)> {
        let counted = |rule: &Rule| Some((rule.to_string(), *self.by_rule.get(&rule.index())?));
        self.scope.rules().filter_map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Revision as _, Value};
    use keyspace_filter::ScopeSpec;

    use super::*;

    fn entry(key: &str) -> Entry<PrimaryRevision> {
        Entry {
            key: Key::from(key),
            value: Value::from("12345"),
            created: PrimaryRevision::new(1),
            modified: PrimaryRevision::new(1),
            version: 1,
            lease: 0,
        }
    }

    #[test]
    fn a_key_is_counted_by_its_rule_its_resource_and_its_namespace() {
        let scope = Scope::compile(ScopeSpec::default()).unwrap();
        let mut counts = Counts::new(&scope);
        let keys =
            ["/registry/secrets/team/s", "/registry/secrets/default/s", "/registry/g.io/p/n"];
        counts.count(&keys.map(entry));
        let rules = counts.rules();
        assert_eq!(rules.len(), 2);
        let (own, rest) = (&rules[0], &rules[1]);
        assert!(own.0.contains("a cluster's own namespaces") && own.1.local.keys == 1);
        assert!(rest.0.contains("every other Kubernetes object") && rest.1.in_scope.keys == 2);
        let bytes: usize = keys.iter().map(|key| key.len() + 5).sum();
        assert_eq!(own.1.total().bytes + rest.1.total().bytes, bytes as u64);
        assert_eq!(counts.keys_out, 1);
        let secrets = counts.by_resource.largest_first().remove(0);
        assert_eq!((secrets.1.in_scope.keys, secrets.1.local.keys), (1, 1));
        assert_eq!(counts.by_namespace.largest_first().len(), 3);
    }
}
