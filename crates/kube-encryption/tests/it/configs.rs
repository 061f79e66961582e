//! Configurations that an apiserver would refuse, and what is said of them.

use kube_encryption::Keyring;

use crate::{configuration, entry, keyring, provider};

/// A key in base64 that no message may repeat.
const SECRET: &str = "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=";

fn complaint(yaml: &str) -> String {
    let told = Keyring::parse(yaml).unwrap_err().to_string();
    assert!(!told.contains('\n') && !told.contains("aHVudGVy"), "{told}");
    told
}

fn complaint_of(providers: &str) -> String {
    complaint(&configuration(providers))
}

#[test]
fn json_is_read_as_well() {
    let json = format!(
        r#"{{"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{{"resources": ["secrets"], "providers": [
            {{"secretbox": {{"keys": [{{"name": "key1", "secret": "{SECRET}"}}]}}}}]}}]}}"#
    );
    assert_eq!(Keyring::parse(&json).unwrap().keys().count(), 1);
}

#[test]
fn a_field_that_is_null_is_not_there() {
    let ring = keyring(&format!("{{aescbc: null, aesgcm: {{keys: [{}]}}}}", entry("k", &[1; 16])));
    assert_eq!(ring.keys().count(), 1);
    assert!(complaint_of("{identity: null}").starts_with("resources[0].providers[0] names 0 "));
}

#[test]
fn a_key_may_be_broken_into_lines() {
    let (head, tail) = SECRET.split_at(20);
    let keys = format!("{{secretbox: {{keys: [{{name: k, secret: \"{head}\\n{tail}\"}}]}}}}");
    assert_eq!(keyring(&keys).keys().count(), 1);
}

#[test]
fn another_kind_of_document_is_told_first() {
    for (yaml, told) in [
        ("", "the document must be an EncryptionConfiguration"),
        ("- resources: [secrets]", "the document must be an EncryptionConfiguration"),
        ("resources: []", "apiVersion must be \"apiserver.config.k8s.io/v1\": "),
        ("{kind: EncryptionConfig, apiVersion: v1}", "apiVersion must be "),
        (
            "{kind: EncryptionConfig, apiVersion: apiserver.config.k8s.io/v1}",
            "kind must be \"EncryptionConfiguration\": ",
        ),
        ("{apiVersion: apiserver.config.k8s.io/v1, items: []}", "kind must be "),
        (
            "{kind: EncryptionConfiguration, apiVersion: apiserver.config.k8s.io/v1}",
            "resources is missing or empty: give a list of resources with their providers",
        ),
    ] {
        let complaint = complaint(yaml);
        assert!(complaint.starts_with(told), "{complaint}");
    }
}

#[test]
fn what_is_no_yaml_is_told_by_its_place_alone() {
    for text in [
        format!("a: b\nsecret: [{SECRET}"),
        format!("{SECRET}: 1\n{SECRET}: 2"),
        format!("a: {SECRET}\n---\nb: {SECRET}\n"),
        format!("a: \"{SECRET}"),
        format!("a: *{SECRET}"),
    ] {
        let told = complaint(&text);
        assert!(told.starts_with("line "), "{told}");
        assert!(told.contains("can't be read as YAML"), "{told}");
    }
    assert!(complaint("a: b\nc: [").starts_with("line 2, column "));
}

