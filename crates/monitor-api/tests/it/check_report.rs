//! The report of a check: its JSON, its text, and that it can't lie.

use monitor_api::{
    CheckMode, CheckQuery, CheckReport, CheckVerdict, Comparison, DifferenceKind, DifferenceReport,
};

use crate::{drift_report, nothing};

fn missed(count: usize) -> Vec<DifferenceReport> {
    let key = |index| format!("/registry/pods/a/{index:05}");
    (0..count)
        .map(|index| DifferenceReport::new(DifferenceKind::Missed, key(index).as_bytes()))
        .collect()
}

#[test]
fn the_json_of_a_check_is_the_written_contract() {
    let golden = include_str!("check.json");
    let written = serde_json::to_string_pretty(&drift_report()).unwrap() + "\n";
    assert_eq!(written, golden, "a changed field breaks readers: add, never rename");
    assert_eq!(serde_json::from_str::<CheckReport>(golden).unwrap(), drift_report());
}

#[test]
fn a_reader_survives_fields_and_words_of_a_newer_version() {
    let newer = r#"{"verdict":"splendid","hats":3,"mode":"by-hash","reason":"so it is",
        "differences":[{"kind":"twisted","key":"/a"}]}"#;
    let report: CheckReport = serde_json::from_str(newer).unwrap();
    assert_eq!(report.verdict(), CheckVerdict::Inconclusive, "never read as good news");
    assert_eq!(report.reason(), "so it is");
    assert_eq!(report.found().mode, CheckMode::Unknown);
    assert_eq!(report.found().differences[0].kind, DifferenceKind::Unknown);
}

#[test]
fn a_report_is_in_sync_only_if_nothing_is_left_open() {
    let report = CheckReport::judged(nothing());
    assert_eq!(report.verdict(), CheckVerdict::InSync);
    assert_eq!(report.verified_revision(), Some(1_200));
    let but = |change: fn(&mut Comparison)| {
        let mut found = nothing();
        change(&mut found);
        let report = CheckReport::judged(found);
        assert!(report.verified_revision().is_none());
        assert!(!report.next_steps().is_empty());
        report.verdict()
    };
    assert_eq!(but(|found| found.missed = 1), CheckVerdict::Drift);
    assert_eq!(but(|found| found.surplus = 1), CheckVerdict::Drift);
    assert_eq!(but(|found| found.different = 1), CheckVerdict::Drift);
    assert_eq!(
        but(|found| found.differences = missed(1)),
        CheckVerdict::Drift,
        "named, not counted"
    );
    assert_eq!(but(|found| found.unsettled = 1), CheckVerdict::Inconclusive);
    assert_eq!(but(|found| found.pins.clear()), CheckVerdict::Inconclusive);
}

#[test]
fn a_report_that_contradicts_itself_is_not_believed() {
    for lie in [
        r#"{"verdict":"in-sync","missed":3,"pins":[{"primary_revision":7}]}"#,
        r#"{"verdict":"in-sync"}"#,
        r#"{"verdict":"drift","pins":[{"primary_revision":7}],"verified_revision":7}"#,
    ] {
        let report: CheckReport = serde_json::from_str(lie).unwrap();
        assert_eq!(report.verdict(), CheckVerdict::Inconclusive, "{lie}");
        assert!(report.reason().contains("contradicts itself"), "{}", report.reason());
        assert_eq!(report.verified_revision(), None);
    }
}

#[test]
fn an_inconclusive_report_has_a_reason_and_keeps_what_was_found() {
    let found = Comparison { missed: 3, ..nothing() };
    let report = CheckReport::inconclusive("compacted\nfor ever", found);
    assert_eq!(report.verdict(), CheckVerdict::Inconclusive);
    assert_eq!(report.reason(), r"compacted\x0afor ever");
    assert_eq!(report.found().missed, 3);
    assert_eq!(report.verified_revision(), None);
    for none in ["", " \n"] {
        let report = CheckReport::inconclusive(none, nothing());
        assert!(!report.reason().trim().is_empty(), "a reason is never missing");
    }
}

