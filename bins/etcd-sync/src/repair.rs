//! `etcd-sync repair` and `etcd-sync resync`: first a plan, then, by its digest, the order.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use consistency_checker::View;
use etcd_link::Standby;
use mirror_audit::{AuditSettings, Auditor, repair_report};
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::freshness::{Age, Observer};
use mirror_engine::orders::{self, Stored};
use mirror_engine::{NotRepairable, RepairDigest, RepairKinds, RepairPlanError};
use monitor_api::{RepairPlanReport, RepairReport, StatusReport};

use crate::cli::Patience;
use crate::orders::block_on;
use crate::outcome::{self, Outcome};
use crate::table;

/// How long a mirror has to carry a repair out, unless told.
const PATIENCE: Duration = Duration::from_secs(600);

/// Shows what a repair of these kinds would do. Writes nothing.
pub(crate) fn plan(config: &Config, kinds: RepairKinds, format: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    // Without a scope no key of the data may be written: a plan only reads.
    let standby = parts::standby(config, None)?;
    let view = View::new(scope);
    let mut settings = AuditSettings::default();
    settings.check.named_max = usize::MAX;
    let auditor = Auditor::new(primary, standby.clone(), view, config.name(), settings);
    auditor.open_with(parts::keyring(config)?.map(Arc::new));
    let plan = block_on(async {
        match auditor.repair_plan(kinds).await {
            Ok(plan) => Ok(plan),
            Err(error) => Err(unplanned(&standby, config.name(), &error).await),
        }
    })?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(outcome) => return outcome.tell(config.name(), format),
    };
    match format {
        Format::Json => output::json(&plan)?,
        Format::Text => output::result(&as_text(&plan))?,
    }
    Ok(if plan.counts.total() == 0 { Exit::Done } else { Exit::Differs })
}

/// Why there is no plan, and what to do: a mirror that is blocked says it best.
async fn unplanned(standby: &Standby, name: &str, error: &RepairPlanError) -> Outcome {
    match error {
        RepairPlanError::NotRepairable(NotRepairable::SameCluster(_)) => {
            let steps = vec!["check --primary-endpoints and --standby-endpoints".to_owned()];
            Outcome::refused(error.to_string(), steps)
        }
        RepairPlanError::CheckpointCompacted(_)
        | RepairPlanError::Compacted
        | RepairPlanError::NotRepairable(_) => match orders::read_state(standby, name).await {
            Ok(stored) if is_blocked(&outcome::said(&stored)) => {
                outcome::blocked(&outcome::said(&stored))
            }
            _ => Outcome::undecided(error.to_string()),
        },
        RepairPlanError::Primary(failure) | RepairPlanError::Standby(failure) => {
            Outcome::of(Failure::unanswered(failure, error))
        }
        RepairPlanError::Record(_) => Outcome::of(Failure::undecided(error)),
    }
}

fn is_blocked(report: &StatusReport) -> bool {
    report.state == "blocked" && report.blocked.is_some()
}

/// Orders the repair with this digest, and waits for what becomes of it.
pub(crate) fn execute(
    config: &Config,
    kinds: RepairKinds,
    accept: &str,
    patience: Patience,
    format: Format,
) -> Result<Exit, Failure> {
    let digest: RepairDigest =
        accept.parse().map_err(|error| Failure::usage(format!("--accept: {error}")))?;
    let standby = parts::standby(config, None)?;
    let (name, limit) = (config.name(), patience.limit(PATIENCE));
    let ordered =
        block_on(outcome::until_interrupted(ordered(&standby, name, kinds, digest, limit)))??;
    let report = match ordered {
        Ok(report) => report,
        Err(outcome) => return outcome.tell(name, format),
    };
    let fields = serde_json::to_value(&report).unwrap_or_default();
    concluded(&report, kinds).tell_with(fields, format, Some(&as_outcome(&report)))
}

async fn ordered(
    standby: &Standby,
    name: &str,
    kinds: RepairKinds,
    digest: RepairDigest,
    limit: Option<Duration>,
) -> Result<RepairReport, Outcome> {
    let look = Observer::default().look(standby, name).await?;
    let report = outcome::said(&look.stored);
    if matches!(look.age, Age::AtMost(_)) && is_blocked(&report) {
        // A repair is looked at while the mirror follows.
        return Err(outcome::blocked(&report));
    }
    let order = orders::order_repair(standby, name, kinds, digest).await?;
    let Some(limit) = limit else {
        return Err(Outcome::done("the order to repair is given"));
    };
    if let Age::Unknown(silence) = look.age {
        let reason = format!(
            "the order was given, but no mirror answers: {silence}; the order stays until one runs"
        );
        return Err(Outcome::undecided(reason));
    }
    let ended = |stored: &Stored, _: &StatusReport| {
        let record = stored.repair.as_ref().filter(|record| record.order == order)?;
        record.outcome.is_final().then(|| repair_report(record))
    };
    outcome::wait(standby, name, limit, ended)
        .await
        .map_err(|stored| Outcome::unanswered(limit, stored.as_ref()))
}

/// How the process ends, and what to do next.
fn concluded(report: &RepairReport, kinds: RepairKinds) -> Outcome {
    let exit = match report.outcome.as_str() {
        "done" if report.skipped == 0 => Exit::Done,
        "done" => Exit::Differs,
        "refused" => Exit::Refused,
        _ => Exit::Undecided,
    };
    let reason = match report.reason.as_str() {
        "" => format!("the repair is {}", report.outcome),
        reason => reason.to_owned(),
    };
    let next = match (&report.found_digest, exit) {
        (Some(found), Exit::Refused) => {
            let kinds: String = match kinds == RepairKinds::default() {
                true => String::new(),
                false => {
                    kinds.to_string().split(", ").map(|kind| format!(" --kind {kind}")).collect()
                }
            };
            format!("etcd-sync repair{kinds} --execute --accept {found}")
        }
        _ => "etcd-sync status".to_owned(),
    };
    Outcome { exit, reason, next_steps: vec![next] }
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

fn as_outcome(report: &RepairReport) -> String {
    let RepairReport { written, planned, skipped, .. } = report;
    let reason = if report.reason.is_empty() { "" } else { ": " };
    let mut text = format!("{}{reason}{}\n", report.outcome, report.reason);
    if report.outcome == "done" {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{} of {} keys repaired: {} written, {} overwritten, {} deleted",
            written.total(),
            planned.total(),
            written.missed,
            written.different,
            written.surplus
        );
    }
    if let (Some(found), "refused") = (&report.found_digest, report.outcome.as_str()) {
        let _ = writeln!(text, "the digest is {found} now: see the plan before you accept it");
    }
    if *skipped > 0 {
        let _ = writeln!(text, "{skipped} keys were written by others meanwhile and left alone");
    }
    text
}
