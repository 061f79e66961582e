//! `etcd-sync repair` and `etcd-sync resync`: first a plan, then, by its digest, the order.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use consistency_checker::View;
use etcd_link::Standby;
use mirror_audit::{AuditSettings, Auditor, repair_report};
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::orders::{self, OrderError};
use mirror_engine::{NotRepairable, RepairDigest, RepairKinds, RepairPlanError};
use monitor_api::{RepairPlanReport, RepairReport};

use crate::orders::block_on;
use crate::table;

/// Shows what a repair of these kinds would do. Writes nothing.
pub(crate) fn plan(config: &Config, kinds: RepairKinds, format: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    // Without a scope no key of the data may be written: a plan only reads.
    let standby = parts::standby(config, None)?;
    let view = View::new(scope);
    let mut settings = AuditSettings::default();
    settings.check.named_max = usize::MAX;
    let auditor = Auditor::new(primary, standby, view, config.name(), settings);
    auditor.open_with(parts::keyring(config)?.map(Arc::new));
    let plan = block_on(auditor.repair_plan(kinds))?.map_err(|error| unplanned(&error))?;
    match format {
        Format::Json => output::json(&plan)?,
        Format::Text => output::result(&as_text(&plan))?,
    }
    Ok(if plan.counts.total() == 0 { Exit::Done } else { Exit::Differs })
}

fn unplanned(error: &RepairPlanError) -> Failure {
    match error {
        RepairPlanError::NotRepairable(NotRepairable::SameCluster(_)) => {
            Failure::refused(format!("{error} (check --primary-endpoints and --standby-endpoints)"))
        }
        RepairPlanError::Primary(_)
        | RepairPlanError::Standby(_)
        | RepairPlanError::Record(_)
        | RepairPlanError::NotRepairable(_)
        | RepairPlanError::Compacted => Failure::undecided(error),
    }
}

/// Orders the repair with this digest, and waits for what becomes of it.
pub(crate) fn execute(
    config: &Config,
    kinds: RepairKinds,
    accept: &str,
    wait: Duration,
    format: Format,
) -> Result<Exit, Failure> {
    let digest: RepairDigest =
        accept.parse().map_err(|error| Failure::usage(format!("--accept: {error}")))?;
    let standby = parts::standby(config, None)?;
    let report = block_on(ordered(&standby, config.name(), kinds, digest, wait))??;
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::result(&outcome(&report))?,
    }
    Ok(match report.outcome.as_str() {
        "done" if report.skipped == 0 => Exit::Done,
        "done" => Exit::Differs,
        "refused" => Exit::Refused,
        _ => Exit::Undecided,
    })
}

async fn ordered(
    standby: &Standby,
    name: &str,
    kinds: RepairKinds,
    digest: RepairDigest,
    wait: Duration,
) -> Result<RepairReport, Failure> {
    let order =
        orders::order_repair(standby, name, kinds, digest).await.map_err(|error| match error {
            OrderError::StandsStill
            | OrderError::Promoted
            | OrderError::NotPromoted
            | OrderError::OtherFence(_) => Failure::refused(error),
            OrderError::Standby(_)
            | OrderError::Record(_)
            | OrderError::Raced
            | OrderError::Contended => Failure::undecided(error),
        })?;
    let record = orders::repair_outcome(standby, name, order, wait).await;
    record.map(|record| repair_report(&record)).ok_or_else(|| {
        Failure::undecided(format!(
            "the order is given, and no mirror has carried it out within {}; it still may: \
             `etcd-sync status` shows what becomes of it",
            humantime::format_duration(wait)
        ))
    })
}

fn as_text(plan: &RepairPlanReport) -> String {
    let mut lines = vec![("verdict", format!("{}: {}", plan.verdict, plan.reason))];
    lines.extend(plan.next_steps.iter().map(|step| ("next", step.clone())));
    lines.extend([
        ("kinds", plan.kinds.join(", ")),
        ("primary", format!("{} at revision {}", plan.primary_cluster_id, plan.primary_revision)),
        ("standby", format!("at revision {}", plan.standby_revision)),
        ("missed", format!("{} keys would be written", plan.counts.missed)),
        ("different", format!("{} keys would be overwritten", plan.counts.different)),
        ("surplus", format!("{} keys would be deleted", plan.counts.surplus)),
        ("foreign", format!("{} keys that others made stay", plan.foreign_left)),
        ("digest", plan.digest.clone()),
    ]);
    let mut text = table::aligned(&lines);
    for key in &plan.keys {
        let verb = match key.kind.as_str() {
            "missed" => "write",
            "surplus" => "delete",
            _ => "overwrite",
        };
        // Writing to a string can't fail.
        let _ = writeln!(text, "{verb}\t{}\t{}", key.key, key.class);
    }
    if plan.truncated {
        text.push_str("and more, which are not named\n");
    }
    text
}

fn outcome(report: &RepairReport) -> String {
    let RepairReport { written, planned, skipped, .. } = report;
    let reason = if report.reason.is_empty() { "" } else { ": " };
    let mut text = format!("{}{reason}{}\n", report.outcome, report.reason);
    if report.outcome == "done" {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{} of {} keys mended: {} written, {} overwritten, {} deleted",
            written.total(),
            planned.total(),
            written.missed,
            written.different,
            written.surplus
        );
    }
    if *skipped > 0 {
        let _ = writeln!(text, "{skipped} keys were written by others meanwhile and left alone");
    }
    text
}
