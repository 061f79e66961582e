//! What skimming promises, held against a real keyspace, against hostile values, and against chance.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod bound;
mod encode;
mod envelopes;
mod hostile;
mod keyspace;
mod objects;
mod properties;

use kube_meta::{Format, Meta};

/// Asserts that a value tells nothing at all.
fn assert_tells_nothing(meta: &Meta<'_>) {
    assert!(!meta.is_readable() && !meta.is_deleting());
    assert_eq!((meta.api_version(), meta.kind(), meta.uid()), (None, None, None));
    assert_eq!((meta.name(), meta.namespace(), meta.claim()), (None, None, None));
    assert!(meta.service().is_none());
    assert_eq!((meta.owners().count(), meta.finalizers().count()), (0, 0));
}

/// Asserts that a value is opaque.
fn assert_opaque(value: &[u8]) {
    let meta = kube_meta::skim(value);
    assert_eq!(meta.format(), Format::Opaque, "{}", value.escape_ascii());
    assert_tells_nothing(&meta);
}

#[test]
fn no_test_file_lies_beside_this_one_unlisted() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(listed.contains(&format!("mod {module};")), "{name} is not listed");
        }
    }
}
