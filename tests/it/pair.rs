//! Two etcds, and the questions that most tests ask of them.

use std::collections::BTreeMap;
use std::ops::Range;

use end_to_end::{
    Etcd, Mirror, MirrorBuilder, OWN_PREFIX, Recording, assert_equal_in_scope, dump, everything,
};
use etcd_client::{Client, EventType, Txn, TxnOp, WatchOptions};

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
        let primary = recording(&history(&self.primary).await);
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

/// One revision of a cluster: the keys that it changed, and their new values.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) revision: i64,
    pub(crate) changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Returns everything that ever happened to a cluster of which nothing has been compacted.
pub(crate) async fn history(etcd: &Etcd) -> Vec<Step> {
    let client = etcd.client().await;
    let newest = head(&client).await;
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut watcher = client.watch_client().max_decoding_message_size(1 << 30);
    let mut steps: Vec<Step> = Vec::new();
    if newest == 1 {
        return steps;
    }
    let mut stream = watcher.watch(Vec::new(), Some(options)).await.unwrap();
    while steps.last().is_none_or(|step| step.revision < newest) {
        let answer = stream.message().await.unwrap().expect("the watch goes on");
        assert!(!answer.canceled(), "{} at {}", answer.cancel_reason(), answer.compact_revision());
        for event in answer.events() {
            let kv = event.kv().expect("an event has a key");
            let value = (event.event_type() == EventType::Put).then(|| kv.value().to_vec());
            if steps.last().is_none_or(|step| step.revision < kv.mod_revision()) {
                steps.push(Step { revision: kv.mod_revision(), changes: Vec::new() });
            }
            let step = steps.last_mut().expect("there is one");
            assert_eq!(step.revision, kv.mod_revision(), "etcd watches in order");
            step.changes.push((kv.key().to_vec(), value));
        }
    }
    steps
}

/// Turns a history into the states that it made.
pub(crate) fn recording(steps: &[Step]) -> Recording {
    let mut recording = Recording::new();
    for step in steps {
        for (key, value) in step.changes.iter().filter(|(key, _)| everything(key)) {
            recording.note(step.revision, key, value.as_deref());
        }
        recording.pass(step.revision);
    }
    recording
}

/// What [`check_histories`] has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Checkpoints that promise that the standby equals the primary.
    pub(crate) whole: usize,
    /// Checkpoints inside a revision that was too wide for one request.
    pub(crate) torn: usize,
    /// Checkpoints inside a copy.
    pub(crate) copying: usize,
}

/// Ends the test unless the standby's history keeps every promise of the checkpoints in it:
///
/// - where one says whole, the standby is as the primary was at just that revision;
/// - the revisions of whole checkpoints only grow;
/// - while the last one says whole, no key in scope changes but along with the next one.
///
/// So each state of the standby that is not marked as torn or copying is one that the primary had.
pub(crate) fn check_histories(
    primary: &Recording,
    standby: &[Step],
    in_scope: impl Fn(&[u8]) -> bool,
) -> Checked {
    let mut held = Recording::new();
    let mut checked = Checked::default();
    let (mut phase, mut applied) = (String::new(), 0);
    for Step { revision, changes } in standby {
        let data = changes.iter().filter(|(key, _)| in_scope(key));
        let mut count = 0;
        for (key, value) in data {
            held.note(*revision, key, value.as_deref());
            count += 1;
        }
        held.pass(*revision);
        let own = [OWN_PREFIX, b"default/checkpoint"].concat();
        let Some((_, checkpoint)) = changes.iter().find(|(key, _)| *key == own) else {
            // Before the first checkpoint the keys are what others put there.
            assert!(
                phase != "whole" || count == 0,
                "standby@{revision} changed {count} keys behind the checkpoint's back"
            );
            continue;
        };
        let checkpoint = checkpoint.as_ref().expect("nobody deletes the checkpoint");
        let checkpoint: serde_json::Value = serde_json::from_slice(checkpoint).unwrap();
        phase = checkpoint["phase"].as_str().expect("a phase").to_owned();
        let at = checkpoint["revision"].as_i64().expect("a revision");
        match phase.as_str() {
            "whole" => checked.whole += 1,
            "torn" => checked.torn += 1,
            "copying" => checked.copying += 1,
            other => panic!("phase {other}"),
        }
        if phase == "whole" {
            assert!(
                at >= applied,
                "standby@{revision}: the checkpoint fell from {applied} to {at}"
            );
            applied = at;
            assert_eq!(
                held.at(*revision),
                primary.at(at),
                "standby@{revision} is not primary@{at}, as its checkpoint says"
            );
        }
    }
    checked
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
