//! `etcd-sync plan`: what a run would do, without doing it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use etcd_mvcc::{Key, Revision as _};
use indicatif::HumanBytes;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::history::{Judgement, Refutation};
use mirror_engine::{Amount, DeleteFuse, GroupCount, GroupName, PlanError, PlanReport};
use serde_json::{Value, json};

use crate::cli::By;
use crate::{orders, table};

/// Reads both sides and shows what would be copied, changed and deleted; with `by`, also how many
/// keys there are of what. Of the keys to be deleted at most `limit` are named; the file gets all.
pub(crate) fn plan(
    config: &Config,
    by: Option<By>,
    limit: usize,
    deletions: Option<&Path>,
    format: Format,
) -> Result<Exit, Failure> {
    // Before both sides are read for nothing.
    let file =
        deletions.map(|path| File::create(path).map(BufWriter::new).map_err(unwritten(path)));
    let file = file.transpose()?;
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    let standby = parts::standby(config, None)?;
    let (keys, percent) = config.max_deletes();
    let fuse = DeleteFuse { keys, percent };
    let shown_max = if file.is_some() { usize::MAX } else { limit };
    let planning = mirror_engine::plan(&primary, &standby, &scope, config.name(), fuse, shown_max);
    let mut plan = orders::block_on(planning)?.map_err(|error| refused(&error))?;
    if let (Some(path), Some(file)) = (deletions, file) {
        write_keys(file, &plan.deletes_shown).map_err(unwritten(path))?;
    }
    plan.deletes_shown.truncate(limit);
    match format {
        Format::Json => output::json(&as_json(&plan, by))?,
        Format::Text => output::result(&as_text(&plan, by))?,
    }
    Ok(Exit::Done)
}

fn write_keys(mut file: BufWriter<File>, keys: &[Key]) -> std::io::Result<()> {
    keys.iter().try_for_each(|key| writeln!(file, "{key}"))?;
    file.flush()
}

fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::usage(format!("--deletions: {}: {error}", path.display()))
}

fn refused(error: &PlanError) -> Failure {
    match error {
        PlanError::SameCluster(_) => {
            Failure::refused(format!("{error} (check --primary-endpoints and --standby-endpoints)"))
        }
        PlanError::Primary(failure) | PlanError::Standby(failure) => {
            Failure::unanswered(failure, error)
        }
        PlanError::Order(_) | PlanError::Compacted => Failure::undecided(error),
    }
}

fn verdict(plan: &PlanReport) -> (&'static str, &str, Vec<String>) {
    if let Some(Judgement::Refuted(Refutation { evidence, .. }) | Judgement::Undecided(evidence)) =
        &plan.history
    {
        // A run judges for itself, and names the digest that releases it.
        return ("action-needed", evidence, vec!["etcd-sync status".to_owned()]);
    }
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

fn as_json(plan: &PlanReport, by: Option<By>) -> Value {
    let (verdict, reason, next_steps) = verdict(plan);
    let rules: Vec<Value> = plan
        .by_rule
        .iter()
        .map(|(rule, count)| {
            json!({
                "rule": rule,
                "admitted": count.in_scope.keys > 0,
                "keys": count.total().keys,
                "bytes": count.total().bytes,
            })
        })
        .collect();
    let mut report = json!({
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
        "history": history(plan),
        "digest": plan.digest.to_string(),
        "rules": rules,
    });
    if let (Some(by), Some(fields)) = (by, report.as_object_mut()) {
        let (word, groups) = counted(plan, by);
        let groups = groups.iter().map(|(name, count)| group_as_json(name, count)).collect();
        fields.insert("by".to_owned(), json!(word));
        fields.insert("groups".to_owned(), groups);
    }
    report
}

fn group_as_json(name: &str, count: &GroupCount) -> Value {
    let amount = |amount: Amount| json!({ "keys": amount.keys, "bytes": amount.bytes });
    json!({ "group": name, "in_scope": amount(count.in_scope), "local": amount(count.local) })
}

/// What was counted by, and how much there is of each.
fn counted(plan: &PlanReport, by: By) -> (&'static str, Vec<(String, GroupCount)>) {
    let named = |groups: &[(GroupName, GroupCount)]| {
        groups.iter().map(|(name, count)| (name.to_string(), *count)).collect()
    };
    match by {
        By::Resource => ("resource", named(&plan.by_resource)),
        By::Namespace => ("namespace", named(&plan.by_namespace)),
        By::Rule => ("rule", plan.by_rule.clone()),
    }
}

fn as_text(plan: &PlanReport, by: Option<By>) -> String {
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
        ("history", history(plan)),
        ("digest", plan.digest.to_string()),
    ]);
    let mut text = table::aligned(&lines);
    // Writing to a string can't fail.
    let (word, groups) = counted(plan, by.unwrap_or(By::Rule));
    text.push_str(&counts(word, &groups));
    for key in &plan.deletes_shown {
        let _ = writeln!(text, "would delete {key}");
    }
    let more = plan.deletes.saturating_sub(plan.deletes_shown.len() as u64);
    if more > 0 {
        let _ = writeln!(
            text,
            "would delete {more} keys more: --limit N names more, --deletions FILE gets all of them"
        );
    }
    text
}

/// What is known of the primary's history.
fn history(plan: &PlanReport) -> String {
    match &plan.history {
        None => "no checkpoint to hold it against".to_owned(),
        Some(Judgement::Proven(proof)) => format!("proven: {}", proof.evidence),
        Some(Judgement::Refuted(refutation)) => format!("refuted: {}", refutation.evidence),
        Some(Judgement::Undecided(reason)) => format!("not decided: {reason}"),
    }
}

/// Writes counts in columns: the numbers first, as names may be long.
fn counts(word: &str, groups: &[(String, GroupCount)]) -> String {
    const COLUMNS: usize = 4;

    let head = ["in scope", "bytes", "local", "bytes"].map(str::to_owned);
    let cells = |count: &GroupCount| {
        let bytes = |amount: Amount| HumanBytes(amount.bytes).to_string();
        let GroupCount { in_scope, local } = *count;
        [in_scope.keys.to_string(), bytes(in_scope), local.keys.to_string(), bytes(local)]
    };
    let mut rows = vec![(head, word)];
    rows.extend(groups.iter().map(|(name, count)| (cells(count), name.as_str())));
    let mut widths = [0; COLUMNS];
    for (cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for (cells, name) in &rows {
        // Writing to a string can't fail.
        for (width, cell) in widths.iter().zip(cells) {
            let _ = write!(text, "{cell:>width$}  ");
        }
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(text, "{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_in_columns() {
        let amount = |keys, bytes| Amount { keys, bytes };
        let groups = [
            (
                "secrets".to_owned(),
                GroupCount { in_scope: amount(1_200, 4_096), local: amount(3, 10) },
            ),
            (
                "(no\n object)".to_owned(),
                GroupCount { local: amount(1, 0), ..GroupCount::default() },
            ),
        ];
        let expected = "\
in scope     bytes  local  bytes  resource
    1200  4.00 KiB      3   10 B  secrets
       0       0 B      1    0 B  (no object)
";
        assert_eq!(counts("resource", &groups), expected);
    }
}
