//! Was an owner always there when something that it owns was written, as a cluster's history tells?
//!
//! A live Kubernetes standby collects an object as soon as it sees it without an owner. [`judge`]
//! looks at every revision that a standby ever had and asks two things of it: whatever it puts has
//! its owners there, in the same revision at the latest; and whatever it deletes leaves nobody
//! behind that it owned alone.

use std::collections::{BTreeMap, BTreeSet};

use etcd_client::{EventType, WatchOptions};
use kube_meta::skim;

use crate::dump::Dump;
use crate::etcd::Access;

/// What a value pretends to be encrypted with: see [`veil`].
const VEIL: &[u8] = b"k8s:enc:aescbc:v1:veil:";

/// One key that a revision wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: i64,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, or `None` if it was deleted.
    pub value: Option<Vec<u8>>,
}

/// Returns everything that ever happened to a cluster of which nothing has been compacted.
///
/// # Panics
///
/// If something has been.
pub async fn changes(access: &Access) -> Vec<Change> {
    let mut client = access.client().await;
    let newest = client.get("\0", None).await.expect("a read");
    let newest = newest.header().expect("a header").revision();
    let mut changes: Vec<Change> = Vec::new();
    if newest == 1 {
        return changes;
    }
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut watcher = client.watch_client().max_decoding_message_size(1 << 30);
    let mut stream = watcher.watch(Vec::new(), Some(options)).await.expect("a watch");
    while changes.last().is_none_or(|change| change.revision < newest) {
        let answer = stream.message().await.expect("an answer").expect("the watch goes on");
        assert!(!answer.canceled(), "{} at {}", answer.cancel_reason(), answer.compact_revision());
        changes.extend(answer.events().iter().map(|event| {
            let kv = event.kv().expect("an event has a key");
            Change {
                revision: kv.mod_revision(),
                key: kv.key().to_vec(),
                value: (event.event_type() == EventType::Put).then(|| kv.value().to_vec()),
            }
        }));
    }
    changes
}

/// Returns the uids of the objects that a cluster holds, of those that `in_scope` admits.
#[must_use]
pub fn uids(dump: &Dump, in_scope: impl Fn(&[u8]) -> bool) -> BTreeSet<String> {
    let admitted = dump.keys.iter().filter(|(key, _)| in_scope(key));
    admitted.filter_map(|(_, entry)| Kin::of(&entry.value).uid).collect()
}

/// Hides an object from everybody but this check: it gets the envelope of an encrypted value.
#[must_use]
pub fn veil(object: &[u8]) -> Vec<u8> {
    [VEIL, object].concat()
}

/// What a history was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// References to owners that were looked at. None would prove nothing.
    pub references: usize,
    /// Puts before one of the owners was there: one line each.
    pub early: Vec<String>,
    /// Objects whose last owner was deleted before they were: one line each.
    pub left_behind: Vec<String>,
}

impl Verdict {
    /// Ends the test unless all was in order, over at least so many references.
    ///
    /// # Panics
    ///
    /// If it was not; the message names the first that were not.
    pub fn assert_in_order(&self, references: usize) {
        let first = |lines: &[String]| lines.iter().take(10).cloned().collect::<Vec<_>>();
        assert!(
            self.early.is_empty() && self.left_behind.is_empty(),
            "{} puts before an owner: {:#?}\n{} left behind: {:#?}",
            self.early.len(),
            first(&self.early),
            self.left_behind.len(),
            first(&self.left_behind)
        );
        assert!(self.references >= references, "only {} references were seen", self.references);
    }
}

/// Judges what happened after revision `after`. Owners count that `required` names, by uid: those
/// that the standby was to get. Of any other nobody says that it has to be there.
///
/// An owner that was there once and is not any more does not count: the collector judges by what
/// is there.
#[must_use]
pub fn judge(changes: &[Change], after: i64, required: &BTreeSet<String>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut live = Live::default();
    for revision in changes.chunk_by(|one, next| one.revision == next.revision) {
        let gone: Vec<Option<String>> = revision.iter().map(|change| live.apply(change)).collect();
        if revision.first().is_some_and(|change| change.revision <= after) {
            continue;
        }
        for (change, gone) in revision.iter().zip(gone) {
            let at = change.revision;
            if change.value.is_some() {
                for owner in live.owners(&change.key).filter(|owner| required.contains(*owner)) {
                    verdict.references += 1;
                    if !live.has(owner) {
                        let key = change.key.escape_ascii();
                        verdict.early.push(format!("standby@{at}: {key} before {owner}"));
                    }
                }
            } else if let Some(gone) = gone.filter(|gone| !live.has(gone)) {
                for key in live.left_behind_by(&gone) {
                    let (key, owner) = (key.escape_ascii(), change.key.escape_ascii());
                    verdict.left_behind.push(format!("standby@{at}: {key} by {owner}"));
                }
            }
        }
    }
    verdict
}

/// Who an object is and who owns it.
#[derive(Clone, Debug, Default)]
struct Kin {
    uid: Option<String>,
    owners: Vec<String>,
}

impl Kin {
    fn of(value: &[u8]) -> Self {
        let meta = skim(value.strip_prefix(VEIL).unwrap_or(value));
        Self {
            uid: meta.uid().map(str::to_owned),
            owners: meta.owners().map(|owner| owner.uid.to_owned()).collect(),
        }
    }
}

/// What a cluster holds, by the changes so far.
#[derive(Debug, Default)]
struct Live {
    objects: BTreeMap<Vec<u8>, Kin>,
    /// How many keys hold an object of this uid.
    uids: BTreeMap<String, usize>,
    dependents: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Live {
    /// Applies a change. Returns the uid of the object that held the key before.
    fn apply(&mut self, change: &Change) -> Option<String> {
        let before = self.objects.remove(&change.key).unwrap_or_default();
        for owner in &before.owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(&change.key);
            }
        }
        if let Some(count) = before.uid.as_ref().and_then(|uid| self.uids.get_mut(uid)) {
            *count -= 1;
        }
        if let Some(value) = &change.value {
            let kin = Kin::of(value);
            if let Some(uid) = &kin.uid {
                *self.uids.entry(uid.clone()).or_default() += 1;
            }
            for owner in &kin.owners {
                self.dependents.entry(owner.clone()).or_default().insert(change.key.clone());
            }
            self.objects.insert(change.key.clone(), kin);
        }
        before.uid
    }

    fn has(&self, uid: &str) -> bool {
        self.uids.get(uid).is_some_and(|count| *count > 0)
    }

    fn owners(&self, key: &[u8]) -> impl Iterator<Item = &String> {
        self.objects.get(key).into_iter().flat_map(|kin| &kin.owners)
    }

    /// Returns the objects that name this uid as an owner and have no other one that is there.
    fn left_behind_by(&self, uid: &str) -> impl Iterator<Item = &Vec<u8>> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        dependents.filter(|key| !self.owners(key).any(|owner| self.has(owner)))
    }
}
