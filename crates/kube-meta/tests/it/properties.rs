//! What holds for any object and any bytes.

use kube_meta::{Format, skim};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::assert_tells_nothing;
use crate::encode::Object;

fn object() -> impl Strategy<Value = Object> {
    let kind = prop_oneof![".{0,8}", select(vec!["PersistentVolume", "Service"]).prop_map_into()];
    let named = (prop_oneof![Just("v1".to_owned()), ".{0,8}"], kind, any::<bool>());
    let identity = (".{0,8}", ".{0,8}", ".{0,40}");
    let lists = (vec(uniform4(".{0,8}"), 0..4), vec(".{0,8}", 0..4));
    let texts = (named, identity, lists, ".{0,400}");
    texts.prop_map(|(named, (name, namespace, uid), (owners, finalizers), rest)| {
        let (api_version, kind, deleting) = named;
        Object { api_version, kind, name, namespace, uid, deleting, owners, finalizers, rest }
    })
}

/// Bytes behind each beginning that means something.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let prefix = select(vec![
        &b""[..],
        b"k8s\0",
        b"k8s\0\x12\x7f\x0a\x7d",
        b"{",
        b"\xd9\xd9\xf7",
        b"\xd9\xd9\xf7\xa1\x48metadata\xa4",
        b"k8s:enc:",
        b"k8s:enc:kms:v2:",
        b"k8s:enc:kms:v2:vault:",
    ]);
    (prefix, vec(any::<u8>(), 0..200)).prop_map(|(prefix, rest)| [prefix, &*rest].concat())
}

/// Asks everything; nothing may panic, and what can't be read may tell nothing.
fn ask(value: &[u8]) {
    let meta = skim(value);
    assert!(!format!("{meta:?}").is_empty());
    assert!(meta.uid().is_none_or(|uid| !uid.is_empty()));
    assert!(meta.claim().is_none() || meta.kind() == Some("PersistentVolume"));
    if let Some(service) = meta.service() {
        assert_eq!(meta.kind(), Some("Service"));
        assert!(service.cluster_ips().map(str::len).sum::<usize>() <= value.len());
        assert!(service.node_ports().all(|port| port != 0));
    }
    let bytes: usize = meta.owners().map(|owner| owner.uid.len()).sum();
    let more: usize = meta.finalizers().map(str::len).sum();
    assert!(bytes + more <= value.len());
    match meta.format() {
        Format::Protobuf | Format::Json | Format::Cbor => assert!(meta.is_readable()),
        Format::Opaque => assert_tells_nothing(&meta),
        Format::Encrypted(envelope) => {
            assert_tells_nothing(&meta);
            let (provider, version, key) = (envelope.provider, envelope.version, envelope.key);
            assert!(value.starts_with(format!("k8s:enc:{provider}:{version}:{key}:").as_bytes()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(object in object()) {
        for value in [object.protobuf(), object.json(), object.cbor(true), object.cbor(false)] {
            let meta = skim(&value);
            prop_assert!(meta.is_readable());
            prop_assert_eq!(meta.api_version().unwrap_or_default(), &object.api_version);
            prop_assert_eq!(meta.kind().unwrap_or_default(), &object.kind);
            prop_assert_eq!(meta.name().unwrap_or_default(), &object.name);
            prop_assert_eq!(meta.namespace().unwrap_or_default(), &object.namespace);
            prop_assert_eq!(meta.uid().unwrap_or_default(), &object.uid);
            prop_assert_eq!(meta.is_deleting(), object.deleting);
            prop_assert_eq!(meta.owners().collect::<Vec<_>>(), object.owners());
            prop_assert_eq!(meta.finalizers().collect::<Vec<_>>(), &*object.finalizers);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(value in value()) {
        ask(&value);
    }

    #[test]
    fn a_damaged_object_never_panics(
        object in object(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        for mut value in [object.protobuf(), object.json(), object.cbor(true)] {
            for (at, byte) in &damage {
                let at = at.index(value.len());
                value[at] = *byte;
            }
            ask(&value);
        }
    }
}