#[test]
fn what_is_verified_is_the_oldest_revision_compared_at() {
    let mut found = nothing();
    let mut older = found.pins[0].clone();
    (older.primary_revision, older.through) = (1_100, Some("/registry/m".into()));
    found.pins.insert(0, older);
    let report = CheckReport::judged(found);
    assert_eq!(report.verified_revision(), Some(1_100));
    assert!(report.reason().contains("1100 to 1200"), "{}", report.reason());
}

#[test]
fn keys_alone_verify_nothing_and_the_text_says_so_loudly() {
    let report = CheckReport::judged(Comparison { mode: CheckMode::KeysOnly, ..nothing() });
    assert_eq!(report.verdict(), CheckVerdict::InSync);
    assert_eq!(report.verified_revision(), None);
    let text = report.text(CheckQuery::LIMIT);
    assert_eq!(text.matches("VALUES WERE NOT COMPARED").count(), 2, "{text}");
    assert!(!CheckReport::judged(nothing()).text(10).contains("VALUES"));
}

#[test]
fn the_text_of_a_check_is_the_written_contract() {
    assert_eq!(drift_report().text(1_000), include_str!("check.txt"));
}

#[test]
fn the_text_has_every_heading_whatever_was_found() {
    for report in [CheckReport::judged(nothing()), CheckReport::default()] {
        let text = report.text(1_000);
        let first = text.lines().next().unwrap();
        assert_eq!(first, format!("{}: {}", report.verdict().as_str(), report.reason()));
        for kind in ["missed", "surplus", "different"] {
            let heading = format!("LOCAL ETCD {kind} keys: 0");
            assert!(text.lines().any(|line| line == heading), "no {heading} in:\n{text}");
        }
    }
}

#[test]
fn the_text_names_as_many_keys_as_asked_for_and_counts_the_rest() {
    let found = Comparison { missed: 2_500, differences: missed(2_000), ..nothing() };
    let report = CheckReport::judged(found);
    assert!(report.is_truncated());
    for (limit, named, more) in
        [(0, 0, 2_500), (3, 3, 2_497), (1_999, 1_999, 501), (9_999, 2_000, 500)]
    {
        let text = report.text(limit);
        assert_eq!(text.lines().filter(|line| line.starts_with("/registry/")).count(), named);
        assert!(text.contains("LOCAL ETCD missed keys: 2500\n"));
        assert!(text.contains(&format!("\nand {more} more\n")), "{limit}: {text}");
    }
    let all = CheckReport::judged(Comparison { differences: missed(3), ..nothing() });
    assert!(!all.text(3).contains("more"), "{}", all.text(3));
}

#[test]
fn no_key_passes_for_a_heading_or_for_another_line() {
    let keys: [&[u8]; 4] =
        [b"LOCAL ETCD surplus keys: 0", b"\nWhat to do:\n", b"/a\tin-sync", b"\r\x1b[1A"];
    let named = keys.map(|key| DifferenceReport::new(DifferenceKind::Missed, key));
    let report = CheckReport::judged(Comparison { differences: named.to_vec(), ..nothing() });
    let text = report.text(10);
    assert_eq!(text.lines().filter(|line| line.starts_with("LOCAL ETCD")).count(), 3, "{text}");
    assert_eq!(text.lines().filter(|line| *line == "What to do:").count(), 1, "{text}");
    assert!(!text.contains('\t') && !text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    assert!(text.contains(r"\x4cOCAL ETCD surplus keys: 0"), "{text}");
}

#[test]
fn a_report_from_elsewhere_is_not_trusted_to_be_printable() {
    let written = r#"{"verdict":"drift","reason":"a\u001b[1A","mirror":"\n","pins":[{"through":"\u0007"}],
        "classes":{"\r":1},"next_steps":["\u202e"],
        "differences":[{"kind":"missed","key":"\u001b[2J","class":"\t","note":"\nLOCAL ETCD"}]}"#;
    let text = serde_json::from_str::<CheckReport>(written).unwrap().text(10);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    assert!(text.contains("\\x1b[2J\t\\x09\t\\x0aLOCAL ETCD\n"), "{text}");
}

