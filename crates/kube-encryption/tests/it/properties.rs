//! What holds for any bytes.

use kube_encryption::{Keyring, Opened};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{configuration, keyring, provider};

fn ring() -> Keyring {
    let providers = [
        provider("aescbc", "k", &[1; 16]),
        provider("aesgcm", "k", &[2; 24]),
        provider("secretbox", "k", &[3; 32]),
        "{kms: {name: k, apiVersion: v2}}".to_owned(),
    ];
    keyring(&providers.join(", "))
}

/// Bytes behind each beginning that means something.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let prefix = select(vec![
        "",
        "k8s:enc:",
        "k8s:enc:aescbc:v1:k:",
        "k8s:enc:aesgcm:v1:k:",
        "k8s:enc:secretbox:v1:k:",
        "k8s:enc:kms:v2:k:",
        "k8s:enc:kms:v1:k:",
    ]);
    (prefix, vec(any::<u8>(), 0..200))
        .prop_map(|(prefix, rest)| [prefix.as_bytes(), &rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_values_neither_panic_nor_open(path in vec(any::<u8>(), 0..40), value in value()) {
        let opened = ring().open(&path, &value);
        prop_assert_ne!(opened, Opened::Opens);
        prop_assert_eq!(opened == Opened::Plain, !value.starts_with(b"k8s:enc:"));
        if value.starts_with(b"k8s:enc:kms:v2:k:") {
            prop_assert_eq!(opened, Opened::Unproven);
        }
    }

    #[test]
    fn hostile_configurations_never_panic(text in ".{0,300}") {
        for yaml in [text.clone(), configuration(&text)] {
            if let Err(error) = Keyring::parse(&yaml) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
