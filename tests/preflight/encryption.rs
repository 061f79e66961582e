//! Secrets that an apiserver encrypted, and the keys that a standby may have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use end_to_end::{Etcd, Mirror, assert_equal_in_scope, dump};
use serde_json::Value;

use crate::support::{gate, pair, report, revision};

/// What an apiserver wrote, and the configuration that it had.
const WRITTEN: [(&str, &str, &str); 2] = [
    (
        "aescbc",
        include_str!("../../crates/kube-encryption/tests/fixtures/aescbc.jsonl"),
        include_str!("../../crates/kube-encryption/tests/fixtures/encryption-aescbc.yaml"),
    ),
    (
        "secretbox",
        include_str!("../../crates/kube-encryption/tests/fixtures/secretbox.jsonl"),
        include_str!("../../crates/kube-encryption/tests/fixtures/encryption-secretbox.yaml"),
    ),
];
/// The key in both configurations, and another one of the same length.
const KEY: &str = "D4phPpBdHRoDPTNoV241HrkUntJt/lF67+/Ve5qplWY=";
const OTHER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn load(etcd: &Etcd, lines: &str) {
    let mut client = etcd.client().await;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = |field: &str| STANDARD.decode(line[field].as_str().unwrap()).unwrap();
        client.put(bytes("key"), bytes("value"), None).await.unwrap();
    }
}

#[tokio::test]
async fn only_the_keys_that_encrypted_the_values_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("encryption.yaml");
    let path = file.to_str().unwrap();
    for (provider, lines, configuration) in WRITTEN {
        let (primary, standby) = pair().await;
        load(&primary, lines).await;
        let ask = |configuration: &str| {
            std::fs::write(&file, configuration).unwrap();
            report(&primary, &standby, &["--encryption-config", path])
        };
        let (right, exit) = ask(configuration);
        assert_eq!(exit, 0, "{provider}: {right}");
        assert_eq!(gate(&right, "encryption-keys")["outcome"], "passed", "{right}");
        assert_eq!(gate(&right, "encryption-trial")["outcome"], "passed", "{right}");

        let (wrong, exit) = ask(&configuration.replace(KEY, OTHER_KEY));
        assert_eq!((exit, &wrong["verdict"]), (1, &"refused".into()), "{provider}: {wrong}");
        assert_eq!(gate(&wrong, "encryption-keys")["outcome"], "passed", "the names are equal");
        let trial = gate(&wrong, "encryption-trial");
        assert_eq!((&trial["outcome"], &trial["severity"]), (&"found".into(), &"refuse".into()));
        assert!(!wrong.to_string().contains(OTHER_KEY), "a key is never shown");

        let (unnamed, exit) = ask(&configuration.replace("key1", "key2"));
        assert_eq!(exit, 1, "{provider}: {unnamed}");
        assert_eq!(gate(&unnamed, "encryption-keys")["outcome"], "found", "{unnamed}");

        let (unknown, exit) = report(&primary, &standby, &[]);
        assert_eq!(exit, 1, "{provider}: nothing on the standby is encrypted: {unknown}");
        assert_eq!(gate(&unknown, "encryption-trial")["severity"], "info", "{unknown}");
    }
}

#[tokio::test]
async fn a_standby_that_uses_a_key_of_that_name_is_believed_with_a_remark() {
    let (provider, lines, _) = WRITTEN[1];
    let (primary, standby) = pair().await;
    load(&primary, lines).await;
    let own = format!("k8s:enc:{provider}:v1:key1:its own");
    standby.client().await.put("/registry/secrets/kube-system/own", own, None).await.unwrap();
    let (report, exit) = report(&primary, &standby, &[]);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(gate(&report, "encryption-keys")["outcome"], "passed", "{report}");
    let trial = gate(&report, "encryption-trial");
    assert_eq!((&trial["outcome"], &trial["severity"]), (&"found".into(), &"info".into()));
}

#[tokio::test]
async fn a_mirror_that_runs_holds_a_value_that_the_standby_can_not_read_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("encryption.yaml");
    let (_, lines, configuration) = WRITTEN[0];
    // The same name, another key: the value tells.
    std::fs::write(&file, configuration.replace(KEY, OTHER_KEY)).unwrap();
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    client.put("/registry/secrets/shop/plain", r#"{"kind":"Secret"}"#, None).await.unwrap();
    let mut mirror = Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .flag("--encryption-config")
        .flag(&file)
        .start();
    mirror.wait_for_state("following").await;
    load(&primary, lines).await;
    let status = mirror.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "encryption_key", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("aescbc:v1:key1"), "{status}");
    let held = dump(&standby.client().await).await;
    let sealed = |value: &[u8]| value.starts_with(b"k8s:enc:");
    assert!(held.keys.values().all(|entry| !sealed(&entry.value)), "no list of theirs fails");
    assert!(held.keys.contains_key(b"/registry/secrets/shop/plain".as_slice()));

    // The key comes; the mirror goes on by itself.
    std::fs::write(&file, configuration).unwrap();
    let revision = revision(&primary).await;
    mirror.wait_for_checkpoint(revision).await;
    let copied = dump(&standby.client().await).await;
    let local: [&[u8]; 2] =
        [b"/registry/secrets/cert-manager/", b"/registry/secrets/cpaas-solution/"];
    assert_equal_in_scope(&dump(&primary.client().await).await, &copied, |key| {
        !key.starts_with(b"/etcd-sync/") && !local.iter().any(|prefix| key.starts_with(prefix))
    });
    assert_eq!(copied.keys.values().filter(|entry| sealed(&entry.value)).count(), 4);
    assert_eq!(mirror.status().await.unwrap()["state"], "following");
}
