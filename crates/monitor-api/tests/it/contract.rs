//! The written contracts: JSON fields, metric names, verdicts.

use std::time::{Duration, Instant};

use monitor_api::{METRICS, Snapshot, StatusReport, Thresholds, Verdict, readiness, render};

use crate::{blocked_report, full_report};

/// The names that the documentation promises; those of features to come are commented.
const PROMISED: [&str; 24] = [
    "state",
    "leader",
    "epoch",
    "primary_revision",
    "checkpoint_revision",
    "standby_revision",
    "primary_compacted_revision",
    "lag_revisions",
    "lag_seconds",
    "compaction_headroom_revisions",
    "events_received_total",
    "events_filtered_total",
    "ops_applied_total",
    "apply_txn_duration_seconds",
    "copy_keys",
    "copy_bytes",
    "watch_restarts_total",
    "resyncs_total",
    "errors_total",
    "foreign_writes_total",
    "fenced_txns_total",
    "guard_blocked",
    "last_contact_timestamp_seconds",
    "build_info",
    // With the scheduled check: verified_revision, check_runs_total, check_differences,
    // check_duration_seconds, check_last_conclusive_timestamp_seconds.
];

fn has_sample(text: &str, name: &str) -> bool {
    text.lines().filter(|line| !line.starts_with('#')).any(|line| {
        let sample = line.split(['{', ' ']).next().unwrap_or_default();
        sample.strip_prefix("etcd_sync_").is_some_and(|sample| {
            sample == name
                || ["_count", "_sum", "_bucket"]
                    .iter()
                    .any(|end| sample.strip_suffix(end) == Some(name))
        })
    })
}

#[test]
fn every_promised_metric_has_a_sample_and_no_other_has() {
    let text = render(&full_report());
    for name in PROMISED {
        assert!(has_sample(&text, name), "no sample of {name} in:\n{text}");
    }
    assert_eq!(METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>(), PROMISED);
    let described: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(described.len(), PROMISED.len(), "{described:#?}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn metrics_carry_the_values_of_the_report() {
    let text = render(&full_report());
    for line in [
        "etcd_sync_state{state=\"following\"} 1",
        "etcd_sync_state{state=\"blocked\"} 0",
        "etcd_sync_checkpoint_revision 1200",
        "etcd_sync_lag_seconds 0.25",
        "etcd_sync_compaction_headroom_revisions 300",
        "etcd_sync_events_received_total{op=\"delete\"} 2",
        "etcd_sync_apply_txn_duration_seconds_sum 0.5",
        "etcd_sync_apply_txn_duration_seconds_bucket{le=\"+Inf\"} 20",
        "etcd_sync_watch_restarts_total{reason=\"lost\"} 2",
        "etcd_sync_errors_total{class=\"retry\",side=\"primary\"} 5",
        "etcd_sync_guard_blocked{guard=\"too_many_deletes\"} 0",
        "etcd_sync_last_contact_timestamp_seconds{side=\"primary\"} 1760000000",
        "etcd_sync_build_info{version=\"0.1.0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in:\n{text}");
    }
    let blocked = render(&blocked_report());
    assert!(blocked.contains("etcd_sync_guard_blocked{guard=\"too_many_deletes\"} 1"));
}

#[test]
fn what_is_not_known_has_no_sample() {
    let text = render(&StatusReport::default());
    for name in ["lag_seconds", "checkpoint_revision", "leader", "epoch", "lag_revisions"] {
        assert!(!has_sample(&text, name), "{name} is made up in:\n{text}");
    }
}

#[test]
fn the_json_of_a_status_is_the_written_contract() {
    let golden = include_str!("status.json");
    let written = serde_json::to_string_pretty(&full_report()).unwrap() + "\n";
    assert_eq!(written, golden, "a changed field breaks readers: add, never rename");
    assert_eq!(serde_json::from_str::<StatusReport>(golden).unwrap(), full_report());
}

#[test]
fn a_reader_survives_fields_and_verdicts_of_a_newer_version() {
    let newer = r#"{"verdict":"splendid","state":"dancing","hats":3}"#;
    let report: StatusReport = serde_json::from_str(newer).unwrap();
    assert_eq!(report.verdict, Verdict::Unknown);
    assert_eq!(report.state, "dancing");
    assert_eq!(report.judged().verdict, Verdict::Unknown);
}

#[test]
fn a_blocked_report_names_the_command_that_releases_it() {
    let report = blocked_report();
    assert_eq!(report.verdict, Verdict::ActionNeeded);
    assert_eq!(report.reason, "a resync would delete 900 of 1000 keys");
    assert_eq!(report.next_steps, ["etcd-sync resync --accept 5eed"]);
}

#[test]
fn lag_and_ages_grow_while_nothing_is_heard() {
    let taken = Instant::now();
    let later = Snapshot::new(full_report(), taken).at(taken + Duration::from_secs(10));
    assert_eq!(later.lag_seconds, Some(10.25));
    assert_eq!(later.primary_contact_age_seconds, Some(10.2));
    assert_eq!(later.standby_contact_age_seconds, Some(10.1));
    let never = Snapshot::new(StatusReport::default(), taken).at(taken + Duration::from_secs(10));
    assert_eq!(never.lag_seconds, None);
}

#[test]
fn readiness_asks_for_following_or_waiting_and_for_the_lag_allowed() {
    let ready = |state: &str, lag: Option<f64>, max: Option<u64>| {
        let report =
            StatusReport { state: state.into(), lag_seconds: lag, ..StatusReport::default() };
        let asked = Thresholds { ready_lag_max: max.map(Duration::from_secs) };
        readiness(&report, true, asked).iter().all(|check| check.failure.is_none())
    };
    assert!(ready("following", None, None));
    assert!(ready("following", Some(9.0), Some(10)));
    assert!(!ready("following", Some(11.0), Some(10)));
    assert!(!ready("following", None, Some(10)), "an unknown lag is not a small one");
    assert!(ready("waiting", None, Some(10)));
    for state in ["", "starting", "copying", "paused", "blocked", "fenced", "dancing"] {
        assert!(!ready(state, Some(0.0), None), "{state} is not ready");
    }
}
