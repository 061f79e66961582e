//! Whether keys open values: those that an apiserver wrote, those made here, and hostile ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod configs;
mod properties;
mod real;
mod rings;
mod sealed;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_encryption::Keyring;

/// Reads a configuration with these providers for Secrets.
fn keyring(providers: &str) -> Keyring {
    Keyring::parse(&configuration(providers)).unwrap()
}

/// A configuration with these providers for Secrets.
fn configuration(providers: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n\
         resources: [{{resources: [secrets], providers: [{providers}]}}]\n"
    )
}

/// One provider with one key.
fn provider(provider: &str, name: &str, key: &[u8]) -> String {
    format!("{{{provider}: {{keys: [{}]}}}}", entry(name, key))
}

/// One item of a list of keys.
fn entry(name: &str, key: &[u8]) -> String {
    format!("{{name: {name:?}, secret: {:?}}}", STANDARD.encode(key))
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
