//! Keys that a rule holds are compared where they are parked, and nowhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use consistency_checker::{CheckSettings, Kind, Landmarks, Verdict, View, confirm};
use etcd_mvcc::Key;
use etcd_sim::{Rng, SimPrimary, SimStandby};
use keyspace_filter::{Action, RuleSpec, Scope, ScopeSpec, parked_prefix};

use crate::check::{Heads, checked, found, pair, small_pages};
use crate::digest_world::World;

const RESOURCES: [&str; 3] = ["a.io/first", "configmaps", "m.io/machines"];

/// Machines are held: on the primary they lie among other objects, on the standby before all of them.
fn scope() -> Scope {
    let rule = |action, resource: &str, name: Option<&str>| RuleSpec {
        resource: Some(resource.to_owned()),
        name: name.map(str::to_owned),
        ..RuleSpec::new(action)
    };
    let rules = vec![
        rule(Action::HoldUntilPromote, "m.io/machines", None),
        rule(Action::HoldUntilPromote, "configmaps", Some("held-*")),
    ];
    let parked_prefix = Some(parked_prefix("m"));
    Scope::compile(ScopeSpec { rules, parked_prefix, ..ScopeSpec::default() }).unwrap()
}

fn put(standby: &SimStandby, key: &str, value: &str) {
    standby.with(|etcd| etcd.put(key, value)).unwrap();
}

/// Fills both sides, which differ in one key of `one_in`, and returns what was planted, as the standby
/// spells it; without `one_in` they are equal.
fn filled(count: u64, one_in: Option<u64>) -> (SimPrimary, SimStandby, BTreeMap<String, Kind>) {
    let (primary, standby) = pair();
    let scope = scope();
    let mut dice = Rng::new(11);
    let mut planted = BTreeMap::new();
    for number in 0..count {
        let resource = RESOURCES[usize::try_from(number % 3).unwrap()];
        let name = if number % 2 == 0 { "held" } else { "free" };
        let key = format!("/registry/{resource}/ns{}/{name}-{number:05}", number % 7);
        let place = scope.place(&Key::from(key.as_str())).unwrap().to_string();
        let value = format!("value {number}");
        let fate = one_in.map_or(u64::MAX, |one_in| dice.below(one_in * 3));
        if fate != 1 {
            primary.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
        }
        match fate {
            0 => {}
            2 => put(&standby, &place, "another"),
            _ => put(&standby, &place, &value),
        }
        let kinds = [Kind::Missed, Kind::Surplus, Kind::Different];
        let kind = usize::try_from(fate).ok().and_then(|fate| kinds.get(fate));
        planted.extend(kind.map(|kind| (place, *kind)));
    }
    (primary, standby, planted)
}

/// What has no business to be looked at, and what an earlier rule has left.
fn disturb(standby: &SimStandby, planted: &mut BTreeMap<String, Kind>) {
    put(standby, "/registry/m.io/machines/ns1/held-00002", "the standby's own");
    put(standby, "/etcd-sync/m/checkpoint", "{}");
    put(standby, "/etcd-sync/n/parked/registry/m.io/machines/ns1/x", "another mirror's");
    for left in ["/registry/configmaps/ns1/free", "/aaa", "/zzz"] {
        let key = format!("/etcd-sync/m/parked{left}");
        put(standby, &key, "left");
        planted.insert(key, Kind::Surplus);
    }
}

#[tokio::test]
async fn every_divergence_is_found_in_both_places_however_the_keys_are_cut() {
    let (primary, standby, mut planted) = filled(12_000, Some(800));
    disturb(&standby, &mut planted);
    let parked = planted.keys().filter(|key| key.starts_with("/etcd-sync/")).count();
    assert!(parked > 10 && planted.len() > parked + 3, "{planted:?}");
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let mut landmarks = Landmarks::default();
    for parallel in [1, 2, 5] {
        let settings = CheckSettings { parallel, ..small_pages() };
        let outcome = checked((&primary, &standby), &pins, &view, &settings, &landmarks).await;
        assert_eq!(outcome.verdict, Verdict::Drift);
        assert_eq!(found(&outcome), planted);
        landmarks = outcome.landmarks;
    }
    assert!(landmarks.keys().iter().any(|key| key.as_bytes().starts_with(b"/etcd-sync/")));
}

