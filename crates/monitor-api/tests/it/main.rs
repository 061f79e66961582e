//! What clients of the HTTP surface may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail loudly")]

mod check_http;
mod check_report;
mod checks;
mod contract;
mod events;
mod exposition;
mod harness;
mod hostile;
mod http;
mod properties;

use monitor_api::{
    BlockedReport, CheckMode, CheckReport, Comparison, CopyReport, CountersReport, DbReport,
    DifferenceKind, DifferenceReport, DriftReport, HeldBackReport, Labelled, LastCheckReport,
    NamedKey, PinsReport, PromotionReport, RepairCountsReport, RepairReport, StatusReport,
};

/// A report with every field set.
fn full_report() -> StatusReport {
    StatusReport {
        mirror: "default".into(),
        version: "0.1.0".into(),
        state: "following".into(),
        leader: Some(true),
        epoch: Some(3),
        primary_cluster_id: Some("cdf818194e3a8c32".into()),
        standby_cluster_id: Some("8e9e05c52164694d".into()),
        scope_hash: Some("5eed".into()),
        primary_revision: Some(1_204),
        primary_compacted_revision: Some(900),
        checkpoint_revision: Some(1_200),
        standby_revision: Some(771),
        lag_revisions: Some(4),
        lag_seconds: Some(0.25),
        primary_contact_age_seconds: Some(0.2),
        standby_contact_age_seconds: Some(0.1),
        primary_unanswered_seconds: Some(0.5),
        standby_unanswered_seconds: Some(0.25),
        primary_watch_behind_seconds: Some(1.5),
        standby_watch_behind_seconds: Some(1.25),
        primary_db: Some(DbReport { bytes: 20_480, quota_bytes: None }),
        standby_db: Some(DbReport { bytes: 40_960, quota_bytes: Some(8 << 30) }),
        primary_certificate_expiry: Some(1_790_000_000),
        standby_certificate_expiry: Some(1_800_000_000),
        observed_at: Some(1_760_000_000),
        age_seconds_max: Some(3.0),
        copy: CopyReport {
            keys_total: Some(10),
            keys_read: 10,
            bytes_read: 2_048,
            keys_written: 9,
            bytes_written: 2_000,
            keys_deleted: 1,
        },
        last_check: Some(LastCheckReport {
            verdict: "drift".into(),
            reason: "1 key differs".into(),
            started_at: Some(1_759_999_990),
            age_seconds: Some(10.0),
            verified_revision: None,
            missed: 1,
            surplus: 0,
            different: 0,
        }),
        last_repair: Some(RepairReport {
            order: 2,
            digest: "0123456789abcdef0123456789abcdef".into(),
            outcome: "done".into(),
            primary_revision: Some(1_100),
            standby_revision: Some(700),
            planned: RepairCountsReport { missed: 1, different: 0, surplus: 0 },
            written: RepairCountsReport { missed: 1, different: 0, surplus: 0 },
            ..RepairReport::default()
        }),
        promotion: Some(PromotionReport { by: "an operator".into(), at: 1_760_000_001, epoch: 4 }),
        revision_gap: Some(-433),
        drift: DriftReport {
            healed: 3,
            waiting: 1,
            refused: 1,
            refused_keys: vec![NamedKey { key: "/registry/a".into(), reason: "why".into() }],
        },
        held_back: HeldBackReport {
            count: 1,
            keys: vec![NamedKey { key: "/registry/b".into(), reason: "no owner".into() }],
        },
        parked: 3,
        counters: CountersReport {
            puts_received: 40,
            deletes_received: 2,
            filtered: 7,
            puts_applied: 39,
            deletes_applied: 2,
            txns: 20,
            txn_seconds: 0.5,
            fenced_txns: 0,
            foreign_puts: 1,
            foreign_deletes: 0,
            watch_restarts: vec![counted(None, "lost", 2)],
            watch_stalls: vec![counted(None, "primary", 3)],
            resyncs: vec![counted(None, "compacted", 1)],
            errors: vec![counted(Some("primary"), "retry", 5)],
        },
        ..StatusReport::default()
    }
    .judged()
}

fn blocked_report() -> StatusReport {
    StatusReport {
        state: "blocked".into(),
        blocked: Some(BlockedReport {
            guard: "too_many_deletes".into(),
            reason: "a resync would delete 900 of 1000 keys".into(),
            release: "etcd-sync resync --accept 5eed".into(),
            digest: Some("5eed".into()),
            ..BlockedReport::default()
        }),
        ..StatusReport::default()
    }
    .judged()
}

fn counted(side: Option<&str>, class: &str, count: u64) -> Labelled {
    Labelled { side: side.map(str::to_owned), class: class.to_owned(), count }
}

/// What a comparison finds that finds nothing.
fn nothing() -> Comparison {
    Comparison {
        mirror: "default".into(),
        scope_hash: "5eed".into(),
        mode: CheckMode::Full,
        started_at: Some(1_760_000_000),
        duration_seconds: 1.25,
        pins: vec![PinsReport { primary_revision: 1_200, standby_revision: 771, through: None }],
        keys: 10,
        bytes: 2_048,
        ..Comparison::default()
    }
}

/// A report with every field set, and keys that are up to no good.
fn drift_report() -> CheckReport {
    let differences = vec![
        DifferenceReport {
            class: "collected".into(),
            note: "deleted on the standby at 770".into(),
            primary_modified: Some(1_100),
            ..DifferenceReport::new(DifferenceKind::Missed, b"/registry/pods/a/b")
        },
        DifferenceReport {
            class: "engine-defect".into(),
            standby_modified: Some(765),
            ..DifferenceReport::new(DifferenceKind::Surplus, b"/registry/\x1b[2J\xff\r\n")
        },
        DifferenceReport {
            primary_modified: Some(1_150),
            standby_modified: Some(769),
            ..DifferenceReport::new(DifferenceKind::Different, "/registry/ä\\b".as_bytes())
        },
    ];
    let first = PinsReport {
        primary_revision: 1_190,
        standby_revision: 768,
        through: Some("/registry/pods/a/b".into()),
    };
    CheckReport::judged(Comparison {
        pins: vec![first, nothing().pins.remove(0)],
        missed: 2,
        surplus: 1,
        different: 1,
        unsettled: 1,
        classes: [("collected".into(), 2), ("engine-defect".into(), 1)].into(),
        differences,
        ..nothing()
    })
}
