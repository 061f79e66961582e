//! What several of these tests do.

use std::process::Output;
use std::time::Duration;

use end_to_end::dump::differences;
use end_to_end::{
    Dump, Etcd, Mirror, MirrorBuilder, assert_equal_in_scope, dump, eventually, everything,
};
use etcd_client::{Client, Txn, TxnOp};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

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

/// Puts `count` keys `<prefix>00000` and so on, in transactions of 100.
pub(crate) async fn fill(client: &mut Client, prefix: &str, count: usize, value: &str) {
    let keys: Vec<usize> = (0..count).collect();
    for part in keys.chunks(100) {
        let puts = part.iter().map(|n| TxnOp::put(format!("{prefix}{n:05}"), value, None));
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
}

/// Puts one key and returns its revision.
pub(crate) async fn put(client: &mut Client, key: &str, value: &str) -> i64 {
    client.put(key, value, None).await.unwrap().header().unwrap().revision()
}

/// The newest revision.
pub(crate) async fn head(client: &mut Client) -> i64 {
    client.get("\0", None).await.unwrap().header().unwrap().revision()
}

/// Compacts up to now, unless that is done.
pub(crate) async fn compact(client: &mut Client) {
    let newest = head(client).await;
    match client.compact(newest, None).await {
        Err(error) if error.to_string().contains("has been compacted") => {}
        answer => drop(answer.unwrap()),
    }
}

/// Waits until the standby holds what the primary holds now, and asks whether that is true.
pub(crate) async fn assert_caught_up(mirror: &mut Mirror, primary: &Etcd, standby: &Etcd) {
    let revision = head(&mut primary.client().await).await;
    mirror.wait_for_checkpoint(revision).await;
    let primary = dump(&primary.client().await).await;
    assert_equal_in_scope(&primary, &dump(&standby.client().await).await, everything);
}

/// What the standby holds in scope.
pub(crate) async fn held(standby: &Etcd) -> Dump {
    dump(&standby.client().await).await.filtered(everything)
}

/// Waits until a guard has stopped the mirror, with nothing on the standby touched. A mirror that
/// follows instead ends the test at once, with what it did.
pub(crate) async fn assert_blocks(
    mirror: &mut Mirror,
    standby: &Etcd,
    before: &Dump,
    guards: &[&str],
) -> Value {
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let status = mirror
            .wait_for("an answer", |status| {
                ["blocked", "following"].iter().any(|state| status["state"] == *state)
            })
            .await;
        let touched = differences(before, &held(standby).await, everything);
        let first: Vec<&String> = touched.iter().take(3).collect();
        assert!(
            touched.is_empty(),
            "{} keys of the standby were touched, such as {first:?}: {status}",
            touched.len()
        );
        if status["state"] == "blocked" {
            break status;
        }
        assert!(Instant::now() < deadline, "not blocked: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let guard = status["blocked"]["guard"].as_str().unwrap_or_default();
    assert!(guards.contains(&guard), "{guard}: {status}");
    // It looks again by itself, and finds the same.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(held(standby).await.keys, before.keys, "the standby was touched");
    status
}

/// The mirror went on by itself: nothing blocked it and nothing broke.
pub(crate) fn assert_never_blocked(mirror: &mut Mirror) {
    let log = mirror.process().output();
    assert!(!log.contains("blocked"), "{log}");
    mirror.assert_no_errors(&[]);
}

/// What a command said, on both outputs.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// Waits until `/readyz` answers with this status code.
pub(crate) async fn wait_for_readyz(mirror: &Mirror, code: u16) {
    eventually(&format!("/readyz answers {code}"), PATIENCE, async || {
        (mirror.get("/readyz").await.ok()?.status == code).then_some(())
    })
    .await;
}

/// Writes that go on until this is dropped.
pub(crate) struct Writer(JoinHandle<()>);

impl Writer {
    /// Puts and deletes keys `<prefix>0` to `<prefix>199`, with `pause` after each request, and
    /// compacts up to the newest revision after each `compact_every`.
    pub(crate) async fn start(
        etcd: &Etcd,
        prefix: &'static str,
        pause: Duration,
        compact_every: Option<Duration>,
    ) -> Self {
        let mut client = etcd.client().await;
        Self(tokio::spawn(async move {
            let mut compacted = Instant::now();
            for n in 0_u64.. {
                let key = format!("{prefix}{}", n * 7 % 200);
                if n % 5 == 4 {
                    client.delete(key, None).await.unwrap();
                } else {
                    put(&mut client, &key, &n.to_string()).await;
                }
                if compact_every.is_some_and(|every| compacted.elapsed() >= every) {
                    compact(&mut client).await;
                    compacted = Instant::now();
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }))
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// If it had failed before.
    pub(crate) fn stop(self) {
        assert!(!self.0.is_finished(), "a write failed");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
