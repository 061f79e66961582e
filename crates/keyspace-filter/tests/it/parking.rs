//! Keys that a rule holds until the standby is promoted.

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::{Scope, ScopeError, ScopeSpec, Turn};

use crate::{compiled, rule, strings};

const PARKED: &str = "/etcd-sync/m/parked";
const HOLD: &str = r#"{"action":"hold-until-promote","resource":"cluster.x-k8s.io/*"}"#;
const MACHINE: &str = "/registry/cluster.x-k8s.io/machines/team/m-0";

fn spec(rules: &[&str]) -> ScopeSpec {
    let rules = rules.iter().map(|text| rule(text)).collect();
    ScopeSpec { rules, parked_prefix: Some(PARKED.to_owned()), ..ScopeSpec::default() }
}

fn parked(key: &str) -> String {
    format!("{PARKED}{key}")
}

#[test]
fn what_is_held_is_in_scope_and_has_its_place_below_our_own_prefix() {
    let scope = compiled(spec(&[HOLD]));
    let decision = scope.decide(MACHINE.as_bytes());
    assert!(decision.admitted && decision.parked && scope.holds_keys());
    assert!(decision.rule.to_string().contains("hold-until-promote"), "{}", decision.rule);
    let place = scope.place(&Key::from(MACHINE)).unwrap();
    assert_eq!(place, Key::from(parked(MACHINE)));
    assert_eq!(scope.primary_key(&place), Some(Key::from(MACHINE)));
    assert!(scope.admits_standby(place.as_bytes()) && scope.is_parked(place.as_bytes()));
    assert_eq!(scope.namespace_of(place.as_bytes()).as_deref(), Some(&b"team"[..]));
    let resource = scope.resource_of(place.as_bytes());
    assert_eq!(resource.as_deref(), Some(&b"cluster.x-k8s.io/machines"[..]));
}

#[test]
fn the_own_place_of_what_is_held_is_left_alone() {
    let scope = compiled(spec(&[HOLD]));
    assert!(!scope.admits_standby(MACHINE.as_bytes()));
    assert_eq!(scope.primary_key(&Key::from(MACHINE)), None);
}

#[test]
fn our_own_keys_and_the_parking_places_of_other_mirrors_stay_out() {
    let scope = compiled(spec(&[HOLD]));
    for key in ["checkpoint", "parked", "ledger/etcd-sync/m/parked/a"] {
        assert!(!scope.admits_standby(format!("/etcd-sync/m/{key}").as_bytes()), "{key}");
    }
    assert!(!scope.admits_standby(format!("/etcd-sync/n/parked{MACHINE}").as_bytes()));
    // And nothing that the primary has parked as a standby of its own is mirrored.
    assert!(!scope.admits(parked(MACHINE).as_bytes()));
}

#[test]
fn what_an_earlier_rule_has_parked_is_seen_and_has_no_place_on_the_primary() {
    let scope = compiled(spec(&[]));
    let left = parked(MACHINE);
    assert!(scope.admits_standby(left.as_bytes()) && !scope.holds_keys());
    assert_eq!(scope.primary_key(&Key::from(left.clone())), None);
    let [place, live @ ..] = scope.stretches() else { panic!("no stretch") };
    assert!(place.primary.is_empty() && place.standby == KeyRange::prefix(PARKED.as_bytes()));
    assert_eq!(live.len(), scope.primary_ranges().len());
}

