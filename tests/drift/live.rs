//! A live standby's controllers report into what was mirrored: told, and no alarm.

use std::collections::BTreeMap;

use end_to_end::{dump, fixture};
use etcd_client::Client;
use keyspace_filter::grammar::{Grammar, Shape};
use keyspace_filter::{Scope, ScopeSpec};

use crate::support::{check, delete, head, healed, mirror, named, pair, put, settled, value};

/// Kinds in scope that the standby's controllers rewrite.
const REPORTED: [&str; 7] = [
    "deployments",
    "replicasets",
    "statefulsets",
    "controllerrevisions",
    "cronjobs",
    "resourcequotas",
    "ingress",
];

/// Numbers of fields in protobuf: of `runtime.Unknown`, of objects and of their metadata.
const RAW: u64 = 2;
const METADATA: u64 = 1;

/// A protobuf message to whose part at `path` these bytes are added.
fn added(message: &[u8], path: &[u64], bytes: &[u8]) -> Vec<u8> {
    let Some((wanted, path)) = path.split_first() else { return [message, bytes].concat() };
    let (mut out, mut at) = (Vec::new(), 0);
    while at < message.len() {
        let start = at;
        let tag = varint(message, &mut at);
        assert_eq!(tag & 7, 2, "only texts and messages stand beside the part that is wanted");
        let len = usize::try_from(varint(message, &mut at)).unwrap();
        let part = &message[at..at + len];
        at += len;
        if tag >> 3 == *wanted {
            let part = added(part, path, bytes);
            out.extend(encoded(tag));
            out.extend(encoded(part.len() as u64));
            out.extend(part);
        } else {
            out.extend(&message[start..at]);
        }
    }
    out
}

fn varint(message: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = message[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn encoded(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// The object with something added to a part of it.
fn rewritten(value: &[u8], path: &[u64], bytes: &[u8]) -> Vec<u8> {
    let body = value.strip_prefix(b"k8s\0").expect("a built-in object");
    [b"k8s\0", &*added(body, path, bytes)].concat()
}

/// A status that says nothing: field 3 of most objects.
const STATUS: &[u8] = &[0x1a, 0];

/// The number of a ControllerRevision: its field 3.
const NUMBER: &[u8] = &[0x18, 7];

/// An entry of a Secret's data: field 2, a key and a value.
const DATA: &[u8] = b"\x12\x0d\x0a\x06ca.crt\x12\x03own";

/// A spec that was changed for the 99th time: field 7 of the metadata.
const GENERATION: &[u8] = &[0x38, 99];

/// The keys of the standby that its controllers would report into, by resource.
async fn reported(standby: &Client) -> BTreeMap<String, Vec<String>> {
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for (key, entry) in dump(standby).await.keys {
        let key = String::from_utf8(key).unwrap();
        let Shape::Object(object) = Grammar::default().parse(key.as_bytes()) else { continue };
        let resource = std::str::from_utf8(object.resource).unwrap();
        let token = b"kubernetes.io/service-account-token";
        let is_token = resource == "secrets"
            && entry.value.starts_with(b"k8s\0")
            && entry.value.windows(token.len()).any(|part| part == token);
        if scope.admits(key.as_bytes()) && (REPORTED.contains(&resource) || is_token) {
            keys.entry(resource.to_owned()).or_default().push(key);
        }
    }
    keys
}

#[tokio::test]
async fn what_the_standbys_controllers_rewrite_is_told_and_everything_else_is_drift() {
    let (primary, standby) = pair().await;
    let (mut from, mut to) = (primary.client().await, standby.client().await);
    fixture::load(&mut from, &fixture::primary()).await;
    fixture::load(&mut to, &fixture::fresh_standby()).await;
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;
    let (status, report) = check(&mirror).await;
    assert_eq!((status, named(&report)), (200, BTreeMap::new()), "{report}");

    // The standby's controllers begin their work.
    let reported = reported(&to).await;
    for resource in REPORTED.iter().chain(&["secrets"]) {
        assert!(reported.contains_key(*resource), "the fixture has no {resource} in scope");
    }
    let keys: Vec<&String> = reported.values().flatten().collect();
    for key in &keys {
        let now = value(&to, key).await.unwrap();
        let bytes = match key.split('/').nth(2).unwrap() {
            "secrets" => DATA,
            "controllerrevisions" => NUMBER,
            _ => STATUS,
        };
        put(&to, key, rewritten(&now, &[RAW], bytes)).await;
    }
    let told = |count: usize| format!("controllers rewrite: {count} keys of such kinds differ");
    let (status, report) = check(&mirror).await;
    assert_eq!((status, &report["verdict"]), (200, &"in-sync".into()), "{report}");
    assert!(report["reason"].as_str().unwrap().contains(&told(keys.len())), "{report}");
    assert_eq!(report["classes"], serde_json::json!({ "rewritten": keys.len() }), "{report}");
    assert_eq!(report["different"], keys.len(), "{report}");
    assert!(report["verified_revision"].is_i64(), "{report}");
    assert_eq!(named(&report).len(), keys.len());
    let text = mirror.get("/check").await.unwrap().body;
    assert!(text.contains(&format!("LOCAL ETCD different keys: {}\n", keys.len())), "{text}");
    assert!(text.contains("the quota controller counts what is used"), "{text}");
    let audit = mirror.audit(&["-o", "json", "--limit", "1"]);
    assert_eq!(audit.status.code(), Some(0), "{audit:?}");

    // As every cluster does within minutes, it forgets who wrote what.
    to.compact(head(&to).await, None).await.unwrap();
    let (status, report) = check(&mirror).await;
    assert_eq!((status, &report["verdict"]), (200, &"in-sync".into()), "{report}");

    // Somebody scales a Deployment there, and edits a config map.
    let deployment = &reported["deployments"][0];
    let now = value(&to, deployment).await.unwrap();
    put(&to, deployment, rewritten(&now, &[RAW, METADATA], GENERATION)).await;
    let (status, report) = check(&mirror).await;
    assert_eq!((status, &report["verdict"]), (409, &"drift".into()), "{report}");
    assert_eq!(report["classes"]["foreign-write"], 1, "{report}");
    assert_eq!(report["classes"]["rewritten"], keys.len() - 1, "{report}");
    let (kind, class) = &named(&report)[deployment];
    assert_eq!((&**kind, &**class), ("different", "foreign-write"));

    // What it deletes is put back, and is the primary's again.
    delete(&to, deployment).await;
    healed(&mut mirror, 1).await;
    let (status, report) = check(&mirror).await;
    assert_eq!((status, &report["verdict"]), (200, &"in-sync".into()), "{report}");
    assert!(report["reason"].as_str().unwrap().contains(&told(keys.len() - 1)), "{report}");
    mirror.assert_no_errors(&[]);
}
