//! Secrets that an apiserver encrypted, with the configurations it had.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_encryption::{Keyring, Opened};
use serde_json::Value;

use crate::{entry, keyring, provider};

/// A provider with the configuration of the apiserver and the Secrets that it wrote.
struct Written {
    provider: &'static str,
    configuration: &'static str,
    secrets: Vec<(Vec<u8>, Vec<u8>)>,
}

fn written() -> [Written; 2] {
    [
        Written {
            provider: "aescbc",
            configuration: include_str!("../fixtures/encryption-aescbc.yaml"),
            secrets: secrets(include_str!("../fixtures/aescbc.jsonl")),
        },
        Written {
            provider: "secretbox",
            configuration: include_str!("../fixtures/encryption-secretbox.yaml"),
            secrets: secrets(include_str!("../fixtures/secretbox.jsonl")),
        },
    ]
}

fn secrets(lines: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let record = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = |field: &str| {
            STANDARD.decode(line.get(field).and_then(Value::as_str).unwrap()).unwrap()
        };
        (bytes("key"), bytes("value"))
    };
    let secrets: Vec<_> = lines.lines().map(record).collect();
    assert_eq!(secrets.len(), 6);
    secrets
}

/// What becomes of all, if the same becomes of all.
fn open_all(keyring: &Keyring, secrets: &[(Vec<u8>, Vec<u8>)]) -> Opened {
    let mut opened = secrets.iter().map(|(path, value)| keyring.open(path, value));
    let first = opened.next().unwrap();
    assert!(opened.all(|opened| opened == first));
    first
}

/// The key in the configurations.
fn key() -> Vec<u8> {
    STANDARD.decode("D4phPpBdHRoDPTNoV241HrkUntJt/lF67+/Ve5qplWY=").unwrap()
}

#[test]
fn the_configuration_that_wrote_them_opens_all() {
    for Written { configuration, secrets, .. } in written() {
        assert_eq!(open_all(&Keyring::parse(configuration).unwrap(), &secrets), Opened::Opens);
    }
}

#[test]
fn another_key_of_the_same_name_opens_none() {
    for Written { provider: of, secrets, .. } in written() {
        let mut other = key();
        other[31] ^= 1;
        assert_eq!(open_all(&keyring(&provider(of, "key1", &other)), &secrets), Opened::WrongKey);
    }
}

#[test]
fn the_same_key_of_another_name_is_not_tried() {
    for Written { provider: of, secrets, .. } in written() {
        for name in ["key2", "key", "key11", "Key1", "key1:"] {
            let keyring = keyring(&provider(of, name, &key()));
            assert_eq!(open_all(&keyring, &secrets), Opened::UnknownKey, "{name}");
        }
    }
}

#[test]
fn the_same_key_of_another_provider_is_not_tried() {
    for Written { provider: of, secrets, .. } in written() {
        for other in ["aescbc", "aesgcm", "secretbox"].iter().filter(|other| **other != of) {
            let keyring = keyring(&provider(other, "key1", &key()));
            assert_eq!(open_all(&keyring, &secrets), Opened::UnknownKey, "{other}");
        }
    }
}

#[test]
fn a_key_that_is_not_the_first_opens_as_well() {
    for Written { provider: of, secrets, .. } in written() {
        let keys = [entry("key2", &[2; 32]), entry("key1", &[1; 32]), entry("key1", &key())];
        let keyring = keyring(&format!("{{{of}: {{keys: [{}]}}}}", keys.join(", ")));
        assert_eq!(open_all(&keyring, &secrets), Opened::Opens);
    }
}

#[test]
fn neither_binds_a_value_to_its_place() {
    for Written { configuration, secrets, .. } in written() {
        let keyring = Keyring::parse(configuration).unwrap();
        for (_, value) in &secrets {
            assert_eq!(keyring.open(b"/registry/secrets/elsewhere/x", value), Opened::Opens);
        }
    }
}

#[test]
fn a_value_that_is_cut_short_does_not_open() {
    let mut chances = 0;
    for Written { provider: of, configuration, secrets } in written() {
        let keyring = Keyring::parse(configuration).unwrap();
        let (path, value) = &secrets[0];
        let envelope = format!("k8s:enc:{of}:v1:key1:").len();
        for length in "k8s:enc:".len()..value.len() {
            let opened = keyring.open(path, &value[..length]);
            let malformed = length < envelope + 32
                || (of == "aescbc" && (length - envelope) % 16 != 0)
                || (of == "secretbox" && length < envelope + 40);
            if malformed {
                assert_eq!(opened, Opened::Unreadable, "{of} {length}");
            } else if of == "secretbox" {
                assert_eq!(opened, Opened::WrongKey, "{length}");
            } else {
                // Where it is cut, chance may have written a padding: then the object is not whole.
                chances += usize::from(opened == Opened::Unreadable);
                assert_ne!(opened, Opened::Opens, "{length}");
            }
        }
    }
    assert!(chances > 0);
}

#[test]
fn one_changed_bit_is_seen_where_the_provider_authenticates() {
    let [_, Written { configuration, secrets, .. }] = written();
    let keyring = Keyring::parse(configuration).unwrap();
    let (path, value) = secrets.iter().min_by_key(|(_, value)| value.len()).unwrap();
    for at in "k8s:enc:secretbox:v1:key1:".len()..value.len() {
        let mut value = value.clone();
        value[at] ^= 1;
        assert_eq!(keyring.open(path, &value), Opened::WrongKey, "{at}");
    }
}

/// Of these keys some pass the padding, which is all that CBC has.
#[test]
fn of_many_wrong_keys_none_opens_what_nothing_authenticates() {
    let [Written { secrets, .. }, _] = written();
    let (path, value) = secrets.iter().min_by_key(|(_, value)| value.len()).unwrap();
    for number in 0..5_000_u32 {
        let key = [&number.to_be_bytes()[..], &[7; 28]].concat();
        let keyring = keyring(&provider("aescbc", "key1", &key));
        assert_eq!(keyring.open(path, value), Opened::WrongKey, "{number}");
    }
}
