//! What a ring of several providers tells.

use kube_encryption::{Keyring, Opened};
use kube_meta::{Format, skim};

use crate::{configuration, entry, keyring, provider};

const PATH: &[u8] = b"/registry/secrets/shop/token";

fn knows(ring: &Keyring, value: &[u8]) -> bool {
    let meta = skim(value);
    let Format::Encrypted(envelope) = meta.format() else { panic!("no envelope") };
    ring.knows(&envelope)
}

fn several() -> Keyring {
    let secret = |number: u8| entry(&format!("key{number}"), &[number; 32]);
    Keyring::parse(&format!(
        "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets, configmaps]
  providers:
  - kms: {{apiVersion: v2, name: vault, endpoint: 'unix:///run/kms.sock', timeout: 3s}}
  - kms: {{name: old, endpoint: 'unix:///run/old.sock', cachesize: 100}}
  - aesgcm: {{keys: [{}, {}]}}
  - identity: {{}}
- resources: ['*.*']
  providers:
  - identity: {{}}
  - secretbox: {{keys: [{}]}}
",
        secret(2),
        secret(1),
        secret(1),
    ))
    .unwrap()
}

#[test]
fn every_key_is_told_with_its_resources() {
    let ring = several();
    let told: Vec<_> = ring
        .keys()
        .map(|key| {
            format!("{} {} {} {}", key.provider, key.version, key.key, key.resources.join("+"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "kms v2 vault secrets+configmaps",
            "kms v1 old secrets+configmaps",
            "aesgcm v1 key2 secrets+configmaps",
            "aesgcm v1 key1 secrets+configmaps",
            "secretbox v1 key1 *.*",
        ]
    );
}

#[test]
fn a_key_is_known_by_provider_version_and_name() {
    let ring = several();
    for (value, known) in [
        (&b"k8s:enc:aesgcm:v1:key1:x"[..], true),
        (b"k8s:enc:aesgcm:v1:key2:x", true),
        (b"k8s:enc:aesgcm:v1:key3:x", false),
        (b"k8s:enc:aesgcm:v2:key1:x", false),
        (b"k8s:enc:aescbc:v1:key1:x", false),
        (b"k8s:enc:secretbox:v1:key1:x", true),
        (b"k8s:enc:secretbox:v1:key2:x", false),
        (b"k8s:enc:kms:v2:vault:x", true),
        (b"k8s:enc:kms:v1:vault:x", false),
        (b"k8s:enc:kms:v1:old:x", true),
    ] {
        assert_eq!(knows(&ring, value), known, "{}", value.escape_ascii());
        assert_eq!(ring.open(PATH, value) == Opened::UnknownKey, !known);
    }
}

#[test]
fn of_a_kms_only_the_name_is_known() {
    let ring = several();
    assert_eq!(ring.open(PATH, b"k8s:enc:kms:v2:vault:\x12\x01k"), Opened::Unproven);
    assert_eq!(ring.open(PATH, b"k8s:enc:kms:v1:old:\x00\x01k"), Opened::Unproven);
    assert_eq!(ring.open(PATH, b"k8s:enc:kms:v2:old:\x12\x01k"), Opened::UnknownKey);
}

#[test]
fn what_has_no_envelope_is_plain_and_half_an_envelope_is_unreadable() {
    let ring = several();
    for value in [&b""[..], b"k8s\0", b"{}", b"k8s:en", b"18295", b" k8s:enc:aesgcm:v1:key1:"] {
        assert_eq!(ring.open(PATH, value), Opened::Plain, "{}", value.escape_ascii());
    }
    for value in [
        &b"k8s:enc:"[..],
        b"k8s:enc:aesgcm",
        b"k8s:enc:aesgcm:v1:",
        b"k8s:enc:aesgcm:v1:key1",
        b"k8s:enc:aesgcm:v1::x",
        b"k8s:enc:AESGCM:v1:key1:x",
        b"k8s:enc:aesgcm:v1:key1:",
        b"k8s:enc:secretbox:v1:key1:",
    ] {
        assert_eq!(ring.open(PATH, value), Opened::Unreadable, "{}", value.escape_ascii());
    }
}

#[test]
fn a_ring_without_keys_opens_nothing() {
    let ring = keyring("{identity: {}}");
    assert_eq!(ring.keys().count(), 0);
    assert_eq!(ring.open(PATH, b"k8s:enc:aesgcm:v1:key1:x"), Opened::UnknownKey);
    assert_eq!(ring.open(PATH, b"k8s\0"), Opened::Plain);
}

#[test]
fn debug_shows_names_and_no_key() {
    let key = b"hunter2hunter2hunter2hunter2hunt";
    let shown = format!("{:?}", keyring(&provider("secretbox", "key1", key)));
    assert!(shown.contains("secretbox") && shown.contains("key1") && shown.contains("secrets"));
    for secret in ["hunter", "aHVudGVy", "104, 117", "68756e"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(configuration(&provider("secretbox", "key1", key)).contains("aHVudGVy"));
}
