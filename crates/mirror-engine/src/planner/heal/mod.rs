//! Drift: what others delete or change on the standby is put back.
//!
//! A wound is a key of the mirror's that somebody else has deleted, or changed, as the standby's
//! watch tells. When it is due it is written anew as the primary held it at the checkpoint, owners
//! before their dependents; nothing is taken off the backlog meanwhile, so that the checkpoint stays
//! a pair. Whoever does it again is answered again, each time later, and after a limit left alone
//! and told of: something on the standby refuses that key, and a mirror that fights with it for
//! ever helps nobody.

mod drift;

use std::collections::BTreeSet;

use etcd_mvcc::{
    Committed, Entry, Expect, Failure, FailureClass, Key, Op, PrimaryRevision, Revision as _, Value,
};
use keyspace_filter::OWN_PREFIX;
use kube_meta::skim;

pub(super) use self::drift::Drift;
use super::order::Queue;
use super::{Effect, Peer, Phase, Planner, Then};

/// A healing that is under way.
#[derive(Debug)]
pub(super) struct Healing {
    queue: Queue,
    revision: PrimaryRevision,
    /// What was taken up and is not yet put back.
    keys: BTreeSet<Key>,
    /// Namespaces that are being deleted on the primary: their content goes by itself.
    ending: BTreeSet<Vec<u8>>,
    /// What is on its way, in the order of the transaction's writes, and who is suspected.
    sent: Vec<(Key, &'static str)>,
}

impl Healing {
    /// Asks for the namespaces first, so that what ends with them is known.
    fn new(planner: &Planner, revision: PrimaryRevision, wounds: Vec<(Key, Expect)>) -> Self {
        let scope = &planner.scope;
        let mut queue = Queue::new(planner.settings.order, scope, false).that_leaves_nothing();
        let home = scope.grammar().namespaces();
        let namespaces: BTreeSet<_> =
            wounds.iter().filter_map(|(key, _)| scope.namespace_of(key.as_bytes())).collect();
        for namespace in namespaces {
            let key = Key::from([home.as_bytes(), &namespace].concat());
            // Only looked at.
            queue.want(key, Key::default(), None);
        }
        let mut keys = BTreeSet::new();
        for (key, expect) in wounds {
            if let Some(primary_key) = scope.primary_key(&key) {
                queue.want(primary_key, key.clone(), Some(expect));
            }
            keys.insert(key);
        }
        Self { queue, revision, keys, ending: BTreeSet::new(), sent: Vec::new() }
    }
}

impl Planner {
    /// Begins to put back what is due; `false` if nothing is. Nothing is on its way to the standby.
    pub(super) fn begin_healing(&mut self) -> bool {
        self.drift.sweep(self.now);
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.is_whole())
        else {
            return false;
        };
        let revision = checkpoint.revision;
        if revision.get() <= 0 || !self.drift.is_due(self.now) {
            return false;
        }
        let wounds = self.drift.take_due(self.now);
        let healing = Healing::new(self, revision, wounds);
        if let Phase::Following(following) = &mut self.phase {
            following.healing = Some(Box::new(healing));
        }
        self.pump_healing();
        true
    }

    fn healing(&mut self) -> Option<&mut Healing> {
        let Phase::Following(following) = &mut self.phase else { return None };
        following.healing.as_deref_mut()
    }

    /// Nothing is on its way to the standby.
    pub(super) fn pump_healing(&mut self) {
        let limits = self.txn_limits();
        let Some(healing) = self.healing() else { return };
        // Not every object was seen: nobody is an orphan.
        let (orphans, left) = healing.queue.release(true);
        debug_assert!(orphans.is_empty() && !left, "{orphans:?}");
        if let Some(keys) = healing.queue.next_fetch(&limits) {
            let at = Some(healing.revision);
            self.effects.push_back(Effect::FetchPrimary { keys, at });
        }
        let Some(healing) = self.healing() else { return };
        let spent = healing.queue.is_spent();
        let outbox = &healing.queue.outbox;
        if outbox.is_due(&limits) || (spent && !outbox.is_empty()) {
            return self.commit_healing();
        }
        if spent {
            self.end_healing();
        }
    }

