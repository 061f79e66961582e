//! What several of these tests do.

use std::process::{Command, Output};

use end_to_end::{Etcd, binaries};
use serde_json::Value;

/// A primary and a standby.
pub(crate) async fn pair() -> (Etcd, Etcd) {
    tokio::join!(Etcd::start(), Etcd::start_standby())
}

/// Runs `etcd-sync preflight` between these endpoints.
pub(crate) fn preflight(primary: &[String], standby: &[String], flags: &[&str]) -> Output {
    Command::new(binaries::etcd_sync())
        .args(["preflight", "--primary-endpoints", &primary.join(",")])
        .args(["--standby-endpoints", &standby.join(",")])
        .args(flags)
        .env("NO_COLOR", "1")
        .output()
        .expect("start etcd-sync")
}

/// What it says as JSON, and its exit code.
pub(crate) fn report(primary: &Etcd, standby: &Etcd, flags: &[&str]) -> (Value, i32) {
    let flags = [&["-o", "json"], flags].concat();
    let output = preflight(&primary.endpoints(), &standby.endpoints(), &flags);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().expect("an exit code"))
}

/// What one gate says.
pub(crate) fn gate<'r>(report: &'r Value, name: &str) -> &'r Value {
    let gates = report["gates"].as_array().expect("a list");
    gates.iter().find(|gate| gate["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

/// The keys that a gate shows, in order.
pub(crate) fn shown(gate: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = gate["shown"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| finding["key"].as_str().expect("a key"))
        .collect();
    keys.sort_unstable();
    keys
}

/// An etcd's newest revision.
pub(crate) async fn revision(etcd: &Etcd) -> i64 {
    let mut client = etcd.client().await;
    client.get("\0", None).await.unwrap().header().unwrap().revision()
}
