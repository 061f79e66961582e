//! What happened to a cluster, revision by revision, and whether the checkpoints in it keep their
//! promise.

use etcd_client::{EventType, WatchOptions};

use crate::{Etcd, OWN_PREFIX, Recording};

/// One revision of a cluster: the keys that it changed, and their new values.
#[derive(Clone, Debug)]
pub struct Step {
    /// The revision.
    pub revision: i64,
    /// The keys, and their new values; `None` for a deletion.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Returns everything that ever happened to a cluster of which nothing has been compacted.
pub async fn history(etcd: &Etcd) -> Vec<Step> {
    let client = etcd.client().await;
    let read = client.clone().get("\0", None).await.expect("a read");
    let newest = read.header().expect("a header").revision();
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

/// Turns a history into the states that it made of the keys in scope.
#[must_use]
pub fn recording(steps: &[Step], in_scope: impl Fn(&[u8]) -> bool) -> Recording {
    let mut recording = Recording::new();
    for step in steps {
        for (key, value) in step.changes.iter().filter(|(key, _)| in_scope(key)) {
            recording.note(step.revision, key, value.as_deref());
        }
        recording.pass(step.revision);
    }
    recording
}

/// What [`check_histories`] has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Checkpoints that promise that the standby equals the primary.
    pub whole: usize,
    /// Checkpoints inside a revision that was too wide for one request.
    pub torn: usize,
    /// Checkpoints inside a copy.
    pub copying: usize,
}

/// Ends the test unless the standby's history keeps every promise of the checkpoints in it:
///
/// - where one says whole, the standby is as the primary was at just that revision;
/// - the revisions of whole checkpoints only grow;
/// - while the last one says whole, no key in scope changes but along with the next one.
///
/// So each state of the standby that is not marked as torn or copying is one that the primary had.
pub fn check_histories(
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
