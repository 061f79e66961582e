//! What holds for any key and any query.

use monitor_api::{
    CheckFormat, CheckQuery, CheckReport, CheckVerdict, Comparison, DifferenceKind,
    DifferenceReport, printable_key,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::nothing;

/// Reads a key back from its text.
fn read_back(text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(r"\\") {
            key.push(b'\\');
            rest = after;
        } else if let Some(after) = rest.strip_prefix(r"\x") {
            key.push(u8::from_str_radix(&after[..2], 16).unwrap());
            rest = &after[2..];
        } else {
            key.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    key
}

const ODD: &[&str] =
    &["\\", "\\x41", "\u{202e}", "\u{301}", "\u{85}", "\r\n", "\t", "<script>", "LOCAL ETCD"];

/// Bytes, and text full of what is not what it looks like.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<String>().prop_map(String::into_bytes),
        vec(select(ODD), 0..6).prop_map(|parts| parts.concat().into_bytes()),
    ]
}

fn kind() -> impl Strategy<Value = DifferenceKind> {
    select(&DifferenceKind::ALL[..])
}

proptest! {
    #[test]
    fn a_printed_key_has_no_control_character_and_reads_back(key in key()) {
        let text = printable_key(&key);
        prop_assert!(!text.chars().any(char::is_control), "{text:?}");
        prop_assert_eq!(read_back(&text), key);
    }

    #[test]
    fn a_report_is_in_sync_only_without_differences(
        (missed, surplus, different, unsettled) in (0_u64..2, 0_u64..2, 0_u64..2, 0_u64..2),
        named in vec((kind(), key()), 0..2),
        pinned in any::<bool>(),
    ) {
        let differences: Vec<_> =
            named.iter().map(|(kind, key)| DifferenceReport::new(*kind, key)).collect();
        let differ = missed + surplus + different > 0 || !differences.is_empty();
        let mut found =
            Comparison { missed, surplus, different, unsettled, differences, ..nothing() };
        if !pinned {
            found.pins.clear();
        }
        let report = CheckReport::judged(found);
        let whole = !differ && unsettled == 0 && pinned;
        prop_assert_eq!(report.verdict() == CheckVerdict::InSync, whole);
        prop_assert_eq!(report.verdict() == CheckVerdict::Drift, differ);
        prop_assert_eq!(report.verified_revision().is_some(), whole);
        prop_assert!(!report.reason().is_empty());
        let read: CheckReport =
            serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        prop_assert_eq!(read, report);
    }

    #[test]
    fn the_text_keeps_its_shape_whatever_the_keys(
        named in vec((kind(), key().prop_filter("etcd has no empty key", |key| !key.is_empty())), 0..20),
        class in any::<String>(),
        reason in any::<String>(),
        limit in 0_usize..25,
    ) {
        let name = |(kind, key): &(DifferenceKind, Vec<u8>)| {
            let class = class.clone();
            DifferenceReport { class, ..DifferenceReport::new(*kind, key) }
        };
        let found = Comparison {
            mirror: class.clone(),
            classes: [(class.clone(), 1)].into(),
            differences: named.iter().map(name).collect(),
            ..nothing()
        };
        let text = CheckReport::inconclusive(reason, found).text(limit);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
        prop_assert_eq!(text.lines().filter(|line| line.starts_with("LOCAL ETCD")).count(), 3);
        prop_assert!(text.starts_with("inconclusive: "));
        for kind in DifferenceKind::ALL {
            let keys: Vec<_> =
                named.iter().filter(|(of, _)| *of == kind).map(|(_, key)| key.clone()).collect();
            let heading = format!("LOCAL ETCD {} keys: {}\n", kind.as_str(), keys.len());
            let (_, below) = text.split_once(&heading).unwrap();
            let lines = below.lines().take(limit.min(keys.len()));
            let shown: Vec<_> =
                lines.map(|line| read_back(line.split('\t').next().unwrap())).collect();
            prop_assert_eq!(&shown[..], &keys[..limit.min(keys.len())]);
        }
    }

    #[test]
    fn a_query_is_understood_or_refused_on_one_line(query in any::<String>()) {
        if let Err(error) = CheckQuery::parse(&query) {
            let error = error.to_string();
            prop_assert!(!error.chars().any(char::is_control), "{error:?}");
            prop_assert!(error.len() < 400, "{error:?}");
        }
    }

    #[test]
    fn any_order_of_parameters_means_the_same(
        json in any::<bool>(),
        strict in any::<bool>(),
        limit in 0..=CheckQuery::LIMIT_MAX,
        (given, back) in (subsequence(vec![0, 1, 2], 0..=3), any::<bool>()),
    ) {
        let all = [
            format!("format={}", if json { "json" } else { "text" }),
            format!("strict={strict}"),
            format!("limit={limit}"),
        ];
        let mut parts: Vec<_> = given.iter().map(|index| all[*index].as_str()).collect();
        if back {
            parts.reverse();
        }
        let format = if json { CheckFormat::Json } else { CheckFormat::Text };
        let usual = CheckQuery::default();
        let expected = CheckQuery {
            format: given.contains(&0).then_some(format),
            strict: given.contains(&1) && strict,
            limit: if given.contains(&2) { limit } else { usual.limit },
        };
        prop_assert_eq!(CheckQuery::parse(&parts.join("&")), Ok(expected));
    }

    #[test]
    fn a_limit_beyond_the_largest_is_refused(limit in CheckQuery::LIMIT_MAX + 1..) {
        let query = format!("limit={limit}");
        prop_assert!(CheckQuery::parse(&query).is_err());
    }
}
