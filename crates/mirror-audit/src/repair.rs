//! What a repair would do, with the reason why each key differs.

use std::collections::BTreeMap;

use consistency_checker::Progress;
use etcd_mvcc::{PrimaryRevision, ReadHead, ReadRange, Revision as _, StandbyRevision};
use mirror_engine::{
    RepairCounts, RepairDifference, RepairFinding, RepairKind, RepairKinds, RepairPlan,
    RepairPlanError, RepairRecord, repair_plan,
};
use monitor_api::{
    DifferenceKind, DifferenceReport, RepairCountsReport, RepairPlanReport, RepairReport,
};

use crate::Auditor;

/// Keys of a plan that are named; all are counted, and all are in its digest.
const NAMED_MAX: usize = 100_000;

impl<P, S> Auditor<P, S>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    /// Finds out what a repair of these kinds would do to the whole scope, and why each key
    /// differs. Reads both sides twice; writes nothing.
    ///
    /// # Errors
    ///
    /// See [`RepairPlanError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn repair_plan(
        &self,
        kinds: RepairKinds,
    ) -> Result<RepairPlanReport, RepairPlanError> {
        let mut keys = Vec::new();
        let show = |finding| match finding {
            RepairFinding::StartedOver => keys.clear(),
            RepairFinding::Differs(difference) if keys.len() < NAMED_MAX => keys.push(difference),
            RepairFinding::Differs(_) => {}
        };
        let (primary, standby) = self.sides();
        let (scope, name) = (self.view().scope(), self.name());
        let plan = repair_plan(primary, standby, scope, name, kinds, show).await?;
        let classes = if keys.is_empty() { BTreeMap::new() } else { self.classes().await };
        Ok(report(&plan, &keys, &classes, name))
    }

    /// Why keys differ, by what is written of them.
    async fn classes(&self) -> BTreeMap<String, DifferenceReport> {
        let report = Box::pin(self.at_newest_pair(|| None, &Progress::default())).await;
        let differences = report.found().differences.iter();
        differences.map(|difference| (difference.key.clone(), difference.clone())).collect()
    }
}

fn report(
    plan: &RepairPlan,
    keys: &[RepairDifference],
    classes: &BTreeMap<String, DifferenceReport>,
    name: &str,
) -> RepairPlanReport {
    let counts = counts(plan.counts);
    let kinds: Vec<String> = plan.kinds.to_string().split(", ").map(str::to_owned).collect();
    let (verdict, reason, next_steps) = if counts.total() == 0 {
        ("ok", "there is nothing to repair".to_owned(), Vec::new())
    } else {
        let step = format!("{} --execute --accept {}", command(&kinds), plan.digest);
        let reason = format!(
            "{} keys would be written, {} overwritten, {} deleted",
            counts.missed, counts.different, counts.surplus
        );
        ("action-needed", reason, vec![step])
    };
    RepairPlanReport {
        verdict: verdict.to_owned(),
        reason,
        next_steps,
        mirror: name.to_owned(),
        kinds,
        digest: plan.digest.to_string(),
        primary_cluster_id: plan.primary.to_string(),
        primary_revision: plan.revision.get(),
        standby_revision: plan.standby_revision.get(),
        counts,
        foreign_left: plan.foreign_left,
        keys: keys.iter().map(|key| difference(key, classes)).collect(),
        truncated: u64::try_from(keys.len()).unwrap_or(u64::MAX) < counts.total(),
    }
}

/// The command that plans these kinds.
fn command(kinds: &[String]) -> String {
    // Stale keys are part of what is repaired unless kinds are named.
    if kinds.iter().any(|kind| kind == "stale") {
        return "etcd-sync repair".to_owned();
    }
    kinds
        .iter()
        .fold("etcd-sync repair".to_owned(), |command, kind| format!("{command} --kind {kind}"))
}

fn difference(
    found: &RepairDifference,
    classes: &BTreeMap<String, DifferenceReport>,
) -> DifferenceReport {
    let kind = match found.kind {
        RepairKind::Missed => DifferenceKind::Missed,
        RepairKind::Surplus => DifferenceKind::Surplus,
        RepairKind::Different => DifferenceKind::Different,
    };
    let named = DifferenceReport::new(kind, found.key.as_bytes());
    match classes.get(&named.key).filter(|told| told.kind == kind) {
        Some(told) => told.clone(),
        None => named,
    }
}

fn counts(counts: RepairCounts) -> RepairCountsReport {
    let RepairCounts { missed, different, surplus } = counts;
    RepairCountsReport { missed, different, surplus }
}

/// Puts what became of an order into the words of its report.
#[must_use]
pub fn repair_report(record: &RepairRecord) -> RepairReport {
    RepairReport {
        order: record.order,
        digest: record.digest.to_string(),
        outcome: record.outcome.as_str().to_owned(),
        reason: record.reason.clone(),
        found_digest: record.found.map(|digest| digest.to_string()),
        primary_revision: Some(record.revision.get()).filter(|revision| *revision > 0),
        standby_revision: Some(record.standby_revision.get()).filter(|revision| *revision > 0),
        planned: counts(record.planned),
        written: counts(record.written),
        skipped: record.skipped,
    }
}
