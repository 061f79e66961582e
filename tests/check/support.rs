//! What several of these tests do.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use end_to_end::{Etcd, Mirror, MirrorBuilder};
use etcd_client::{Client, Txn, TxnOp};
use serde_json::Value;

/// Long enough for a reconnect with its pauses on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A primary and a standby, and a mirror of every key.
pub(crate) async fn pair() -> (Etcd, Etcd) {
    tokio::join!(Etcd::start(), Etcd::start_standby())
}

/// A mirror of every key that checks when it is asked to. (On schedule only once, at first:
/// whoever asks while a check runs shares it, and it may be older than what a test has just done.)
/// What others delete stays deleted: these tests look at what differs.
pub(crate) fn mirror(primary: &Etcd, standby: &Etcd) -> MirrorBuilder {
    Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .preset("none")
        .patience(PATIENCE)
        .flag("--check-interval")
        .flag("1h")
        .flag("--heal-deletions=false")
}

/// Waits until it follows and its first check is over.
pub(crate) async fn wait_until_checked(mirror: &mut Mirror) {
    mirror
        .wait_for("following, and checked", |status| {
            status["state"] == "following" && !status["last_check"].is_null()
        })
        .await;
}

/// Puts keys `<prefix>000000` and so on: many to a revision.
pub(crate) async fn fill(
    client: &Client,
    prefix: &str,
    count: u32,
    value: impl Fn(u32) -> Vec<u8>,
) {
    let mut client = client.clone();
    let numbers: Vec<u32> = (0..count).collect();
    for numbers in numbers.chunks(100) {
        let puts = numbers.iter().map(|n| TxnOp::put(format!("{prefix}{n:06}"), value(*n), None));
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
}

/// Waits until the standby has what the primary has now.
pub(crate) async fn caught_up(mirror: &mut Mirror, primary: &Etcd) {
    let mut client = primary.client().await;
    let head = client.get("\0", None).await.unwrap().header().unwrap().revision();
    mirror.wait_for_checkpoint(head).await;
}

/// The report that `etcd-check -o json` printed, and its exit code.
pub(crate) fn report(output: &Output) -> (Value, i32) {
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().expect("an exit code"))
}

/// The keys that a report names, with how they differ.
pub(crate) fn named(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let differences = report["differences"].as_array().expect("a list").iter();
    differences.map(|difference| (text(&difference["key"]), text(&difference["kind"]))).collect()
}

/// What `/check` says now.
pub(crate) async fn check(mirror: &Mirror, query: &str) -> (u16, Value) {
    let response = mirror.get(&format!("/check?format=json{query}")).await.unwrap();
    let report = serde_json::from_str(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", response.body));
    (response.status, report)
}
