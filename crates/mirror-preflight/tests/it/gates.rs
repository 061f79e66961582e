//! Each gate, met and not met.

use keyspace_filter::{Action, RuleSpec};
use mirror_preflight::{Gate, Outcome, Severity};

use crate::world::{World, object, service, with_spec};

const CRD: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/things.x.io";

fn unsafe_rule(resource: &str) -> RuleSpec {
    RuleSpec {
        resource: Some(resource.to_owned()),
        r#unsafe: true,
        ..RuleSpec::new(Action::Include)
    }
}

#[test]
fn an_owner_that_comes_along_is_no_finding() {
    let world = World::new();
    world
        .on_primary("/registry/secrets/web/s", &object("s", &[("Thing", "t", "t")]))
        .on_primary("/registry/x.io/things/web/t", &object("t", &[]));
    world.assert_passes(Gate::Owners);
}

#[test]
fn an_owner_that_is_absent_or_stays_local_is_found() {
    let world = World::new();
    world
        .on_primary("/registry/secrets/web/orphan", &object("a", &[("Thing", "gone", "gone")]))
        .on_primary("/registry/secrets/web/kept", &object("b", &[("Thing", "local", "local")]))
        .on_primary("/registry/csinodes/local", &object("local", &[]));
    let keys = ["/registry/secrets/web/kept", "/registry/secrets/web/orphan"];
    world.assert_finds(Gate::Owners, &keys);
    let details: Vec<String> =
        world.gate(Gate::Owners).shown.into_iter().map(|finding| finding.detail).collect();
    assert!(details.contains(&"its owner Thing local stays local".to_owned()), "{details:?}");
    assert!(
        details.contains(&"its owner Thing gone was not found on the primary".to_owned()),
        "{details:?}"
    );
    assert_eq!(world.gate(Gate::Owners).severity, Severity::Warn);
}

#[test]
fn one_owner_of_several_is_enough_and_so_is_one_that_the_standby_has() {
    let world = World::new();
    let both = [("Thing", "gone", "gone"), ("Thing", "t", "t")];
    world
        .on_primary("/registry/secrets/web/s", &object("s", &both))
        .on_primary("/registry/x.io/things/web/t", &object("t", &[]))
        .on_primary("/registry/secrets/web/here", &object("h", &[("Node", "n", "n")]))
        .on_standby("/registry/minions/n", &object("n", &[]));
    world.assert_passes(Gate::Owners);
}

#[test]
fn an_owner_that_the_mirror_replaces_on_the_standby_does_not_count() {
    let world = World::new();
    world
        .on_primary("/registry/secrets/web/s", &object("s", &[("Thing", "t", "old")]))
        .on_primary("/registry/x.io/things/web/t", &object("new", &[]))
        .on_standby("/registry/x.io/things/web/t", &object("old", &[]));
    world.assert_finds(Gate::Owners, &["/registry/secrets/web/s"]);
}

#[test]
fn an_owner_that_may_be_among_the_encrypted_is_not_called_missing() {
    let world = World::new();
    world
        .on_primary("/registry/x.io/things/web/t", &object("t", &[("ConfigMap", "c", "c")]))
        .on_primary("/registry/configmaps/web/c", "k8s:enc:secretbox:v1:k:x");
    world.assert_passes(Gate::Owners);
    world.on_primary("/registry/x.io/things/other/t", &object("u", &[("ConfigMap", "c", "d")]));
    world.assert_finds(Gate::Owners, &["/registry/x.io/things/other/t"]);
}

#[test]
fn events_need_no_owner() {
    let mut world = World::new();
    let rule = RuleSpec { resource: Some("events".to_owned()), ..RuleSpec::new(Action::Include) };
    world.scope.rules = vec![rule];
    world.on_primary("/registry/events/web/e", &object("e", &[("Thing", "gone", "gone")]));
    world.assert_passes(Gate::Owners);
}

