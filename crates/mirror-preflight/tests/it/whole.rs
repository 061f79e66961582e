//! Whole reports: a clean pair, one with every fault, and what is allowed.

use keyspace_filter::{Action, RuleSpec};
use mirror_preflight::{Gate, Outcome, Severity, Verdict, gate};

use crate::world::{World, object, sealed, service, shown, with_spec};

/// Every gate but those that a pair of other settings needs.
fn broken() -> World {
    let mut world = World::new();
    world.scope.rules = vec![RuleSpec {
        resource: Some("persistentvolumes".to_owned()),
        r#unsafe: true,
        ..RuleSpec::new(Action::Include)
    }];
    world.settings.versions.primary = Some("3.5.1".to_owned());
    world.settings.revision_margin = 1_000_000;
    let webhook = r#"{"conversion":{"webhook":{"clientConfig":{"service":{"namespace":"kube-system","name":"w"}}}}}"#;
    let definition = "/registry/apiextensions.k8s.io/customresourcedefinitions/things.x.io";
    world
        .on_primary("/registry/secrets/web/orphan", &object("o", &[("Thing", "gone", "gone")]))
        .on_primary("/registry/x.io/modules/global", &object("theirs", &[]))
        .on_standby("/registry/x.io/modules/global", &object("ours", &[]))
        .on_standby(
            "/registry/configmaps/cpaas-system/c",
            &object("c", &[("Module", "global", "ours")]),
        )
        .on_primary("/registry/secrets/web/login", &sealed("aesgcm", "week-7", "x"))
        .on_primary("/registry/persistentvolumes/v", &object("v", &[]))
        .on_primary("/registry/services/specs/web/s", &service("s", "10.0.0.10", 30_000))
        .on_standby("/registry/services/specs/default/t", &service("t", "10.0.0.10", 30_001))
        .on_primary(definition, &with_spec("CustomResourceDefinition", "d", &[], webhook))
        .on_standby(definition, &object("e", &[]));
    world
}

#[test]
fn a_clean_pair_is_ready_and_has_nothing_to_do_but_to_run() {
    let world = World::new();
    world
        .on_primary("/registry/namespaces/web", &object("n", &[]))
        .on_primary("/registry/x.io/things/web/t", &object("t", &[]))
        .on_primary("/registry/secrets/web/s", &object("s", &[("Thing", "t", "t")]))
        .on_primary("/registry/pods/web/p", &object("p", &[("Thing", "gone", "gone")]))
        .on_standby("/registry/namespaces/kube-system", &object("k", &[]));
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Ready, "{report:?}");
    assert_eq!(report.next_steps, ["etcd-sync run"]);
    assert_eq!(report.keys, 3);
    assert_eq!(gate(&report), None);
    let names: Vec<Gate> = report.gates.iter().map(|gate| gate.name).collect();
    assert_eq!(names, Gate::ALL);
    assert!(report.gates.iter().all(|gate| gate.outcome == Outcome::Passed), "{report:?}");
}

#[test]
fn every_planted_fault_is_found_by_its_gate() {
    let report = broken().report();
    assert_eq!(report.verdict, Verdict::Refused);
    let missed: Vec<Gate> = report
        .gates
        .iter()
        .filter(|gate| gate.outcome == Outcome::Passed)
        .map(|gate| gate.name)
        .collect();
    // A pair that rewrites keys can't be one whose other keys have their places.
    assert_eq!(missed, [Gate::EncryptionPrefix]);
    let (reason, release) = gate(&report).unwrap();
    assert!(
        reason.contains("uid-change (1)") && reason.contains("encryption-keys (1)"),
        "{reason}"
    );
    assert_eq!(release, "etcd-sync preflight");
    assert!(report.next_steps[0].starts_with("uid-change: "), "{:?}", report.next_steps);
}

#[test]
fn what_is_allowed_is_still_told_and_refuses_no_more() {
    let mut world = broken();
    world.allow(Gate::UidChange);
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Refused, "the keys of encryption are not allowed");
    world.settings.allow.insert(Gate::EncryptionKeys);
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Warnings);
    assert_eq!(gate(&report), None);
    let allowed = report.gates.iter().find(|gate| gate.name == Gate::UidChange).unwrap();
    assert_eq!((allowed.outcome, allowed.count), (Outcome::Allowed, 1));
}

#[test]
fn the_contract_names_what_readers_look_for() {
    let world = World::new();
    let key = "/registry/configmaps/web/a\nb";
    world.on_primary(key, &object("o", &[("Thing", "gone", "gone")]));
    let report = serde_json::to_value(world.report()).unwrap();
    assert_eq!(report["verdict"], "warnings");
    assert!(report["reason"].is_string() && report["next_steps"].is_array());
    let owners = &report["gates"][0];
    assert_eq!(owners["name"], "owners");
    assert_eq!((&owners["outcome"], &owners["severity"]), (&"found".into(), &"warn".into()));
    assert_eq!(owners["count"], 1);
    assert_eq!(owners["shown"][0]["key"], shown(key));
    assert_eq!(Severity::Warn.as_str(), "warn");
}
