//! What holds for any rules and any keys.

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::{Action, Preset, RuleSpec, Scope, ScopeSpec, Turn};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const SEGMENTS: &[&str] = &[
    "pods",
    "secrets",
    "events",
    "services",
    "specs",
    "endpoints",
    "ranges",
    "namespaces",
    "g.io",
    "plural",
    "persistentvolumes",
    "team",
    "default",
    "kube-system",
    "global",
    "a",
    "b",
    "",
    "%",
];
const PREFIXES: &[&str] = &[
    "",
    "/",
    "/registry",
    "/registry/",
    "/registry/pods/",
    "/registry/secrets/team/",
    "/a",
    "/a/",
    "/registry/persistentvolumes/",
    "/etcd-sync/",
    "/etcd",
    "/registry/events/",
    "\u{7f}",
];
const PATTERNS: &[&str] = &["*", "a", "team", "default", "*a*", "t*", "global"];
const RESOURCES: &[&str] =
    &["*", "pods", "secrets", "events", "g.io/plural", "*/*", "p*", "persistentvolumes", "ranges"];

fn text(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(from).prop_map(str::to_owned)
}

fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    let rule = (
        any::<bool>(),
        option::weighted(0.3, text(PREFIXES)),
        option::weighted(0.3, text(PATTERNS)),
        option::weighted(0.6, text(RESOURCES)),
        option::weighted(0.3, text(PATTERNS)),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(include, prefix, namespace, resource, name, bold, hasty)| RuleSpec {
            prefix,
            namespace,
            resource,
            name,
            r#unsafe: bold,
            urgent: include && hasty,
            ..RuleSpec::new(if include { Action::Include } else { Action::Local })
        });
    vec(rule, 0..4)
}

