//! Two etcds, and the questions that most tests ask of them.

use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) use end_to_end::steps::{Checked, Step, check_histories, history, recording};
use end_to_end::{Etcd, Mirror, MirrorBuilder, assert_equal_in_scope, dump, everything};
use etcd_client::{Client, Txn, TxnOp};

/// A primary and a standby.
pub(crate) struct Pair {
    pub(crate) primary: Etcd,
    pub(crate) standby: Etcd,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let (primary, standby) = tokio::join!(Etcd::start(), Etcd::start_standby());
        Self { primary, standby }
    }

    /// A mirror of every key.
    pub(crate) fn mirror(&self) -> MirrorBuilder {
        Mirror::builder(&self.primary.endpoints(), &self.standby.endpoints()).preset("none")
    }

    /// Waits until the standby holds what the primary holds now, and looks at every byte.
    pub(crate) async fn assert_equal(&self, mirror: &mut Mirror) {
        let primary = dump(&self.primary.client().await).await;
        mirror.wait_for_checkpoint(primary.revision).await;
        let standby = dump(&self.standby.client().await).await;
        assert_equal_in_scope(&primary, &standby, everything);
    }

    /// Compares both histories: see [`check_histories`].
    pub(crate) async fn check_histories(&self) -> Checked {
        let primary = recording(&history(&self.primary).await, everything);
        check_histories(&primary, &history(&self.standby).await, everything)
    }
}

/// Returns the cluster's newest revision.
pub(crate) async fn head(client: &Client) -> i64 {
    let mut client = client.clone();
    client.get("\0", None).await.unwrap().header().unwrap().revision()
}

/// Returns the value of a key.
pub(crate) async fn value(client: &Client, key: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
    let answer = client.clone().get(key, None).await.unwrap();
    answer.kvs().first().map(|kv| kv.value().to_vec())
}

/// Does all of it in one revision, whatever etcd's limit of operations. Returns that revision.
pub(crate) async fn at_once(client: &Client, ops: Vec<TxnOp>) -> i64 {
    // Each level may hold 128 operations less those of the level above: 60 transactions of 60.
    let levels: Vec<TxnOp> =
        ops.chunks(60).map(|ops| TxnOp::txn(Txn::new().and_then(ops.to_vec()))).collect();
    assert!(levels.len() <= 60, "too much for two levels");
    let answer = client.clone().txn(Txn::new().and_then(levels)).await.unwrap();
    answer.header().unwrap().revision()
}

/// Fills a range of numbered keys, `<prefix>00000` and so on: many keys to a revision.
pub(crate) async fn fill(
    client: &Client,
    prefix: &str,
    numbers: Range<u32>,
    value: impl Fn(u32) -> Vec<u8>,
) {
    let (mut ops, mut bytes) = (Vec::new(), 0);
    for number in numbers {
        let value = value(number);
        bytes += value.len() + prefix.len() + 30;
        ops.push(TxnOp::put(format!("{prefix}{number:05}"), value, None));
        if ops.len() == 1_200 || bytes > 1_000_000 {
            at_once(client, std::mem::take(&mut ops)).await;
            bytes = 0;
        }
    }
    if !ops.is_empty() {
        at_once(client, ops).await;
    }
}

/// Returns the one revision at which the keys that begin with `prefix` were changed, and how many
/// it changed.
pub(crate) fn only_step(steps: &[Step], prefix: &str) -> (i64, usize) {
    let mut found = BTreeMap::new();
    for step in steps {
        let changed = step.changes.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
        match changed.count() {
            0 => {}
            count => {
                found.insert(step.revision, count);
            }
        }
    }
    assert_eq!(found.len(), 1, "{prefix} changed at {found:?} and not at one revision");
    found.pop_first().unwrap()
}

/// Returns the one revision at which keys that begin with `prefix` were deleted, and how many.
pub(crate) fn only_deletion(steps: &[Step], prefix: &str) -> (i64, usize) {
    let deletions = |step: &Step| {
        let gone = step.changes.iter().filter(|(_, value)| value.is_none());
        Step { revision: step.revision, changes: gone.cloned().collect() }
    };
    only_step(&steps.iter().map(deletions).collect::<Vec<_>>(), prefix)
}
