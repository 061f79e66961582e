//! The written contracts: JSON fields, metric names, verdicts.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use monitor_api::{
    CheckReport, CheckTotals, Checks, Exposition, METRICS, Snapshot, StatusReport, Thresholds,
    Verdict, readiness,
};

use crate::{blocked_report, drift_report, full_report, nothing};

/// The names that the documentation promises.
const PROMISED: [&str; 38] = [
    "state",
    "leader",
    "epoch",
    "primary_revision",
    "checkpoint_revision",
    "verified_revision",
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
    "healed_total",
    "heal_refused_keys",
    "held_back_keys",
    "parked_keys",
    "revision_gap",
    "fenced_txns_total",
    "guard_blocked",
    "check_runs_total",
    "check_differences",
    "check_duration_seconds",
    "check_last_conclusive_timestamp_seconds",
    "last_contact_timestamp_seconds",
    "watch_stalls_total",
    "db_size_bytes",
    "db_quota_bytes",
    "certificate_expiry_timestamp_seconds",
    "build_info",
];

/// The metrics as OpenMetrics; `exposition.rs` looks at the formats themselves.
fn render(report: &StatusReport, checks: Option<&CheckTotals>) -> String {
    monitor_api::render(report, checks, Exposition::OpenMetrics)
}

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

#[tokio::test]
async fn every_promised_metric_has_a_sample_and_no_other_has() {
    let text = render(&full_report(), Some(&totals().await));
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
    let text = render(&full_report(), None);
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
        "etcd_sync_watch_stalls_total{side=\"primary\"} 3",
        "etcd_sync_db_size_bytes{side=\"standby\"} 40960",
        "etcd_sync_db_quota_bytes{side=\"standby\"} 8589934592",
        "etcd_sync_certificate_expiry_timestamp_seconds{side=\"primary\"} 1790000000",
        "etcd_sync_build_info{version=\"0.1.0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in:\n{text}");
    }
    let blocked = render(&blocked_report(), None);
    assert!(blocked.contains("etcd_sync_guard_blocked{guard=\"too_many_deletes\"} 1"));
}

#[tokio::test]
async fn metrics_carry_what_the_checks_found() {
    let text = render(&full_report(), Some(&totals().await));
    for line in [
        "etcd_sync_verified_revision 1200",
        "etcd_sync_check_runs_total{result=\"in-sync\"} 1",
        "etcd_sync_check_runs_total{result=\"drift\"} 1",
        "etcd_sync_check_runs_total{result=\"inconclusive\"} 1",
        "etcd_sync_check_differences{kind=\"missed\"} 2",
        "etcd_sync_check_differences{kind=\"surplus\"} 1",
        "etcd_sync_check_differences{kind=\"different\"} 1",
        "etcd_sync_check_duration_seconds_sum 3.75",
        "etcd_sync_check_duration_seconds_count 3",
        "etcd_sync_check_duration_seconds_bucket{le=\"1.0\"} 0",
        "etcd_sync_check_duration_seconds_bucket{le=\"5.0\"} 3",
        "etcd_sync_check_duration_seconds_bucket{le=\"+Inf\"} 3",
        "etcd_sync_check_last_conclusive_timestamp_seconds 1760000001",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in:\n{text}");
    }
}

#[tokio::test]
async fn before_the_first_check_nothing_is_said_of_what_it_found() {
    let checks = Checks::new(|| async { CheckReport::default() });
    checks.run().await;
    let text = render(&full_report(), Some(&checks.totals()));
    let absent =
        ["verified_revision", "check_differences", "check_last_conclusive_timestamp_seconds"];
    for name in absent {
        assert!(!text.contains(name), "{name} is made up in:\n{text}");
    }
    assert!(has_sample(&text, "check_runs_total"));
    assert!(!has_sample(&render(&full_report(), None), "check_runs_total"), "nobody checks");
}

/// In sync, then drift, then no answer.
async fn totals() -> CheckTotals {
    let reports = [
        CheckReport::judged(nothing()),
        drift_report(),
        CheckReport::inconclusive("compacted", nothing()),
    ];
    let reports = Mutex::new(reports.into_iter());
    let checks = Checks::new(move || {
        let report = reports.lock().unwrap().next().unwrap();
        async { report }
    });
    for _ in 0..3 {
        checks.run().await;
    }
    checks.totals()
}

#[test]
fn what_is_not_known_has_no_sample() {
    let text = render(&StatusReport::default(), None);
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
    assert_eq!(later.last_check.unwrap().age_seconds, Some(20.0));
    // When a cluster last answered does not move while nothing is heard.
    let later = Snapshot::new(full_report(), taken).at(taken + Duration::from_secs(10));
    let contact = "etcd_sync_last_contact_timestamp_seconds{side=\"primary\"} 1760000000";
    assert!(render(&later, None).contains(contact));
    let never = Snapshot::new(StatusReport::default(), taken).at(taken + Duration::from_secs(10));
    assert_eq!(never.lag_seconds, None);
}

#[test]
fn readiness_asks_for_following_or_waiting_and_for_the_lag_allowed() {
    let ready = |state: &str, lag: Option<f64>, max: Option<u64>| {
        let report =
            StatusReport { state: state.into(), lag_seconds: lag, ..StatusReport::default() };
        let ready_lag_max = max.map(Duration::from_secs);
        let asked = Thresholds { ready_lag_max, ..Thresholds::default() };
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

#[test]
fn readiness_asks_for_a_primary_that_is_heard_of_and_a_watch_that_moves() {
    let ready = |unanswered: Option<f64>, behind: Option<f64>| {
        let report = StatusReport {
            state: "following".into(),
            primary_unanswered_seconds: unanswered,
            primary_watch_behind_seconds: behind,
            ..StatusReport::default()
        };
        let checks = readiness(&report, true, Thresholds::default());
        checks.into_iter().filter_map(|check| check.failure).collect::<Vec<_>>()
    };
    assert_eq!(ready(None, None), Vec::<String>::new());
    assert_eq!(ready(Some(29.0), Some(4.0)), Vec::<String>::new());
    let away = ready(Some(31.0), None);
    assert!(away[0].contains("has not answered for 31 s"), "{away:?}");
    let still = ready(None, Some(8.0));
    assert!(still[0].contains("brought nothing for 8 s"), "{still:?}");
}
