//! Encrypted values that differ: with the keys, a check sees what is in them.

use std::sync::Arc;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockEncryptMut as _, KeyIvInit as _};
use consistency_checker::{Progress, View};
use etcd_mvcc::{ClusterId, Revision as _};
use etcd_sim::{Mutation, SimPrimary, SimStandby};
use keyspace_filter::{Scope, ScopeSpec};
use kube_encryption::Keyring;
use mirror_audit::{AuditSettings, Auditor};
use mirror_engine::{Checkpoint, OwnKeys, RepairKinds, Witness};
use monitor_api::{CheckReport, CheckVerdict};

const KEY: &str = "/registry/secrets/shop/robot-token";

/// 32 bytes of 3, as both clusters have them.
const CONFIGURATION: &str = r#"
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: key1, secret: "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="}]}
"#;

/// Seals as an API server does: another vector each time.
fn seal(vector: u8, text: &str) -> Vec<u8> {
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&[3; 32], &[vector; 16]).unwrap();
    let sealed = cipher.encrypt_padded_vec_mut::<Pkcs7>(text.as_bytes());
    [b"k8s:enc:aescbc:v1:key1:", &[vector; 16][..], &sealed].concat()
}

/// A Secret with the authority of a cluster in it.
fn secret(of: &str, uid: &str, authority: &str) -> String {
    let metadata = format!(r#"{{"name":"robot-token","namespace":"shop","uid":"{uid}"}}"#);
    format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{metadata},"type":"{of}","data":{{"ca.crt":"{authority}"}}}}"#
    )
}

const TOKEN: &str = "kubernetes.io/service-account-token";

/// Of two sides with a key that was mirrored as `there`, and that somebody else has written as
/// `here` since.
fn auditor(there: &[u8], here: &[u8], keyring: Option<&str>) -> Auditor<SimPrimary, SimStandby> {
    let (primary, standby) =
        (SimPrimary::new(ClusterId::new(1)), SimStandby::new(ClusterId::new(2)));
    let revision = primary.with(|etcd| etcd.put(KEY, there.to_vec())).unwrap();
    let entry = primary.with(|etcd| etcd.get(KEY.as_bytes()).cloned()).unwrap();
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let fingerprint = Some(entry.value.fingerprint());
    let record = Checkpoint {
        cluster: ClusterId::new(1),
        revision,
        scope: scope.hash().to_string(),
        witnesses: vec![Witness { key: entry.key, modified: revision, created: None, fingerprint }],
        ..Checkpoint::default()
    };
    let checkpoint = Mutation::put(OwnKeys::new("m").checkpoint, record.encode());
    standby.with(|etcd| etcd.write(&[Mutation::put(KEY, there.to_vec()), checkpoint])).unwrap();
    standby.with(|etcd| etcd.put(KEY, here.to_vec())).unwrap();
    assert!(revision.get() > 0);
    let auditor = Auditor::new(primary, standby, View::new(scope), "m", AuditSettings::default());
    auditor.open_with(keyring.map(|text| Arc::new(Keyring::parse(text).unwrap())));
    auditor
}

/// What a check says of it.
async fn audited(there: &[u8], here: &[u8], keyring: Option<&str>) -> CheckReport {
    let auditor = auditor(there, here, keyring);
    Box::pin(auditor.at_newest_pair(|| None, &Progress::default())).await
}

fn class(report: &CheckReport) -> String {
    let classes = &report.found().classes;
    assert_eq!(classes.values().sum::<u64>(), 1, "{classes:?}");
    classes.keys().next().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_standby_rewrites_is_no_drift_for_who_has_the_keys() {
    let there = seal(7, &secret(TOKEN, "u", "the primary's"));
    let here = seal(8, &secret(TOKEN, "u", "the standby's"));
    let report = audited(&there, &here, Some(CONFIGURATION)).await;
    assert_eq!((class(&report).as_str(), report.verdict()), ("rewritten", CheckVerdict::InSync));
    // Without the keys nobody can know.
    let report = audited(&there, &here, None).await;
    assert_eq!((class(&report).as_str(), report.verdict()), ("re-encrypted", CheckVerdict::Drift));
    let other = CONFIGURATION.replace("AwMD", "BwcH");
    let report = audited(&there, &here, Some(&other)).await;
    assert_eq!((class(&report).as_str(), report.verdict()), ("re-encrypted", CheckVerdict::Drift));
}

#[tokio::test(start_paused = true)]
async fn what_was_encrypted_anew_is_told_from_what_was_changed() {
    let there = secret("Opaque", "u", "1");
    for (here, expected) in [
        (secret("Opaque", "u", "1"), "re-encrypted"),
        (secret("Opaque", "u", "2"), "foreign-write"),
        (secret("Opaque", "v", "1"), "foreign-write"),
        (secret(TOKEN, "u", "1"), "foreign-write"),
    ] {
        let report = audited(&seal(7, &there), &seal(8, &here), Some(CONFIGURATION)).await;
        assert_eq!(class(&report), expected, "{here}");
        assert_eq!(report.verdict(), CheckVerdict::Drift);
        assert!(!format!("{report:?}").contains("ca.crt"), "no value is shown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_repairs_names_the_classes_that_the_check_does() {
    let there = seal(7, &secret(TOKEN, "u", "the primary's"));
    let here = seal(8, &secret(TOKEN, "u", "the standby's"));
    for (keyring, expected) in [(Some(CONFIGURATION), "rewritten"), (None, "re-encrypted")] {
        let auditor = auditor(&there, &here, keyring);
        let plan = Box::pin(auditor.repair_plan(RepairKinds::default())).await.unwrap();
        let classes: Vec<_> = plan.keys.iter().map(|key| key.class.as_str()).collect();
        assert_eq!(classes, [expected]);
    }
}
