//! Skimming what is no JSON allocates nothing: counted, over a real keyspace.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::hint::black_box;
use std::io::Read as _;

use allocation_counter::measure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use kube_meta::{Format, skim};
use serde_json::Value;

/// The values of the fixture.
fn values() -> Vec<Vec<u8>> {
    let packed = include_bytes!("../../../tests/fixtures/primary.jsonl.gz");
    let mut lines = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut lines).expect("the fixture");
    let value = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("a line of JSON");
        STANDARD.decode(record["value"].as_str().expect("a string")).expect("base64")
    };
    lines.lines().map(value).collect()
}

/// Asks a value everything, and returns how much of it was told.
fn ask(value: &[u8]) -> usize {
    let meta = skim(value);
    let texts = [meta.api_version(), meta.kind(), meta.name(), meta.namespace(), meta.uid()];
    let owners = meta.owners().count() + meta.finalizers().count();
    let given = meta
        .service()
        .map_or(0, |service| service.cluster_ips().count() + service.node_ports().count());
    texts.iter().flatten().count()
        + owners
        + given
        + usize::from(meta.is_deleting())
        + usize::from(meta.claim().is_some())
}

#[test]
fn skimming_protobuf_allocates_nothing() {
    let values = values();
    let protobuf = values.iter().filter(|value| skim(value).format() == Format::Protobuf);
    let protobuf: Vec<_> = protobuf.collect();
    let mut told = 0;
    let counted = measure(|| told = protobuf.iter().map(|value| ask(black_box(value))).sum());
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(protobuf.len(), 233);
    assert!(told > 4 * protobuf.len(), "{told}");
}

#[test]
fn skimming_an_envelope_or_cbor_allocates_nothing() {
    for value in [
        &b"k8s:enc:kms:v2:vault:\x12\x08key-id-7"[..],
        b"k8s:enc:aescbc:v1:key1:\x00",
        b"\xd9\xd9\xf7\xa1\x48metadata\xa2\x43uid\x41u\x4afinalizers\x81\x41f",
        b"18295",
    ] {
        let counted = measure(|| assert_ne!(ask(black_box(value)), usize::MAX));
        assert_eq!(counted.count_total, 0, "{}", value.escape_ascii());
    }
}

/// Else the others could not fail.
#[test]
fn the_counter_counts() {
    let value = br#"{"metadata":{"finalizers":["f"]}}"#;
    assert!(measure(|| assert_eq!(ask(black_box(value)), 1)).count_total > 0);
}
