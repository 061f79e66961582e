//! A stored value, hostile. Where it is JSON, a parser of all of it must agree.

#![no_main]

use kube_meta::{Format, Meta, skim};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let meta = skim(data);
    assert!(!format!("{meta:?}").is_empty());
    let shown: usize = meta.owners().map(|owner| owner.uid.len() + owner.name.len()).sum();
    let finalizers: usize = meta.finalizers().map(str::len).sum();
    assert!(shown + finalizers <= data.len());
    bound(&meta, data);
    match meta.format() {
        Format::Protobuf | Format::Cbor => assert!(meta.is_readable()),
        Format::Json => agrees(&meta, data),
        Format::Opaque => nothing(&meta),
        Format::Encrypted(envelope) => {
            nothing(&meta);
            let (provider, version, key) = (envelope.provider, envelope.version, envelope.key);
            assert!(data.starts_with(format!("k8s:enc:{provider}:{version}:{key}:").as_bytes()));
        }
    }
});

/// Only one kind has a claim and only one has addresses, and neither is made up.
fn bound(meta: &Meta<'_>, data: &[u8]) {
    if let Some(claim) = meta.claim() {
        assert_eq!(meta.kind(), Some("PersistentVolume"));
        assert!(claim.namespace.len() + claim.name.len() + claim.uid.len() <= data.len());
    }
    if let Some(service) = meta.service() {
        assert_eq!(meta.kind(), Some("Service"));
        let mut bytes = 0;
        for address in service.cluster_ips() {
            assert!(!matches!(address, "" | "None"));
            bytes += address.len();
        }
        assert!(bytes <= data.len());
        assert!(service.node_ports().all(|port| port != 0));
    }
}

fn nothing(meta: &Meta<'_>) {
    assert!(!meta.is_readable() && !meta.is_deleting());
    assert!(meta.name().is_none() && meta.namespace().is_none());
    assert!(meta.claim().is_none() && meta.service().is_none());
    assert!(meta.uid().is_none() && meta.kind().is_none() && meta.api_version().is_none());
    assert!(meta.owners().next().is_none() && meta.finalizers().next().is_none());
}

fn agrees(meta: &Meta<'_>, data: &[u8]) {
    // It refuses what is nested deeply, a number out of range, or a text that is none.
    let Ok(tree) = serde_json::from_slice::<Value>(data) else { return };
    let metadata = &tree["metadata"];
    assert_eq!(meta.name().unwrap_or_default(), metadata["name"].as_str().unwrap_or_default());
    assert_eq!(
        meta.namespace().unwrap_or_default(),
        metadata["namespace"].as_str().unwrap_or_default()
    );
    assert_eq!(meta.uid().unwrap_or_default(), metadata["uid"].as_str().unwrap_or_default());
    assert_eq!(meta.kind().unwrap_or_default(), tree["kind"].as_str().unwrap_or_default());
    assert_eq!(meta.is_deleting(), metadata["deletionTimestamp"].is_string());
    if let Some(claim) = meta.claim() {
        let reference = &tree["spec"]["claimRef"];
        assert_eq!(claim.uid, reference["uid"].as_str().unwrap_or_default());
        assert_eq!(claim.name, reference["name"].as_str().unwrap_or_default());
    }
    if let Some(service) = meta.service() {
        let ports = tree["spec"]["ports"].as_array().map_or(0, Vec::len);
        assert!(service.node_ports().count() <= ports + 1);
    }
    let length = |field: &str| metadata[field].as_array().map_or(0, Vec::len);
    assert_eq!(meta.owners().count(), length("ownerReferences"));
    assert_eq!(meta.finalizers().count(), length("finalizers"));
}