#[test]
fn a_wrong_field_is_told_with_its_path_and_its_mend() {
    let keys = "resources[0].providers[0].aesgcm.keys";
    for (providers, told) in [
        ("", "resources[0].providers is missing or empty: give a list".to_owned()),
        ("{}", "resources[0].providers[0] names 0 providers".to_owned()),
        (
            "{identity: {}, kms: {name: a}}",
            "resources[0].providers[0] names 2 providers: give each an item of its own".to_owned(),
        ),
        (
            "{aesgmc: {}}",
            "resources[0].providers[0].aesgmc is no field that an apiserver knows: remove it, or \
             write one of aescbc, aesgcm, secretbox, kms, identity"
                .to_owned(),
        ),
        ("{aesgcm: []}", "resources[0].providers[0].aesgcm must be a mapping".to_owned()),
        ("{aesgcm: {}}", format!("{keys} is missing or empty: give a list of keys")),
        ("{aesgcm: {keys: []}}", format!("{keys} is missing or empty: give a list of keys")),
        ("{aesgcm: {keys: {}}}", format!("{keys} must be a list of keys")),
        ("{aesgcm: {keys: [key1]}}", format!("{keys}[0] must be a mapping")),
        ("{aesgcm: {keys: [{secret: a}]}}", format!("{keys}[0].name is missing or empty")),
        ("{aesgcm: {keys: [{name: '', secret: a}]}}", format!("{keys}[0].name is missing or")),
        (
            "{aesgcm: {keys: [{name: 1, secret: a}]}}",
            format!("{keys}[0].name must be a text; put it in quotes"),
        ),
        ("{aesgcm: {keys: [{name: ':', secret: a}]}}", format!("{keys}[0].name can't be written")),
        (
            "{aesgcm: {keys: [{name: \"a\\nb\", secret: a}]}}",
            format!("{keys}[0].name can't be written into an envelope: give 1 to 1024 bytes"),
        ),
        ("{aesgcm: {keys: [{name: a}]}}", format!("{keys}[0].secret is missing or empty")),
        ("{aesgcm: {keys: [{name: a, secret: '??'}]}}", format!("{keys}[0].secret is not base64")),
        ("{identity: {a: 1}}", "resources[0].providers[0].identity.a is no field".to_owned()),
        ("{kms: {}}", "resources[0].providers[0].kms.name is missing".to_owned()),
        (
            "{kms: {name: a, apiVersion: v3}}",
            "resources[0].providers[0].kms.apiVersion is no version of KMS".to_owned(),
        ),
        (
            "{kms: {name: 'a:b', apiVersion: v2}}",
            "resources[0].providers[0].kms.name can't be written into an envelope: give a name \
             without a colon"
                .to_owned(),
        ),
    ] {
        let complaint = complaint_of(providers);
        assert!(complaint.starts_with(&told), "{complaint}");
    }
    let plugin = keyring("{kms: {name: 'a:b'}}");
    assert_eq!(plugin.keys().next().unwrap().key, "a:b");
}

#[test]
fn a_key_has_a_length_that_its_provider_takes() {
    for of in ["aescbc", "aesgcm", "secretbox"] {
        for bytes in 0..70 {
            let text = configuration(&provider(of, "key1", &vec![1; bytes]));
            let taken = matches!((of, bytes), (_, 32) | ("aescbc" | "aesgcm", 16 | 24));
            assert_eq!(Keyring::parse(&text).is_ok(), taken, "{of} {bytes}");
        }
    }
    let field = "resources[0].providers[0].secretbox.keys[0].secret";
    let told = complaint_of(&provider("secretbox", "key1", &[1; 31]));
    assert_eq!(told, format!("{field} is a key of 31 bytes: secretbox takes 32"));
    let told = complaint_of(&provider("aescbc", "key1", &[1; 33]));
    assert!(told.ends_with(" is a key of 33 bytes: aescbc takes 16, 24, 32"), "{told}");
}

#[test]
fn a_key_in_the_wrong_place_is_not_repeated() {
    for providers in [
        format!("{{aesgcm: {{keys: {SECRET}}}}}"),
        format!("{{aesgcm: {{keys: [{SECRET}]}}}}"),
        format!("{{aesgcm: {{keys: [{{key1: \"{SECRET}\"}}]}}}}"),
        format!("{{aesgcm: {{keys: [{{\"{SECRET}\": key1}}]}}}}"),
        format!("{{aesgcm: {{keys: [{{name: key1, secret: [{SECRET}]}}]}}}}"),
        format!("{{\"{SECRET}\": {{}}}}"),
        format!("{{kms: {{name: a, apiVersion: \"{SECRET}\"}}}}"),
        format!("{{identity: \"{SECRET}\"}}"),
        SECRET.to_owned(),
        // Its last character is missing, or too much.
        format!("{{secretbox: {{keys: [{{name: a, secret: \"{}\"}}]}}}}", &SECRET[..43]),
        format!("{{secretbox: {{keys: [{{name: a, secret: \"{SECRET}=\"}}]}}}}"),
    ] {
        complaint_of(&providers);
    }
    complaint(SECRET);
    complaint(&format!("kind: {SECRET}"));
}