#[test]
fn a_changed_uid_harms_what_stays_local_and_names_the_old_one() {
    let world = World::new();
    world
        .on_primary("/registry/x.io/modules/global", &object("theirs", &[]))
        .on_standby("/registry/x.io/modules/global", &object("ours", &[]));
    world.assert_passes(Gate::UidChange);
    let local = "/registry/configmaps/cpaas-system/settings";
    world.on_standby(local, &object("c", &[("Module", "global", "ours")]));
    let detail = world.assert_finds(Gate::UidChange, &["/registry/x.io/modules/global"]);
    assert!(detail.contains(local), "{detail}");
    assert_eq!(world.gate(Gate::UidChange).severity, Severity::Refuse);
}

#[test]
fn an_equal_uid_and_dependents_that_are_mirrored_or_rebuilt_harm_nothing() {
    let world = World::new();
    let owner = [("Module", "m", "ours")];
    world
        .on_primary("/registry/x.io/modules/same", &object("same", &[]))
        .on_standby("/registry/x.io/modules/same", &object("same", &[]))
        .on_standby("/registry/configmaps/kube-system/a", &object("a", &[("M", "same", "same")]))
        .on_primary("/registry/x.io/modules/m", &object("theirs", &[]))
        .on_standby("/registry/x.io/modules/m", &object("ours", &[]))
        .on_primary("/registry/secrets/web/s", &object("s", &[("Module", "m", "theirs")]))
        .on_standby("/registry/secrets/web/s", &object("t", &owner))
        .on_standby("/registry/pods/web/p", &object("p", &owner));
    world.assert_passes(Gate::UidChange);
}

#[test]
fn a_moved_key_is_compared_with_the_one_at_its_place() {
    let mut world = World::new();
    world.scope.prefixes = vec!["/registry/x.io/".to_owned()];
    world.scope.dest_prefix = Some("/registry/y.io/".to_owned());
    world
        .on_primary("/registry/x.io/modules/m", &object("theirs", &[]))
        .on_standby("/registry/y.io/modules/m", &object("ours", &[]))
        .on_standby("/registry/configmaps/kube-system/a", &object("a", &[("M", "m", "ours")]));
    world.assert_finds(Gate::UidChange, &["/registry/y.io/modules/m"]);
}