#[test]
fn trimming_keeps_the_counts_and_says_that_it_was_done() {
    let report = drift_report().trimmed(0);
    assert_eq!(report.verdict(), CheckVerdict::Drift);
    assert!(report.found().differences.is_empty() && report.is_truncated());
    assert_eq!((report.found().missed, report.found().surplus), (2, 1));
}

#[test]
fn a_key_has_its_bytes_beside_it_only_if_they_are_not_printable() {
    let plain = DifferenceReport::new(DifferenceKind::Missed, "/ä\\".as_bytes());
    assert_eq!((plain.key.as_str(), plain.key_hex), (r"/ä\\", None));
    let not = DifferenceReport::new(DifferenceKind::Missed, b"/\x1b");
    assert_eq!((not.key.as_str(), not.key_hex.as_deref()), (r"/\x1b", Some("2f1b")));
}

/// A report of keys with other values, of these classes.
fn different(classes: &[&str]) -> Comparison {
    let mut found = Comparison { different: classes.len() as u64, ..nothing() };
    for (index, class) in classes.iter().enumerate() {
        let key = format!("/registry/deployments/shop/{index}");
        found.differences.push(DifferenceReport {
            class: (*class).to_owned(),
            ..DifferenceReport::new(DifferenceKind::Different, key.as_bytes())
        });
        *found.classes.entry((*class).to_owned()).or_default() += 1;
    }
    found
}

#[test]
fn what_controllers_rewrite_is_told_and_is_no_alarm() {
    let report = CheckReport::judged(different(&["rewritten"; 3]));
    assert_eq!(report.verdict(), CheckVerdict::InSync);
    assert!(report.reason().contains("controllers rewrite: 3 keys"), "{}", report.reason());
    assert!(report.verified_revision().is_some());
    assert_eq!(report.next_steps().len(), 1);
    let text = report.text(10);
    assert!(
        text.starts_with("in-sync: ") && text.contains("LOCAL ETCD different keys: 3\n"),
        "{text}"
    );
    assert!(text.contains("by class: rewritten 3\n"), "{text}");
    // It reads back as it was, also when not every key is named.
    for report in [report.clone(), report.trimmed(1)] {
        let written = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<CheckReport>(&written).unwrap(), report);
        assert_eq!(report.verdict(), CheckVerdict::InSync);
    }
}

#[test]
fn one_difference_that_no_controller_explains_is_drift() {
    let missed = DifferenceReport {
        class: "rewritten".into(),
        ..DifferenceReport::new(DifferenceKind::Missed, b"/registry/pods/shop/a")
    };
    for found in [
        different(&["rewritten", "foreign-write"]),
        different(&["rewritten", ""]),
        Comparison { different: 3, ..different(&["rewritten", "rewritten"]) },
        Comparison { missed: 1, ..different(&["rewritten"]) },
        Comparison { surplus: 1, ..different(&["rewritten"]) },
        Comparison { mode: CheckMode::KeysOnly, ..different(&["rewritten"]) },
        Comparison { mode: CheckMode::Unknown, ..different(&["rewritten"]) },
        Comparison {
            classes: [("rewritten".to_owned(), 1)].into(),
            differences: vec![missed],
            ..nothing()
        },
    ] {
        let report = CheckReport::judged(found.clone());
        assert_eq!(report.verdict(), CheckVerdict::Drift, "{found:?}");
        assert_eq!(report.verified_revision(), None);
    }
    let open = Comparison { unsettled: 1, ..different(&["rewritten"]) };
    assert_eq!(CheckReport::judged(open).verdict(), CheckVerdict::Inconclusive);
}

#[test]
fn what_is_held_back_is_missing_and_the_report_says_what_to_do() {
    let found =
        Comparison { missed: 1, classes: [("held-back".to_owned(), 1)].into(), ..nothing() };
    let report = CheckReport::judged(found);
    assert_eq!(report.verdict(), CheckVerdict::Drift);
    assert!(report.next_steps()[0].contains("held-back"), "{:?}", report.next_steps());
}
