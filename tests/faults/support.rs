//! What several of these tests do.

use std::process::{Command, Output};
use std::time::Duration;

use end_to_end::mirror::unexpected_errors;
pub(crate) use end_to_end::{Copy, copy_data};
use end_to_end::{
    Etcd, Load, Mirror, MirrorBuilder, Recording, assert_equal_in_scope, binaries, compare, dump,
    eventually, everything,
};
use etcd_client::{Client, Txn, TxnOp};
use serde_json::Value;

/// Long enough for a reconnect with its pauses on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a primary and a standby.
pub(crate) async fn pair() -> (Etcd, Etcd) {
    tokio::join!(Etcd::start(), Etcd::start_standby())
}

/// A mirror of every key.
pub(crate) fn mirror(primary: &[String], standby: &[String]) -> MirrorBuilder {
    Mirror::builder(primary, standby).preset("none").patience(PATIENCE)
}

/// Puts `count` keys `<prefix>00000` and so on, and returns the revision after them.
pub(crate) async fn fill(client: &mut Client, prefix: &str, count: usize, value: &str) -> i64 {
    let mut revision = 0;
    let keys: Vec<usize> = (0..count).collect();
    for part in keys.chunks(100) {
        let puts = part.iter().map(|n| TxnOp::put(format!("{prefix}{n:05}"), value, None));
        let done = client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
        revision = done.header().unwrap().revision();
    }
    revision
}

/// Puts one key and returns its revision.
pub(crate) async fn put(client: &mut Client, key: &str, value: &str) -> i64 {
    client.put(key, value, None).await.unwrap().header().unwrap().revision()
}

/// The primary's newest revision.
pub(crate) async fn head(client: &mut Client) -> i64 {
    client.get("\0", None).await.unwrap().header().unwrap().revision()
}

/// Waits until the standby holds what the primary holds now, and asks whether that is true.
pub(crate) async fn assert_caught_up(mirror: &mut Mirror, primary: &Etcd, standby: &Etcd) {
    let revision = head(&mut primary.client().await).await;
    mirror.wait_for_checkpoint(revision).await;
    assert_equal(primary, standby).await;
}

/// Both sides hold the same keys and values.
pub(crate) async fn assert_equal(primary: &Etcd, standby: &Etcd) {
    let primary = dump(&primary.client().await).await;
    let standby = dump(&standby.client().await).await;
    assert_equal_in_scope(&primary, &standby, everything);
}

/// Every state of the standby is one that the primary had, in order.
pub(crate) fn assert_history(primary: &Recording, standby: &Recording, copied_from: i64) -> usize {
    compare(primary, standby, copied_from).unwrap_or_else(|anomaly| panic!("{anomaly}"))
}

/// A load that outlives trouble and goes on until its time is up.
pub(crate) fn patient_load(time: Duration) -> Load {
    Load {
        prefix: "/load/".to_owned(),
        requests: u64::MAX,
        time,
        pause: Duration::from_millis(15),
        patient: true,
        ..Load::default()
    }
}

/// Waits until the lag is at least as many seconds, and returns the status that says so.
pub(crate) async fn wait_for_lag(mirror: &mut Mirror, seconds: f64) -> Value {
    mirror
        .wait_for(&format!("lag of {seconds} s"), |status| {
            status["lag_seconds"].as_f64().is_some_and(|lag| lag >= seconds)
        })
        .await
}

/// Waits until `/readyz` says what `ready` says.
pub(crate) async fn wait_for_ready(mirror: &Mirror, ready: bool) {
    eventually(&format!("/readyz says {ready}"), PATIENCE, async || {
        let answer = mirror.get("/readyz").await.ok()?;
        ((answer.status == 200) == ready).then_some(())
    })
    .await;
}

/// Waits until a guard has stopped the mirror and the plan that would release it is known.
pub(crate) async fn wait_for_block(mirror: &mut Mirror, guard: &str) -> Value {
    mirror
        .wait_for(&format!("blocked by {guard}, with a plan"), |status| {
            status["state"] == "blocked"
                && status["blocked"]["guard"] == guard
                && status["blocked"]["release"]
                    .as_str()
                    .is_some_and(|release| release.contains("--accept "))
        })
        .await
}

/// Asks `etcd-sync status` for the command that releases the mirror, until it knows it. Returns the
/// command's arguments.
pub(crate) async fn release_command(mirror: &Mirror) -> Vec<String> {
    eventually("`etcd-sync status` names the release", PATIENCE, async || {
        let output = mirror.verb(&["status"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, command) = text.split_once("`etcd-sync resync --accept ")?;
        let (digest, _) = command.split_once('`')?;
        Some(vec!["resync".to_owned(), "--accept".to_owned(), digest.to_owned()])
    })
    .await
}

/// Gives an order, which must be taken.
pub(crate) fn give(mirror: &Mirror, verb: &[String]) {
    let verb: Vec<&str> = verb.iter().map(String::as_str).collect();
    let output = mirror.verb(&verb);
    assert!(output.status.success(), "{verb:?}: {output:?}");
}

/// Runs `etcd-sync` with any arguments.
pub(crate) fn etcd_sync(args: &[&str]) -> Output {
    Command::new(binaries::etcd_sync()).args(args).env("NO_COLOR", "1").output().unwrap()
}

/// The command failed with `code`, said why on stderr in words that contain `words`, printed no
/// result and did not break.
pub(crate) fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = said.lines().find(|line| line.starts_with("error: "));
    let line = line.unwrap_or_else(|| panic!("no line says what is wrong: {said}"));
    for word in words {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
    let broken = ["panicked", "backtrace", "RUST_BACKTRACE"];
    assert!(!broken.iter().any(|word| said.contains(word)), "{said}");
}

/// The mirror's log holds errors of a guard only.
pub(crate) fn assert_only_guards(mirror: &mut Mirror) {
    let log = mirror.process().output();
    let found: Vec<&str> = unexpected_errors(&log, &["blocked: "]).collect();
    assert!(found.is_empty(), "etcd-sync logged errors:\n{}", found.join("\n"));
}
