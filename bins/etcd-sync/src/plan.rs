//! `etcd-sync plan`: what a run would do, without doing it.

use std::fmt::Write as _;

use etcd_mvcc::Revision as _;
use indicatif::HumanBytes;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::{DeleteFuse, PlanError, PlanReport};
use serde_json::{Value, json};

use crate::{orders, table};

/// The most keys to be deleted that are named.
const DELETES_SHOWN_MAX: usize = 100;

/// Reads both sides and shows what would be copied, changed and deleted.
pub(crate) fn plan(config: &Config, format: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    let standby = parts::standby(config, None)?;
    let (keys, percent) = config.max_deletes();
    let fuse = DeleteFuse { keys, percent };
    let planning =
        mirror_engine::plan(&primary, &standby, &scope, config.name(), fuse, DELETES_SHOWN_MAX);
    let plan = orders::block_on(planning)?.map_err(|error| refused(&error))?;
    match format {
        Format::Json => output::json(&as_json(&plan))?,
        Format::Text => output::result(&as_text(&plan))?,
    }
    Ok(Exit::Done)
}

fn refused(error: &PlanError) -> Failure {
    match error {
        PlanError::SameCluster(_) => {
            Failure::refused(format!("{error} (check --primary-endpoints and --standby-endpoints)"))
        }
        PlanError::Primary(_)
        | PlanError::Standby(_)
        | PlanError::Order(_)
        | PlanError::Compacted => Failure::undecided(error),
    }
}

fn verdict(plan: &PlanReport) -> (&'static str, &'static str, Vec<String>) {
    if plan.needs_accept {
        let accept = format!("etcd-sync resync --accept {}", plan.digest);
        return ("action-needed", "a run would delete more than the guard allows", vec![accept]);
    }
    let steps = vec!["etcd-sync run".to_owned()];
    if plan.missed + plan.different + plan.deletes == 0 {
        ("ok", "the standby holds what the primary holds", steps)
    } else {
        ("ok", "a run would make the standby equal", steps)
    }
}

fn as_json(plan: &PlanReport) -> Value {
    let (verdict, reason, next_steps) = verdict(plan);
    let rules: Vec<Value> = plan
        .by_rule
        .iter()
        .map(|(rule, count)| {
            json!({
                "rule": rule,
                "admitted": count.admitted,
                "keys": count.keys,
                "bytes": count.bytes,
            })
        })
        .collect();
    json!({
        "verdict": verdict,
        "reason": reason,
        "next_steps": next_steps,
        "primary_cluster_id": plan.primary.to_string(),
        "primary_revision": plan.revision.get(),
        "keys": plan.keys,
        "bytes": plan.bytes,
        "keys_out_of_scope": plan.keys_out,
        "missed": plan.missed,
        "different": plan.different,
        "deletes": plan.deletes,
        "deletes_shown": plan.deletes_shown.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "foreign": plan.foreign,
        "needs_accept": plan.needs_accept,
        "digest": plan.digest.to_string(),
        "rules": rules,
    })
}

fn as_text(plan: &PlanReport) -> String {
    let (verdict, reason, next_steps) = verdict(plan);
    let mut lines = vec![("verdict", format!("{verdict}: {reason}"))];
    lines.extend(next_steps.into_iter().map(|step| ("next", step)));
    lines.extend([
        ("primary", format!("{} at revision {}", plan.primary, plan.revision)),
        ("in scope", format!("{} keys, {}", plan.keys, HumanBytes(plan.bytes))),
        ("left local", format!("{} keys", plan.keys_out)),
        ("missed", format!("{} keys would be written", plan.missed)),
        ("different", format!("{} keys would be overwritten", plan.different)),
        ("stale", format!("{} keys would be deleted", plan.deletes)),
        ("foreign", format!("{} keys that others made stay", plan.foreign)),
        ("digest", plan.digest.to_string()),
    ]);
    let mut text = table::aligned(&lines);
    // Writing to a string can't fail.
    for (rule, count) in &plan.by_rule {
        let _ = writeln!(text, "{:>10} keys  {}  {rule}", count.keys, HumanBytes(count.bytes));
    }
    for key in &plan.deletes_shown {
        let _ = writeln!(text, "would delete {key}");
    }
    text
}
