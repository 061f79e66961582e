//! The gates on encryption at rest.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyspace_filter::{Action, Preset, RuleSpec, parked_prefix};
use kube_encryption::Keyring;
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
fn what_is_parked_goes_back_to_its_own_key_and_stays_readable() {
    let mut world = World::new();
    let value = sealed("aesgcm", "key1", "a");
    world.on_primary(LOGIN, &value);
    let resource = Some("secrets".to_owned());
    world.scope.rules = vec![RuleSpec { resource, ..RuleSpec::new(Action::HoldUntilPromote) }];
    world.scope.parked_prefix = Some(parked_prefix("m"));
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

/// Secrets that an apiserver encrypted, and the configuration that it had.
const REAL: &str = include_str!("../../../kube-encryption/tests/fixtures/secretbox.jsonl");
const REAL_CONFIG: &str =
    include_str!("../../../kube-encryption/tests/fixtures/encryption-secretbox.yaml");
/// The configuration's key, and another one of the same length.
const KEY: &str = "D4phPpBdHRoDPTNoV241HrkUntJt/lF67+/Ve5qplWY=";
const OTHER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Six of them, four in scope.
fn real() -> World {
    let world = World::new();
    for line in REAL.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = |field: &str| STANDARD.decode(line[field].as_str().unwrap()).unwrap();
        world.primary.with(|etcd| etcd.put(bytes("key"), bytes("value"))).unwrap();
    }
    world
}

fn keyring(yaml: &str) -> Option<Arc<Keyring>> {
    Some(Arc::new(Keyring::parse(yaml).unwrap()))
}

#[test]
fn the_keys_that_encrypted_open_and_their_names_are_known() {
    let mut world = real();
    world.settings.keyring = keyring(REAL_CONFIG);
    world.assert_passes(Gate::EncryptionKeys);
    world.assert_passes(Gate::EncryptionTrial);
    let reason = world.gate(Gate::EncryptionTrial).reason;
    assert!(reason.contains("all 4 values"), "{reason}");
    world.settings.trials_max = 3;
    let reason = world.gate(Gate::EncryptionTrial).reason;
    assert!(reason.contains("all 3 values"), "{reason}");
}

#[test]
fn another_key_of_the_same_name_is_found_by_trying() {
    let mut world = real();
    world.settings.keyring = keyring(&REAL_CONFIG.replace(KEY, OTHER_KEY));
    world.assert_passes(Gate::EncryptionKeys);
    let gate = world.gate(Gate::EncryptionTrial);
    assert_eq!((gate.outcome, gate.severity), (Outcome::Found, Severity::Refuse), "{gate:?}");
    assert_eq!(gate.count, 4);
    assert!(gate.shown[0].detail.contains("of that name is another"), "{gate:?}");
    assert_eq!(world.report().verdict, Verdict::Refused);
}

#[test]
fn a_key_that_the_configuration_does_not_name_is_found_by_both() {
    let mut world = real();
    world.settings.keyring = keyring(&REAL_CONFIG.replace("key1", "key2"));
    assert_eq!(world.gate(Gate::EncryptionKeys).count, 1);
    let gate = world.gate(Gate::EncryptionTrial);
    assert_eq!((gate.count, gate.outcome), (4, Outcome::Found), "{gate:?}");
    assert!(gate.shown[0].detail.contains("names no such key"), "{gate:?}");
}

#[test]
fn what_a_plugin_encrypted_is_left_unproven() {
    let mut world = World::new();
    world.settings.keyring = keyring(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n\
         - resources: [secrets]\n  providers:\n  - kms: {apiVersion: v2, name: vault, endpoint: \
         'unix:///run/vault.sock'}\n",
    );
    world.on_primary(LOGIN, "k8s:enc:kms:v2:vault:\x0a\x01x\x12\x02id");
    let gate = world.gate(Gate::EncryptionTrial);
    assert_eq!((gate.outcome, gate.severity), (Outcome::Found, Severity::Info), "{gate:?}");
    assert!(gate.shown[0].detail.contains("plugin"), "{gate:?}");
}
