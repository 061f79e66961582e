//! What several of these tests do.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::{Etcd, Mirror, MirrorBuilder, eventually};
use etcd_client::{Client, DeleteOptions};
use serde_json::Value;

/// Long enough for a few healings, whose waits double, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A primary and a standby.
pub(crate) async fn pair() -> (Etcd, Etcd) {
    tokio::join!(Etcd::start(), Etcd::start_standby())
}

/// A mirror of a Kubernetes keyspace, checked when a test asks for it.
pub(crate) fn mirror(primary: &Etcd, standby: &Etcd) -> MirrorBuilder {
    Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .preset("kubernetes")
        .patience(PATIENCE)
        .flag("--check-interval")
        .flag("1h")
}

/// Waits until it follows, its first check is over, and the standby has what the primary has now.
pub(crate) async fn settled(mirror: &mut Mirror, primary: &Etcd) {
    mirror
        .wait_for("following, and checked", |status| {
            status["state"] == "following" && !status["last_check"].is_null()
        })
        .await;
    caught_up(mirror, primary).await;
}

/// Waits until the standby has what the primary has now.
pub(crate) async fn caught_up(mirror: &mut Mirror, primary: &Etcd) {
    let head = head(&primary.client().await).await;
    mirror.wait_for_checkpoint(head).await;
}

/// Waits until so many keys were put back in all, and nothing waits to be.
pub(crate) async fn healed(mirror: &mut Mirror, count: u64) -> Value {
    mirror
        .wait_for(&format!("{count} keys put back"), |status| {
            let drift = &status["drift"];
            drift["healed"].as_u64().is_some_and(|healed| healed >= count) && drift["waiting"] == 0
        })
        .await
}

/// The cluster's newest revision.
pub(crate) async fn head(client: &Client) -> i64 {
    client.clone().get("\0", None).await.unwrap().header().unwrap().revision()
}

/// Puts a key; the revision.
pub(crate) async fn put(client: &Client, key: &str, value: impl Into<Vec<u8>>) -> i64 {
    client.clone().put(key, value, None).await.unwrap().header().unwrap().revision()
}

/// Deletes a key.
pub(crate) async fn delete(client: &Client, key: &str) {
    client.clone().delete(key, None).await.unwrap();
}

/// Deletes all keys that begin so, at once.
pub(crate) async fn delete_all(client: &Client, prefix: &str) {
    let options = DeleteOptions::new().with_prefix();
    client.clone().delete(prefix, Some(options)).await.unwrap();
}

/// The value of a key.
pub(crate) async fn value(client: &Client, key: &str) -> Option<Vec<u8>> {
    let answer = client.clone().get(key, None).await.unwrap();
    answer.kvs().first().map(|kv| kv.value().to_vec())
}

/// Waits until a key has this value.
pub(crate) async fn arrives(client: &Client, key: &str, wanted: &[u8]) {
    eventually(&format!("{key} has its value"), PATIENCE, async || {
        (value(client, key).await.as_deref() == Some(wanted)).then_some(())
    })
    .await;
}

/// What `/check` says now, and its status.
pub(crate) async fn check(mirror: &Mirror) -> (u16, Value) {
    let response = mirror.get("/check?format=json&strict=true").await.unwrap();
    let report = serde_json::from_str(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", response.body));
    (response.status, report)
}

/// Everything in scope is equal, and not one key is said to differ.
pub(crate) async fn assert_in_sync(mirror: &Mirror) {
    let (status, report) = check(mirror).await;
    assert_eq!((status, &report["verdict"]), (200, &"in-sync".into()), "{report}");
    assert_eq!(named(&report), BTreeMap::new(), "{report}");
}

/// The keys that a report names, with how they differ and why.
pub(crate) fn named(report: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let differences = report["differences"].as_array().expect("a list").iter();
    let told = |difference: &Value| (text(&difference["kind"]), text(&difference["class"]));
    differences.map(|difference| (text(&difference["key"]), told(difference))).collect()
}

/// The same, as a test expects it: key, kind and class.
pub(crate) fn expected(keys: &[(&str, &str, &str)]) -> BTreeMap<String, (String, String)> {
    let told = |(key, kind, class): &(&str, &str, &str)| {
        ((*key).to_owned(), ((*kind).to_owned(), (*class).to_owned()))
    };
    keys.iter().map(told).collect()
}

/// Has everything repaired that a repair mends unless told otherwise.
pub(crate) fn repair(mirror: &Mirror) {
    let plan = mirror.verb(&["repair", "-o", "json", "--dry-run"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap_or_else(|| panic!("no digest in {plan}"));
    let done = mirror.verb(&["repair", "--execute", "--wait", "60s", "--accept", digest]);
    assert!(done.status.success(), "{done:?}");
}