#[tokio::test]
async fn equal_sides_are_in_sync_whatever_lies_in_the_own_place_of_what_is_held() {
    let (primary, standby, _) = filled(100, None);
    for number in 0..50 {
        let key = format!("/registry/m.io/machines/ns/{number}");
        primary.with(|etcd| etcd.put(key.as_str(), "1")).unwrap();
        put(&standby, &format!("/etcd-sync/m/parked{key}"), "1");
        put(&standby, &key, "2");
    }
    let view = View::new(scope()).within([Key::from("/registry/m.io/machines/ns/")]);
    let settings = CheckSettings::default();
    let pins = Heads(&primary, &standby);
    let sides = (&primary, &standby);
    let outcome = checked(sides, &pins, &view, &settings, &Landmarks::default()).await;
    assert_eq!((outcome.verdict, outcome.totals.keys), (Verdict::InSync, 50));
}

#[tokio::test]
async fn a_view_of_a_prefix_reads_of_the_parked_keys_what_has_it() {
    let (primary, standby, planted) = filled(3_000, Some(100));
    let pins = Heads(&primary, &standby);
    for prefix in ["/registry/m.io/machines/ns3/", "/registry/configmaps/"] {
        let view = View::new(scope()).within([Key::from(prefix)]);
        let sides = (&primary, &standby);
        let settings = small_pages();
        let outcome = checked(sides, &pins, &view, &settings, &Landmarks::default()).await;
        let mut expected = planted.clone();
        expected.retain(|key, _| key.contains(prefix));
        assert_eq!(found(&outcome), expected, "{prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_rule_has_left_is_confirmed_as_surplus_though_the_primary_has_the_key() {
    let (primary, standby) = pair();
    primary.with(|etcd| etcd.put("/registry/configmaps/ns/free", "1")).unwrap();
    put(&standby, "/registry/configmaps/ns/free", "1");
    put(&standby, "/etcd-sync/m/parked/registry/configmaps/ns/free", "1");
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let (sides, settings) = ((&primary, &standby), CheckSettings::default());
    let outcome = checked(sides, &pins, &view, &settings, &Landmarks::default()).await;
    let left = "/etcd-sync/m/parked/registry/configmaps/ns/free".to_owned();
    let expected = BTreeMap::from([(left, Kind::Surplus)]);
    assert_eq!(found(&outcome), expected);
    let confirmed = confirm(sides, &view, &pins, outcome, Duration::from_secs(1)).await.unwrap();
    assert_eq!(found(&confirmed.outcome), expected);
}

#[test]
fn two_sides_that_are_read_apart_have_the_same_digest_and_name_the_same_keys() {
    let digested = |one_in: Option<u64>| {
        let (primary, standby, mut planted) = filled(6_000, one_in);
        if one_in.is_some() {
            disturb(&standby, &mut planted);
        }
        let at = primary.with(|etcd| etcd.revision());
        let standby_at = standby.with(|etcd| etcd.revision());
        let world = World { scope: scope(), primary, standby, at, standby_at };
        let (read, found) = world.two_passes();
        let found = found.into_iter().map(|(kind, key)| (key, kind)).collect();
        (read, planted, found)
    };
    let (read, planted, found): (_, _, BTreeMap<String, Kind>) = digested(Some(400));
    assert_eq!(found, planted);
    assert!(read > 0 && planted.len() > 10);
    let (read, planted, found) = digested(None);
    assert!(read == 0 && planted.is_empty() && found.is_empty(), "{found:?}");
}