fn spec() -> impl Strategy<Value = ScopeSpec> {
    let flags = (
        any::<bool>(),
        vec(text(PREFIXES), 0..3),
        vec(text(PREFIXES), 0..2),
        vec(text(&["team", "a", "b"]), 0..2),
        vec(text(&["default", "kube-system"]), 0..2),
    );
    (flags, rules(), option::of(text(PREFIXES))).prop_map(|(flags, rules, dest)| {
        let (bare, prefixes, exclude_prefixes, exclude_namespaces, include_namespaces) = flags;
        ScopeSpec {
            preset: if bare { Preset::None } else { Preset::Kubernetes },
            dest_prefix: dest.filter(|_| prefixes.len() == 1),
            prefixes,
            exclude_prefixes,
            exclude_namespaces,
            include_namespaces,
            rules,
            ..ScopeSpec::default()
        }
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    spec().prop_filter_map("unusable", |spec| Scope::compile(spec).ok())
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let path = (text(PREFIXES), vec(text(SEGMENTS), 0..5))
        .prop_map(|(prefix, segments)| (prefix + &segments.join("/")).into_bytes());
    let object = vec(text(SEGMENTS), 2..5)
        .prop_map(|segments| format!("/registry/{}", segments.join("/")).into_bytes());
    prop_oneof![2 => path, 3 => object, 1 => vec(any::<u8>(), 1..8)]
}

fn holding(ranges: &[KeyRange], key: &[u8]) -> usize {
    ranges.iter().filter(|range| range.contains(key)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_admitted_key_lies_in_exactly_one_range(scope in scope(), keys in vec(key(), 1..40)) {
        for key in keys.into_iter().filter(|key| scope.admits(key)) {
            prop_assert_eq!(holding(scope.primary_ranges(), &key), 1);
            prop_assert!(scope.primary_hull().contains(&key));
            let placed = scope.place(&Key::from(key)).unwrap();
            prop_assert_eq!(holding(scope.standby_ranges(), placed.as_bytes()), 1);
            prop_assert!(scope.standby_hull().contains(placed.as_bytes()));
        }
    }

    #[test]
    fn ranges_are_sorted_and_hold_no_own_keys(scope in scope()) {
        for ranges in [scope.primary_ranges(), scope.standby_ranges()] {
            prop_assert!(!ranges.is_empty() && ranges.iter().all(|range| !range.is_empty()));
            prop_assert!(ranges.iter().all(|range| !range.start().is_empty()));
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].end().is_some_and(|end| end <= pair[1].start()));
            }
            prop_assert_eq!(holding(ranges, b"/etcd-sync/default/checkpoint"), 0);
        }
    }

    #[test]
    fn a_place_leads_back(scope in scope(), keys in vec(key(), 1..20)) {
        for key in keys.into_iter().map(Key::from) {
            let placed = scope.place(&key);
            prop_assert_eq!(placed.is_some(), scope.admits(key.as_bytes()));
            if let Some(placed) = placed {
                prop_assert!(!placed.is_empty() && !placed.as_bytes().starts_with(b"/etcd-sync/"));
                prop_assert!(scope.admits_standby(placed.as_bytes()));
                prop_assert_eq!(scope.primary_key(&placed), Some(key));
            }
        }
    }

    #[test]
    fn a_standby_key_in_scope_has_a_place_it_came_from(scope in scope(), keys in vec(key(), 1..20)) {
        for key in keys.into_iter().map(Key::from) {
            let primary = scope.primary_key(&key);
            prop_assert_eq!(primary.is_some(), scope.admits_standby(key.as_bytes()));
            if let Some(primary) = primary {
                prop_assert_eq!(scope.place(&primary), Some(key));
            }
        }
    }

    #[test]
    fn rewriting_keeps_the_order(scope in scope(), keys in vec(key(), 2..20)) {
        let mut keys: Vec<Key> = keys.into_iter().map(Key::from).collect();
        keys.sort();
        let placed: Vec<Key> = keys.iter().filter_map(|key| scope.place(key)).collect();
        prop_assert!(placed.is_sorted());
    }

    #[test]
    fn a_decision_is_that_of_the_rule_it_names(scope in scope(), keys in vec(key(), 1..20)) {
        let rules: Vec<String> = scope.rules().map(ToString::to_string).collect();
        for key in keys {
            let decision = scope.decide(&key);
            prop_assert_eq!(decision.admitted, scope.admits(&key));
            prop_assert_eq!(decision.admitted, decision.rule.admits());
            prop_assert_eq!(decision.rule.to_string(), &rules[decision.rule.index()][..]);
        }
    }

    #[test]
    fn an_explanation_is_the_decision_and_the_rules_around_it(
        scope in scope(),
        keys in vec(key(), 1..20),
    ) {
        for key in keys {
            let told = scope.explain(&key);
            let rule = scope.decide(&key).rule;
            prop_assert_eq!(told.decision.rule.index(), rule.index());
            prop_assert!(told.shadowed.iter().all(|later| later.index() > rule.index()));
            prop_assert!(told.shadowed.is_sorted_by_key(|later| later.index()));
            // A rule that matches and stands before the one that decides was passed over for the
            // sake of what is hard-local, and for nothing else.
            let shapeless = [&b"/registry/persistentvolumes/"[..], b"/registry/ranges/"];
            let hard = rule.is_hard()
                || told.shadowed.iter().any(|later| later.is_hard())
                || shapeless.iter().any(|prefix| key.starts_with(prefix));
            for earlier in told.passed_over {
                prop_assert!(earlier.index() < rule.index() && earlier.admits() && hard);
            }
        }
    }

    #[test]
    fn what_goes_first_lies_in_the_first_ranges(scope in scope(), keys in vec(key(), 1..40)) {
        let (primary, standby) = scope.first_ranges();
        for key in keys.into_iter().map(Key::from) {
            let Some(placed) = scope.place(&key) else { continue };
            if scope.turn(placed.as_bytes()) == Turn::First {
                prop_assert_eq!(holding(&primary, key.as_bytes()), 1);
                prop_assert_eq!(holding(&standby, placed.as_bytes()), 1);
            }
        }
    }

    #[test]
    fn the_first_ranges_are_sorted_and_within_what_is_read(scope in scope()) {
        let (primary, standby) = scope.first_ranges();
        for (first, all) in [(primary, scope.primary_ranges()), (standby, scope.standby_ranges())] {
            for range in &first {
                prop_assert!(!range.is_empty() && !range.start().is_empty());
                prop_assert!(all.iter().any(|whole| whole.intersection(range) == *range));
            }
            for pair in first.windows(2) {
                prop_assert!(pair[0].end().is_some_and(|end| end <= pair[1].start()));
            }
        }
    }

    #[test]
    fn haste_changes_neither_scope_nor_hash(spec in spec(), keys in vec(key(), 1..20)) {
        let mut calm = spec.clone();
        calm.rules.iter_mut().for_each(|rule| rule.urgent = false);
        let Ok(hasty) = Scope::compile(spec) else { return Ok(()) };
        let calm = Scope::compile(calm).unwrap();
        prop_assert_eq!(hasty.hash(), calm.hash());
        prop_assert_eq!(hasty.primary_ranges(), calm.primary_ranges());
        prop_assert_eq!(hasty.warnings(), calm.warnings());
        for key in keys {
            prop_assert_eq!(hasty.decide(&key).rule.index(), calm.decide(&key).rule.index());
        }
    }

    #[test]
    fn a_rule_that_never_decides_can_be_removed(spec in spec(), keys in vec(key(), 1..40)) {
        use keyspace_filter::Source::User;
        use keyspace_filter::WarningKind::{Contradicts, NeverMatches, Shadowed};

        let Ok(scope) = Scope::compile(spec.clone()) else { return Ok(()) };
        let idle = scope.warnings().iter().find_map(|warning| match (warning.kind(), warning.source()) {
            (Contradicts { .. } | NeverMatches | Shadowed { .. }, User(index)) => Some(index),
            _ => None,
        });
        if let Some(index) = idle {
            let mut rest = spec;
            rest.rules.remove(index);
            let Ok(without) = Scope::compile(rest) else { return Ok(()) };
            for key in keys {
                prop_assert_eq!(scope.admits(&key), without.admits(&key));
            }
        }
    }

    #[test]
    fn nothing_hard_local_is_admitted_by_a_tame_rule(mut spec in spec(), keys in vec(key(), 1..40)) {
        spec.preset = Preset::Kubernetes;
        for rule in &mut spec.rules {
            rule.r#unsafe = false;
        }
        if let Ok(scope) = Scope::compile(spec) {
            for key in keys {
                let hard = key.starts_with(b"/registry/persistentvolumes/")
                    || key.starts_with(b"/registry/ranges/");
                prop_assert!(!(hard && scope.admits(&key)));
            }
        }
    }
}