#[test]
fn held_keys_are_read_where_they_can_lie_and_nowhere_else() {
    let scope = compiled(spec(&[HOLD, r#"{"action":"hold-until-promote","resource":"g.io/ps"}"#]));
    let read: Vec<_> = scope
        .stretches()
        .iter()
        .filter(|stretch| stretch.standby.start().as_bytes().starts_with(PARKED.as_bytes()))
        .map(|stretch| stretch.primary.clone())
        .collect();
    let expected = ["/registry/cluster.x-k8s.io/", "/registry/g.io/ps/"];
    assert_eq!(read, expected.map(|prefix| KeyRange::prefix(prefix.as_bytes())));
}

#[test]
fn the_first_rule_that_matches_decides_also_over_holding() {
    let scope = compiled(spec(&[
        r#"{"action":"local","resource":"cluster.x-k8s.io/*","name":"global"}"#,
        r#"{"action":"include","resource":"cluster.x-k8s.io/machinesets"}"#,
        HOLD,
    ]));
    let told = |key: &str| {
        let decision = scope.decide(key.as_bytes());
        (decision.admitted, decision.parked)
    };
    assert_eq!(told("/registry/cluster.x-k8s.io/clusters/team/global"), (false, false));
    assert_eq!(told("/registry/cluster.x-k8s.io/machinesets/team/a"), (true, false));
    assert_eq!(told(MACHINE), (true, true));
}

#[test]
fn what_is_hard_local_is_held_only_by_a_rule_that_says_so() {
    let hold = |more: &str| {
        let text =
            format!(r#"{{"action":"hold-until-promote","resource":"persistentvolumes"{more}}}"#);
        compiled(spec(&[&text]))
    };
    let volume = b"/registry/persistentvolumes/pv-1";
    assert!(!hold("").admits(volume));
    let bold = hold(r#","unsafe":true"#);
    assert!(bold.decide(volume).parked);
}

#[test]
fn what_waits_has_no_turn() {
    let scope =
        compiled(spec(&[r#"{"action":"hold-until-promote","resource":"serviceaccounts"}"#]));
    let account = "/registry/serviceaccounts/team/a";
    assert_eq!(scope.turn(parked(account).as_bytes()), Turn::Usual);
    // Once it is released, it has.
    assert_eq!(scope.turn(account.as_bytes()), Turn::First);
}

#[test]
fn holding_changes_the_hash_and_where_does_not() {
    let include = r#"{"action":"include","resource":"cluster.x-k8s.io/*"}"#;
    let held = compiled(spec(&[HOLD]));
    assert_ne!(held.hash(), compiled(spec(&[include])).hash());
    let elsewhere = ScopeSpec { parked_prefix: Some("/etcd-sync/n/p".into()), ..spec(&[HOLD]) };
    assert_eq!(held.hash(), compiled(elsewhere).hash());
    let nowhere = ScopeSpec { parked_prefix: None, ..spec(&[]) };
    assert_eq!(compiled(spec(&[])).hash(), compiled(nowhere).hash());
}

#[test]
fn a_rule_that_can_not_hold_is_refused_by_its_place() {
    let refused = |spec: ScopeSpec, words: &[&str]| {
        let error = Scope::compile(spec).expect_err("a scope that must be refused");
        assert_eq!(error.rule(), Some(0));
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    refused(ScopeSpec { parked_prefix: None, ..spec(&[HOLD]) }, &["rules[0]", "parked_prefix"]);
    let prefixes = strings(&["/registry/"]);
    let dest_prefix = Some("/copy/".to_owned());
    let rewriting = ScopeSpec { prefixes: prefixes.clone(), dest_prefix, ..spec(&[HOLD]) };
    refused(rewriting, &["rules[0]", "dest_prefix"]);
    refused(ScopeSpec { prefixes, no_dest_prefix: true, ..spec(&[HOLD]) }, &["no_dest_prefix"]);
    let hasty = r#"{"action":"hold-until-promote","resource":"g.io/ps","urgent":true}"#;
    refused(spec(&[hasty]), &["rules[0]", "urgent"]);
}

#[test]
fn the_parking_place_lies_below_our_own_prefix() {
    for prefix in ["/registry/parked", "/etcd-sync/", "/etcd-sync"] {
        let spec = ScopeSpec { parked_prefix: Some(prefix.into()), ..spec(&[]) };
        let error = Scope::compile(spec).expect_err("a place that is not ours");
        assert!(matches!(error, ScopeError::ParkedOutside { .. }), "{error}");
    }
}

#[test]
fn the_primary_spells_every_key_of_the_standby_but_our_own() {
    let scope = compiled(spec(&[HOLD]));
    let spelt = |key: String| scope.primary_spelling(&Key::from(key));
    assert_eq!(spelt(parked("/registry/x")), Some(Key::from("/registry/x")));
    assert_eq!(spelt("/registry/x".into()), Some(Key::from("/registry/x")));
    assert_eq!(spelt("/etcd-sync/m/checkpoint".into()), None);
}
