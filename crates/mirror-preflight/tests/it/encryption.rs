//! The gates on encryption at rest, but for trials, which need real keys.

use keyspace_filter::Preset;
use mirror_preflight::{Gate, Outcome, Severity, Verdict};

use crate::world::{World, sealed};

const LOGIN: &str = "/registry/secrets/web/login";

#[test]
fn without_encryption_every_such_gate_is_met() {
    let world = World::new();
    world.on_primary(LOGIN, "{}").on_standby("/registry/secrets/default/s", "{}");
    for gate in [Gate::EncryptionKeys, Gate::EncryptionTrial, Gate::EncryptionPrefix] {
        world.assert_passes(gate);
    }
}

#[test]
fn a_standby_that_encrypts_nothing_knows_no_key() {
    let world = World::new();
    world.on_primary(LOGIN, &sealed("aescbc", "key1", "a"));
    let detail = world.assert_finds(Gate::EncryptionKeys, &[LOGIN]);
    assert!(detail.contains("aescbc:v1:key1"), "{detail}");
    assert_eq!(world.report().verdict, Verdict::Refused);
}

#[test]
fn a_key_that_the_standby_uses_anywhere_is_known_and_one_of_another_name_or_provider_is_not() {
    let world = World::new();
    world
        .on_primary(LOGIN, &sealed("aescbc", "key1", "a"))
        .on_standby("/registry/secrets/default/s", &sealed("aescbc", "key1", "b"));
    world.assert_passes(Gate::EncryptionKeys);
    world.on_primary(LOGIN, &sealed("aescbc", "key2", "a"));
    world.assert_finds(Gate::EncryptionKeys, &[LOGIN]);
    world.on_primary(LOGIN, &sealed("secretbox", "key1", "a"));
    world.assert_finds(Gate::EncryptionKeys, &[LOGIN]);
}

#[test]
fn what_was_copied_byte_for_byte_proves_nothing() {
    let world = World::new();
    let value = sealed("aescbc", "key1", "a");
    world.on_primary(LOGIN, &value).on_standby(LOGIN, &value);
    world.assert_finds(Gate::EncryptionKeys, &[LOGIN]);
    world.on_standby(LOGIN, &sealed("aescbc", "key1", "its own"));
    world.assert_passes(Gate::EncryptionKeys);
}

#[test]
fn what_stays_on_the_primary_needs_no_key() {
    let world = World::new();
    world.on_primary("/registry/secrets/kube-system/s", &sealed("aescbc", "key1", "a"));
    world.assert_passes(Gate::EncryptionKeys);
}

#[test]
fn without_a_configuration_it_is_said_that_names_prove_nothing() {
    let world = World::new();
    world
        .on_primary(LOGIN, &sealed("aescbc", "key1", "a"))
        .on_standby("/registry/secrets/default/s", &sealed("aescbc", "key1", "b"));
    let gate = world.gate(Gate::EncryptionTrial);
    assert_eq!((gate.outcome, gate.severity), (Outcome::Found, Severity::Info), "{gate:?}");
    assert_eq!(gate.shown[0].key, "aescbc:v1:key1");
}

#[test]
fn a_value_that_is_bound_to_its_key_must_not_move() {
    let mut world = World::new();
    world.scope.preset = Preset::None;
    world.scope.prefixes = vec!["/registry/".to_owned()];
    world.on_primary(LOGIN, &sealed("aesgcm", "key1", "a"));
    world.assert_passes(Gate::EncryptionPrefix);
    world.scope.dest_prefix = Some("/copy/".to_owned());
    let detail = world.assert_finds(Gate::EncryptionPrefix, &[LOGIN]);
    assert!(detail.contains("aesgcm:v1:key1"), "{detail}");
    world.on_primary(LOGIN, "k8s:enc:kms:v2:plugin:\x0a\x01x\x12\x02id");
    world.assert_finds(Gate::EncryptionPrefix, &[LOGIN]);
    world.on_primary(LOGIN, &sealed("secretbox", "key1", "a"));
    world.assert_passes(Gate::EncryptionPrefix);
}

#[test]
fn no_byte_of_a_value_is_shown() {
    let world = World::new();
    world
        .on_primary(LOGIN, &sealed("aescbc", "key1", "c1phert3xt"))
        .on_standby("/registry/secrets/default/s", r#"{"metadata":{"uid":"u"},"data":"pl41n"}"#);
    let report = world.report();
    for told in [format!("{report:?}"), serde_json::to_string(&report).unwrap()] {
        assert!(!told.contains("c1phert3xt") && !told.contains("pl41n"), "{told}");
    }
}
