//! When a key goes in a copy, and what tells its namespace.

use std::borrow::Cow;

use etcd_mvcc::KeyRange;
use keyspace_filter::{Scope, ScopeSpec, Turn};

use crate::{bare, compiled, kubernetes, rule, strings, with_rules};

const CRD: &[u8] = b"/registry/apiextensions.k8s.io/customresourcedefinitions/machines.x-k8s.io";

fn prefixes(prefixes: &[&str]) -> Vec<KeyRange> {
    prefixes.iter().map(|prefix| KeyRange::prefix(prefix.as_bytes())).collect()
}

#[track_caller]
fn first(scope: &Scope, wanted: &[&str]) {
    let (primary, standby) = scope.first_ranges();
    assert_eq!(primary, prefixes(wanted));
    assert_eq!(standby, primary);
}

fn bare_with(text: &str) -> Scope {
    bare(ScopeSpec { rules: vec![rule(text)], ..ScopeSpec::default() })
}

#[test]
fn namespaces_and_accounts_go_first_and_definitions_last() {
    let scope = kubernetes();
    assert_eq!(scope.turn(b"/registry/namespaces/team"), Turn::First);
    assert_eq!(scope.turn(b"/registry/serviceaccounts/team/default"), Turn::First);
    assert_eq!(scope.turn(b"/registry/secrets/team/namespaces"), Turn::Usual);
    assert_eq!(scope.turn(b"/registry/g.io/serviceaccounts/team/a"), Turn::Usual);
    assert_eq!(scope.turn(b"/registry/namespaces/of/unknown/shape"), Turn::Usual);
    assert_eq!(scope.turn(CRD), Turn::Last);
    assert!(Turn::First < Turn::Usual && Turn::Usual < Turn::Last);
    first(&scope, &["/registry/namespaces/", "/registry/serviceaccounts/"]);
}

#[test]
fn without_a_preset_only_what_is_urgent_goes_first() {
    let scope = bare(ScopeSpec::default());
    for key in [&b"/registry/namespaces/team"[..], CRD, b"a"] {
        assert_eq!(scope.turn(key), Turn::Usual);
    }
    first(&scope, &[]);
    let scope = bare_with(r#"{"action":"include","prefix":"/seed/","urgent":true}"#);
    assert_eq!(scope.turn(b"/seed/a"), Turn::First);
    assert_eq!(scope.turn(b"/seed"), Turn::Usual);
    first(&scope, &["/seed/"]);
}

#[test]
fn what_an_urgent_rule_decides_goes_first() {
    let seeds = r#"{"action":"include","resource":"auth.io/seedbundles","urgent":true}"#;
    let local = r#"{"action":"local","resource":"auth.io/seedbundles","name":"mine"}"#;
    let scope = with_rules(&[local, seeds]);
    assert_eq!(scope.turn(b"/registry/auth.io/seedbundles/s"), Turn::First);
    // Another rule decides it.
    assert_eq!(scope.turn(b"/registry/auth.io/seedbundles/mine"), Turn::Usual);
    first(
        &scope,
        &["/registry/auth.io/seedbundles/", "/registry/namespaces/", "/registry/serviceaccounts/"],
    );
}

#[test]
fn haste_wins_over_the_presets_last() {
    let scope = with_rules(&[
        r#"{"action":"include","resource":"apiextensions.k8s.io/*","name":"machines.*","urgent":true}"#,
    ]);
    assert_eq!(scope.turn(CRD), Turn::First);
    first(
        &scope,
        &["/registry/apiextensions.k8s.io/", "/registry/namespaces/", "/registry/serviceaccounts/"],
    );
}

#[test]
fn a_rule_that_could_match_anywhere_makes_every_range_one_of_the_first() {
    for text in [
        r#"{"action":"include","name":"seed","urgent":true}"#,
        r#"{"action":"include","resource":"*","name":"seed","urgent":true}"#,
        r#"{"action":"include","prefix":"/","namespace":"team","urgent":true}"#,
    ] {
        let scope = with_rules(&[text]);
        assert_eq!(scope.first_ranges().0, scope.primary_ranges(), "{text}");
    }
    first(&bare_with(r#"{"action":"include","name":"seed","urgent":true}"#), &["/registry/"]);
    let scope = bare_with(r#"{"action":"include","prefix":"","urgent":true}"#);
    assert_eq!(scope.first_ranges().0, scope.primary_ranges());
}

#[test]
fn a_rule_that_matches_nothing_costs_no_range() {
    let torn =
        r#"{"action":"include","prefix":"/registry/roles/","resource":"secrets","urgent":true}"#;
    first(&bare_with(torn), &[]);
    let narrow = r#"{"action":"include","prefix":"/registry/secrets/team/","resource":"secrets","urgent":true}"#;
    first(&bare_with(narrow), &["/registry/secrets/team/"]);
}

#[test]
fn keys_are_asked_of_as_the_standby_spells_them() {
    let scope = compiled(ScopeSpec {
        prefixes: strings(&["/registry/"]),
        dest_prefix: Some("/parked/".into()),
        ..ScopeSpec::default()
    });
    assert_eq!(scope.turn(b"/parked/namespaces/team"), Turn::First);
    assert_eq!(scope.turn(b"/registry/namespaces/team"), Turn::Usual);
    let (primary, standby) = scope.first_ranges();
    assert_eq!(primary, prefixes(&["/registry/namespaces/", "/registry/serviceaccounts/"]));
    assert_eq!(standby, prefixes(&["/parked/namespaces/", "/parked/serviceaccounts/"]));
    let namespace = |key: &'static [u8]| scope.namespace_of(key);
    assert_eq!(namespace(b"/parked/secrets/team/s").as_deref(), Some(&b"team"[..]));
    assert_eq!(namespace(b"/registry/secrets/team/s"), None);
    assert_eq!(namespace(b"/parked/clusterroles/team"), None);
}

#[test]
fn the_namespace_of_a_key_is_borrowed_from_it() {
    let scope = kubernetes();
    let namespace = |key: &'static [u8]| scope.namespace_of(key);
    assert!(matches!(namespace(b"/registry/secrets/team/s"), Some(Cow::Borrowed(b"team"))));
    assert!(matches!(namespace(b"/registry/namespaces/team"), Some(Cow::Borrowed(b"team"))));
    assert_eq!(namespace(b"/registry/storageclasses/default"), None);
    assert_eq!(namespace(b"/registry/secrets/team/a/b"), None);
    assert_eq!(namespace(b"compact_rev_key"), None);
}

#[test]
fn a_namespace_is_in_scope_when_its_object_is() {
    let scope = kubernetes();
    assert!(scope.admits_namespace(b"team") && scope.admits_namespace(b"default-x"));
    assert!(!scope.admits_namespace(b"default") && !scope.admits_namespace(b"cpaas-system"));
    assert!(!scope.admits_namespace(b""));
    let scope = compiled(ScopeSpec {
        etcd_prefix: "/other".into(),
        exclude_namespaces: strings(&["team"]),
        include_namespaces: strings(&["default"]),
        ..ScopeSpec::default()
    });
    assert!(scope.admits_namespace(b"default") && !scope.admits_namespace(b"team"));
}