#[test]
fn what_acts_on_infrastructure_is_counted_by_resource_if_it_is_admitted() {
    let mut world = World::new();
    let volume = |namespace: &str| {
        let claim = format!(r#"{{"claimRef":{{"namespace":"{namespace}","name":"c","uid":"u"}}}}"#);
        with_spec("PersistentVolume", "v", &[], &claim)
    };
    world
        .on_primary("/registry/persistentvolumes/mirrored", &volume("web"))
        .on_primary("/registry/persistentvolumes/kept", &volume("cpaas-system"))
        .on_primary("/registry/ranges/serviceips", "bits");
    world.assert_passes(Gate::HardLocal);
    world.scope.rules = vec![unsafe_rule("persistentvolumes"), unsafe_rule("ranges")];
    let keys = [
        "/registry/persistentvolumes/kept",
        "/registry/persistentvolumes/mirrored",
        "/registry/ranges/serviceips",
    ];
    let detail = world.assert_finds(Gate::HardLocal, &keys);
    assert!(detail.contains("claimed from cpaas-system, which stays local"), "{detail}");
    let reason = world.gate(Gate::HardLocal).reason;
    assert!(reason.contains("persistentvolumes 2, ranges 1"), "{reason}");
    assert!(reason.contains("1 volumes stay local"), "{reason}");
}

#[test]
fn two_services_with_one_address_or_port_are_named_both() {
    let world = World::new();
    world
        .on_primary("/registry/services/specs/web/a", &service("a", "10.0.0.10", 30_001))
        .on_primary("/registry/services/specs/web/b", &service("b", "10.0.0.11", 30_002))
        // Its own copy, a local one with other numbers, and a local one that is headless.
        .on_standby("/registry/services/specs/web/a", &service("a", "10.0.0.10", 30_001))
        .on_standby("/registry/services/specs/default/k", &service("k", "10.0.0.1", 30_009))
        .on_primary("/registry/services/specs/web/c", &service("c", "None", 0))
        .on_standby("/registry/services/specs/default/h", &service("h", "None", 0));
    world.assert_passes(Gate::ServiceAddresses);
    world.on_standby("/registry/services/specs/kube-system/dns", &service("d", "10.0.0.10", 1));
    let detail = world.assert_finds(Gate::ServiceAddresses, &["/registry/services/specs/web/a"]);
    assert!(detail.contains("10.0.0.10") && detail.contains("kube-system/dns"), "{detail}");
    world.on_standby("/registry/services/specs/kube-system/p", &service("p", "10.0.0.12", 30_002));
    let keys = ["/registry/services/specs/web/a", "/registry/services/specs/web/b"];
    world.assert_finds(Gate::ServiceAddresses, &keys);
}

#[test]
fn a_standby_that_is_not_far_ahead_is_found() {
    let mut world = World::new();
    world.assert_passes(Gate::RevisionFloor);
    world.settings.revision_margin = 1_000;
    let detail = world.assert_finds(Gate::RevisionFloor, &["standby"]);
    assert!(detail.contains("1000 above"), "{detail}");
}

#[test]
fn a_version_with_known_defects_is_found() {
    let mut world = World::new();
    world.assert_passes(Gate::EtcdVersions);
    world.settings.versions.standby = Some("3.6.4".to_owned());
    let gate = world.gate(Gate::EtcdVersions);
    assert_eq!((gate.outcome, gate.severity), (Outcome::Found, Severity::Warn), "{gate:?}");
    assert!(gate.shown.iter().all(|finding| finding.key == "standby"), "{gate:?}");
    world.settings.versions.standby = None;
    assert_eq!(world.gate(Gate::EtcdVersions).outcome, Outcome::Unknown);
}

#[test]
fn a_choice_is_named_where_it_decides_something() {
    let world = World::new();
    world.on_primary("/registry/secrets/web/s", &object("s", &[]));
    world.assert_passes(Gate::Choices);
    world
        .on_primary("/registry/cronjobs/web/a", &object("a", &[]))
        .on_primary("/registry/cronjobs/web/b", &object("b", &[]));
    let detail = world.assert_finds(Gate::Choices, &["/registry/cronjobs/web/a"]);
    assert!(detail.contains("one of 2 keys") && detail.contains("cronjobs"), "{detail}");
}

#[test]
fn a_definition_that_a_local_service_converts_is_found() {
    let world = World::new();
    let definition = |namespace: &str| {
        let spec = format!(
            r#"{{"conversion":{{"strategy":"Webhook","webhook":{{"clientConfig":{{"caBundle":"eA==","service":{{"namespace":"{namespace}","name":"w"}}}}}}}}}}"#
        );
        with_spec("CustomResourceDefinition", "d", &[], &spec)
    };
    world.on_primary(CRD, &definition("web"));
    world.assert_passes(Gate::ConversionWebhooks);
    world.on_primary(CRD, &definition("cert-manager"));
    let detail = world.assert_finds(Gate::ConversionWebhooks, &[CRD]);
    assert!(detail.contains("cert-manager/w"), "{detail}");
}

#[test]
fn service_accounts_and_definitions_with_another_uid_are_named() {
    let world = World::new();
    let account = "/registry/serviceaccounts/web/default";
    world
        .on_primary(account, &object("a", &[]))
        .on_standby(account, &object("a", &[]))
        .on_primary("/registry/secrets/web/s", &object("x", &[]))
        .on_standby("/registry/secrets/web/s", &object("y", &[]));
    world.assert_passes(Gate::UidSwaps);
    world
        .on_standby(account, &object("b", &[]))
        .on_primary(CRD, &object("c", &[]))
        .on_standby(CRD, &object("d", &[]));
    world.assert_finds(Gate::UidSwaps, &[account, CRD]);
    assert_eq!(world.gate(Gate::UidSwaps).severity, Severity::Info);
}