    fn commit_healing(&mut self) {
        let limits = self.txn_limits();
        let Some(checkpoint) = self.checkpoint.clone() else { return };
        let room = self.room(&checkpoint);
        let unnamed = self.ledger.is_unnamed();
        let Some(healing) = self.healing() else { return };
        let (writes, bytes) = healing.queue.outbox.take(&limits, room);
        if bytes > room && unnamed {
            healing.queue.outbox.put_back(writes);
            return self.commit(Then::Healed, Vec::new(), Some(checkpoint));
        }
        healing.sent = writes
            .iter()
            .map(|write| match &write.op {
                Op::Put { key, value } => (key.clone(), suspect(key, value)),
                Op::Delete { key } => (key.clone(), ""),
            })
            .collect();
        if bytes > room {
            self.commit_lean(Then::Healed, writes);
        } else {
            self.commit(Then::Healed, writes, Some(checkpoint));
        }
    }

    /// Values that a healing asked for have come.
    pub(super) fn on_heals_fetched(
        &mut self,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let (scope, now, withheld) = (self.scope.clone(), self.now, &self.withheld);
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(healing) = following.healing.as_deref_mut() else { return };
        match answer {
            Ok(entries) => {
                let ending = &mut healing.ending;
                healing.queue.fetched(&scope, entries, true, |wanted, entry| {
                    let deleting = skim(entry.value.expose()).is_deleting();
                    if wanted.standby_key.is_empty() {
                        if deleting && let Some(name) = last_segment(&entry.key) {
                            ending.insert(name.to_vec());
                        }
                        return false;
                    }
                    let namespace = scope.namespace_of(wanted.standby_key.as_bytes());
                    // What ends anyway is not called back to life, nor is what is held back; what is
                    // parked has no life yet.
                    let ends = deleting || namespace.is_some_and(|name| ending.contains(&*name));
                    !withheld.holds(&wanted.standby_key)
                        && (!ends || scope.is_parked(wanted.standby_key.as_bytes()))
                });
            }
            Err(failure) if failure.class == FailureClass::Resync => {
                // The checkpoint moves on; then it is tried again.
                let keys = std::mem::take(&mut healing.keys);
                following.healing = None;
                self.drift.reopen(now, keys);
            }
            Err(failure) => self.on_failure(Peer::Primary, &failure),
        }
    }

    pub(super) fn on_healed(&mut self, committed: &Committed) {
        self.on_follow_applied();
        let (now, most) = (self.now, self.settings.heal.limit);
        let Some(healing) = self.healing() else { return };
        let sent = std::mem::take(&mut healing.sent);
        for (key, _) in &sent {
            healing.keys.remove(key);
        }
        for (at, (key, suspect)) in sent.into_iter().enumerate() {
            if committed.skipped.binary_search(&at).is_ok() {
                self.drift.closed(&key);
            } else {
                self.drift.healed(now, &key, suspect, most);
            }
        }
    }

    fn end_healing(&mut self) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(healing) = following.healing.take() else { return };
        for key in &healing.keys {
            self.drift.closed(key);
        }
    }
}

fn last_segment(key: &Key) -> Option<&[u8]> {
    key.as_bytes().rsplit(|byte| *byte == b'/').next()
}

/// Who on a live standby is known to delete or change such an object.
fn suspect(key: &Key, value: &Value) -> &'static str {
    let meta = skim(value.expose());
    if key.as_bytes().starts_with(OWN_PREFIX.as_bytes()) {
        return "a person or a program that writes where objects are parked";
    }
    if meta.owners().next().is_some() {
        "the garbage collector: none of its owners is on the standby under the uid that it names, or \
         kube-controller-manager remembers one as absent until it is restarted"
    } else if key.as_bytes().windows(9).any(|part| part == b"/secrets/") {
        "the token controller, if its service account is not on the standby under the uid that it \
         names; else a controller or a person on the standby"
    } else {
        "a controller, an operator or a person on the standby"
    }
}
