//! What encryption at rest leaves readable.

use kube_meta::{Envelope, Format, skim};

use crate::encode::{number, text};
use crate::{assert_opaque, assert_tells_nothing};

fn envelope(value: &[u8]) -> Envelope<'_> {
    let meta = skim(value);
    assert_tells_nothing(&meta);
    let Format::Encrypted(envelope) = meta.format() else { panic!("{}", value.escape_ascii()) };
    envelope
}

#[test]
fn every_provider_tells_its_key() {
    for (prefix, provider, version, key) in [
        ("k8s:enc:aescbc:v1:key1:", "aescbc", "v1", "key1"),
        ("k8s:enc:aesgcm:v1:2026-01-02:", "aesgcm", "v1", "2026-01-02"),
        ("k8s:enc:secretbox:v1:key 2:", "secretbox", "v1", "key 2"),
        ("k8s:enc:kms:v1:vault:", "kms", "v1", "vault"),
        ("k8s:enc:kms:v2:schlüssel:", "kms", "v2", "schlüssel"),
        ("k8s:enc:aesgcm2:v10:k:", "aesgcm2", "v10", "k"),
    ] {
        let expected = Envelope { provider, version, key, kms_key_id: None };
        assert_eq!(envelope(prefix.as_bytes()), expected);
        let sealed = [prefix.as_bytes(), b"\xff:k8s\0:{"].concat();
        assert_eq!(envelope(&sealed), expected);
    }
}

#[test]
fn kms_v2_tells_which_key_the_plugin_used() {
    let sealed = [text(1, "data"), text(2, "key-id-7"), text(3, "dek"), number(5, 1)].concat();
    let of = |prefix: &[u8], sealed: &[u8]| {
        envelope(&[prefix, sealed].concat()).kms_key_id.map(str::to_owned)
    };
    assert_eq!(of(b"k8s:enc:kms:v2:vault:", &sealed).as_deref(), Some("key-id-7"));
    assert_eq!(of(b"k8s:enc:kms:v1:vault:", &sealed), None);
    assert_eq!(of(b"k8s:enc:aesgcm:v1:vault:", &sealed), None);
    for sealed in [
        &sealed[..sealed.len() - 1],
        &text(1, "data"),
        &text(2, ""),
        &text(2, "a\nb"),
        &text(2, &"k".repeat(1025)),
        &number(2, 7),
    ] {
        assert_eq!(of(b"k8s:enc:kms:v2:vault:", sealed), None, "{}", sealed.escape_ascii());
    }
    assert!(of(b"k8s:enc:kms:v2:vault:", &text(2, &"k".repeat(1024))).is_some());
}

#[test]
fn a_prefix_that_kubernetes_never_writes_is_opaque() {
    for prefix in [
        "k8s:enc:",
        "k8s:enc:aescbc",
        "k8s:enc:aescbc:v1",
        "k8s:enc:aescbc:v1:",
        "k8s:enc:aescbc:v1:key1",
        "k8s:enc:aescbc:v1::",
        "k8s:enc::v1:key1:",
        "k8s:enc:aescbc::key1:",
        "k8s:enc:AESCBC:v1:key1:",
        "k8s:enc:aes cbc:v1:key1:",
        "k8s:enc:aescbc:v:key1:",
        "k8s:enc:aescbc:1:key1:",
        "k8s:enc:aescbc:v1x:key1:",
        "k8s:enc:aescbc:v1:ke\ny1:",
        "k8s:enc:aescbc:v1:\u{1b}[31m:",
        "k8s:enc:aescbc:v1:\u{9b}31m:",
        " k8s:enc:aescbc:v1:key1:",
        "K8S:ENC:aescbc:v1:key1:",
    ] {
        assert_opaque(prefix.as_bytes());
    }
    assert_opaque(b"k8s:enc:aescbc:v1:\xff:");
    assert_opaque(format!("k8s:enc:aescbc:v1:{}:", "k".repeat(1025)).as_bytes());
    assert_opaque(format!("k8s:enc:{}:v1:key1:", "p".repeat(33)).as_bytes());
    assert_eq!(envelope(format!("k8s:enc:a:v1:{}:", "k".repeat(1024)).as_bytes()).key.len(), 1024);
}
