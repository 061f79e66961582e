//! A status for people: one fact a line, the most important first.

use std::fmt::Write as _;
use std::time::Duration;

use monitor_api::{NamedKey, StatusReport};

/// Writes a report as aligned lines.
pub(crate) fn status(report: &StatusReport) -> String {
    let mut lines = vec![
        ("mirror", report.mirror.clone()),
        ("state", known(&report.state)),
        ("verdict", format!("{}: {}", report.verdict.as_str(), report.reason)),
    ];
    if let Some(blocked) = &report.blocked {
        lines.push(("blocked by", format!("{}: {}", blocked.guard, blocked.reason)));
    }
    lines.extend(report.next_steps.iter().map(|step| ("next", step.clone())));
    if let Some(seconds) = report.age_seconds_max {
        lines.push(("as of", format!("at most {} ago", age(seconds))));
    }
    lines.push(("lag", lag(report)));
    let torn = if report.torn { " (torn: the standby is not whole)" } else { "" };
    lines.push(("checkpoint", format!("{}{torn}", number(report.checkpoint_revision))));
    lines.push((
        "primary",
        side(
            &report.primary_cluster_id,
            report.primary_revision,
            report.primary_contact_age_seconds,
        ),
    ));
    lines.push((
        "standby",
        side(
            &report.standby_cluster_id,
            report.standby_revision,
            report.standby_contact_age_seconds,
        ),
    ));
    for (name, seconds) in [
        ("unanswered", report.primary_unanswered_seconds.map(|s| ("the primary", s))),
        ("unanswered", report.standby_unanswered_seconds.map(|s| ("the standby", s))),
        ("watch behind", report.primary_watch_behind_seconds.map(|s| ("the primary's", s))),
        ("watch behind", report.standby_watch_behind_seconds.map(|s| ("the standby's", s))),
    ] {
        let line = seconds.map(|(side, seconds)| (name, format!("{side}, for {}", age(seconds))));
        lines.extend(line);
    }
    lines.push(("epoch", number(report.epoch)));
    lines.extend(kubernetes(report));
    if let Some(check) = &report.last_check {
        lines.push(("check", format!("{}: {}", check.verdict, check.reason)));
    }
    if let Some(repair) = &report.last_repair {
        let reason = if repair.reason.is_empty() { "" } else { ": " };
        lines.push(("repair", format!("{}{reason}{}", repair.outcome, repair.reason)));
    }
    if report.state == "copying" {
        let copy = &report.copy;
        lines.push((
            "copy",
            format!(
                "{} of {} keys compared, {} written, {} deleted",
                copy.keys_read,
                number(copy.keys_total),
                copy.keys_written,
                copy.keys_deleted
            ),
        ));
    }
    aligned(&lines)
}

/// What a live standby makes of what is mirrored, where there is something to tell.
fn kubernetes(report: &StatusReport) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let shown = |keys: &[NamedKey]| {
        let first = keys.first().map(|key| format!(": {} ({})", key.key, key.reason));
        let more = if keys.len() > 1 { ", …" } else { "" };
        format!("{}{more}", first.unwrap_or_default())
    };
    let held = &report.held_back;
    if held.count > 0 {
        lines.push(("held back", format!("{} keys{}", held.count, shown(&held.keys))));
    }
    if report.parked > 0 {
        lines.push(("parked", format!("{} keys, until the standby is promoted", report.parked)));
    }
    let drift = &report.drift;
    if drift.healed + drift.waiting > 0 {
        let text = format!("{} keys put back, {} wait for it", drift.healed, drift.waiting);
        lines.push(("healed", text));
    }
    if drift.refused > 0 {
        let text = format!("{} keys{}", drift.refused, shown(&drift.refused_keys));
        lines.push(("refused", text));
    }
    lines
}

/// Writes names and values in two columns.
pub(crate) fn aligned(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in lines {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:width$}  {value}");
    }
    text
}

/// Writes a number of seconds as people say it: `850ms`, `3s`, `2m 5s`.
pub(crate) fn age(seconds: f64) -> String {
    let Ok(exact) = Duration::try_from_secs_f64(seconds) else { return "unknown".to_owned() };
    let short = if exact < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or_default())
    } else {
        Duration::from_secs(exact.as_secs())
    };
    humantime::format_duration(short).to_string()
}

fn lag(report: &StatusReport) -> String {
    let revisions = match report.lag_revisions {
        Some(1) => "1 revision".to_owned(),
        other => format!("{} revisions", number(other)),
    };
    match report.lag_seconds {
        Some(seconds) => format!("{}, {revisions}", age(seconds)),
        None => format!("unknown, {revisions}"),
    }
}

fn side(id: &Option<String>, revision: Option<i64>, contact: Option<f64>) -> String {
    let id = id.as_deref().unwrap_or("unknown");
    let heard = contact.map_or_else(String::new, |seconds| format!(", heard {} ago", age(seconds)));
    format!("{id} at revision {}{heard}", number(revision))
}

fn number(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

fn known(text: &str) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use monitor_api::BlockedReport;

    use super::*;

    #[test]
    fn a_blocked_mirror_shows_why_and_what_releases_it() {
        let report = StatusReport {
            mirror: "default".into(),
            state: "blocked".into(),
            blocked: Some(BlockedReport {
                guard: "too_many_deletes".into(),
                reason: "a resync would delete 900 of 1000 keys".into(),
                release: "etcd-sync resync --accept 5eed".into(),
                ..BlockedReport::default()
            }),
            checkpoint_revision: Some(1_200),
            primary_revision: Some(1_204),
            primary_cluster_id: Some("cdf8".into()),
            primary_contact_age_seconds: Some(0.25),
            lag_revisions: Some(4),
            lag_seconds: Some(125.4),
            ..StatusReport::default()
        }
        .judged();
        let expected = "\
mirror      default
state       blocked
verdict     action-needed: a resync would delete 900 of 1000 keys
blocked by  too_many_deletes: a resync would delete 900 of 1000 keys
next        etcd-sync resync --accept 5eed
lag         2m 5s, 4 revisions
checkpoint  1200
primary     cdf8 at revision 1204, heard 250ms ago
standby     unknown at revision unknown
epoch       unknown
";
        assert_eq!(status(&report), expected);
    }

    #[test]
    fn a_hostile_reason_stays_on_its_line() {
        let report =
            StatusReport { reason: "a\nverdict ok\u{1b}[31m".into(), ..StatusReport::default() };
        assert!(status(&report).contains("unknown: averdict ok[31m\n"));
    }
}
