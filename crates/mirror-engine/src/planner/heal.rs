//! Drift: what others delete or change on the standby is put back.
//!
//! A wound is a key of the mirror's that somebody else has deleted, or changed, as the standby's
//! watch tells. When it is due it is written anew as the primary held it at the checkpoint, owners
//! before their dependents; nothing is taken off the backlog meanwhile, so that the checkpoint stays
//! a pair. Whoever does it again is answered again, each time later, and after a limit left alone
//! and told of: something on the standby refuses that key, and a mirror that fights with it for
//! ever helps nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use etcd_mvcc::{
    Committed, Entry, Expect, Failure, FailureClass, Key, Op, PrimaryRevision, Revision as _,
    StandbyRevision, Value,
};
use keyspace_filter::OWN_PREFIX;
use kube_meta::skim;

use super::order::Queue;
use super::{Effect, Peer, Phase, Planner, Then};
use crate::status::{DriftStatus, RefusedKey};

/// Wounds that are kept in mind; beyond, a check tells of them.
const WOUNDS_MAX: usize = 65_536;

/// Wounds that are healed at once.
const TOGETHER_MAX: usize = 4_096;

/// How long a wound waits at first: whoever deletes seldom deletes one key alone.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// A key that was healed and stays whole for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Keys that the standby refuses, told by name.
const REFUSED_SHOWN: usize = 100;

/// A pass over what may be forgotten, at most so often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What others have done to the mirror's keys, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Drift {
    wounds: BTreeMap<Key, Wound>,
    /// Wounds that wait, by when they are due.
    due: BTreeSet<(Duration, Key)>,
    refused: BTreeMap<Key, Refusal>,
    healed: u64,
    swept_at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Wound {
    /// The others' last write to the key; `None` if they deleted it.
    modified: Option<StandbyRevision>,
    /// How often it was healed.
    healed: u32,
    /// Who on a standby is known to do such a thing to such a key.
    suspect: &'static str,
    state: WoundState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WoundState {
    /// To be healed at this time.
    Open(Duration),
    /// Being healed.
    Treated,
    /// Healed at this time, and whole since.
    Healed(Duration),
}

#[derive(Clone, Debug)]
struct Refusal {
    healed: u32,
    suspect: &'static str,
}

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

impl Drift {
    /// Somebody else has deleted a key, or written it at `modified`. Once it was put back `most`
    /// times, the standby refuses it.
    pub(super) fn wounded(
        &mut self,
        now: Duration,
        key: Key,
        modified: Option<StandbyRevision>,
        most: u32,
    ) {
        let known = self.wounds.get(&key).copied();
        let full = known.is_none() && self.wounds.len() >= WOUNDS_MAX;
        if full || self.refused.contains_key(&key) {
            return;
        }
        let (healed, suspect) = known.map_or((0, ""), |wound| (wound.healed, wound.suspect));
        if healed >= most {
            self.wounds.remove(&key);
            self.refused.insert(key, Refusal { healed, suspect });
            return;
        }
        let at = match known.map(|wound| wound.state) {
            Some(WoundState::Open(at)) => at,
            Some(WoundState::Treated | WoundState::Healed(_)) | None => {
                now + FIRST_WAIT * (1 << healed.min(4))
            }
        };
        self.due.insert((at, key.clone()));
        let state = WoundState::Open(at);
        self.wounds.insert(key, Wound { modified, healed, suspect, state });
    }

    /// The mirror has written or deleted the key in the course of its work: what others did to it
    /// before is over. A key that was just healed is watched further.
    pub(super) fn overwritten(&mut self, key: &Key) {
        if let Some(Wound { state: WoundState::Open(at), .. }) = self.wounds.get(key) {
            self.due.remove(&(*at, key.clone()));
            self.wounds.remove(key);
        }
    }

    /// The primary has written or deleted the key: whatever was refused is another value now.
    pub(super) fn superseded(&mut self, key: &Key) {
        self.refused.remove(key);
    }

    fn is_due(&self, now: Duration) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Takes up what is due.
    fn take_due(&mut self, now: Duration) -> Vec<(Key, Expect)> {
        let mut taken = Vec::new();
        while taken.len() < TOGETHER_MAX
            && self.is_due(now)
            && let Some((_, key)) = self.due.pop_first()
        {
            if let Some(wound) = self.wounds.get_mut(&key) {
                wound.state = WoundState::Treated;
                let expect = wound.modified.map_or(Expect::Absent, Expect::ModifiedAt);
                taken.push((key, expect));
            }
        }
        taken
    }

    /// The key was put back.
    fn healed(&mut self, now: Duration, key: &Key, suspect: &'static str) {
        self.healed += 1;
        let Some(wound) = self.wounds.get_mut(key) else { return };
        wound.healed += 1;
        wound.suspect = suspect;
        // Else it was wounded again before the answer came.
        if wound.state == WoundState::Treated {
            wound.state = WoundState::Healed(now);
        }
    }

    /// Nothing is to be put back: the primary does not have it either, or somebody was faster.
    fn closed(&mut self, key: &Key) {
        if self.wounds.get(key).is_some_and(|wound| wound.state == WoundState::Treated) {
            self.wounds.remove(key);
        }
    }

    /// What was taken up waits again.
    fn reopen(&mut self, now: Duration, keys: BTreeSet<Key>) {
        for key in keys {
            if let Some(wound) = self.wounds.get_mut(&key)
                && wound.state == WoundState::Treated
            {
                let at = now + FIRST_WAIT;
                wound.state = WoundState::Open(at);
                self.due.insert((at, key));
            }
        }
    }

    /// Forgets what has stayed whole.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        self.wounds.retain(|_, wound| match wound.state {
            WoundState::Healed(at) => now.saturating_sub(at) < FORGOTTEN_AFTER,
            WoundState::Open(_) | WoundState::Treated => true,
        });
    }

    /// What the status says of it.
    pub(super) fn status(&self) -> DriftStatus {
        let shown = self.refused.iter().take(REFUSED_SHOWN);
        DriftStatus {
            healed: self.healed,
            waiting: self.due.len() as u64,
            refused: self.refused.len() as u64,
            refused_shown: shown
                .map(|(key, refusal)| RefusedKey {
                    key: key.clone(),
                    healed: refusal.healed,
                    suspect: refusal.suspect.to_owned(),
                })
                .collect(),
        }
    }
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
        let limits = self.settings.txn;
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
        let limits = self.settings.txn;
        let Some(checkpoint) = self.checkpoint.clone() else { return };
        let room = self.room(&checkpoint);
        let Some(healing) = self.healing() else { return };
        let (writes, bytes) = healing.queue.outbox.take(&limits, room);
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
        let (scope, now) = (self.scope.clone(), self.now);
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
                    // What ends anyway is not called back to life; what is parked has none.
                    scope.is_parked(wanted.standby_key.as_bytes())
                        || (!deleting && !namespace.is_some_and(|name| ending.contains(&*name)))
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
        let now = self.now;
        let Some(healing) = self.healing() else { return };
        let sent = std::mem::take(&mut healing.sent);
        for (key, _) in &sent {
            healing.keys.remove(key);
        }
        for (at, (key, suspect)) in sent.into_iter().enumerate() {
            if committed.skipped.binary_search(&at).is_ok() {
                self.drift.closed(&key);
            } else {
                self.drift.healed(now, &key, suspect);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 3;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_deleted_again_and_again_waits_longer_each_time_and_is_refused_in_the_end() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        let mut now = secs(0);
        for wait in [2, 4, 8] {
            drift.wounded(now, key.clone(), None, MOST);
            assert!(drift.take_due(now + secs(wait - 1)).is_empty());
            now += secs(wait);
            assert_eq!(drift.take_due(now), [(key.clone(), Expect::Absent)]);
            drift.healed(now, &key, "somebody");
            assert_eq!(drift.status().refused, 0);
        }
        drift.wounded(now, key.clone(), None, MOST);
        let status = drift.status();
        assert_eq!((status.healed, status.waiting, status.refused), (3, 0, 1));
        assert_eq!(status.refused_shown[0].suspect, "somebody");
        drift.superseded(&key);
        assert_eq!(drift.status().refused, 0);
    }

    #[test]
    fn a_wound_that_the_mirror_has_written_over_is_closed() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        drift.wounded(secs(0), key.clone(), None, MOST);
        drift.overwritten(&key);
        assert!(drift.take_due(secs(60)).is_empty());
    }

    #[test]
    fn a_wound_that_comes_while_it_is_treated_is_treated_again() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        drift.wounded(secs(0), key.clone(), None, MOST);
        assert_eq!(drift.take_due(secs(2)).len(), 1);
        drift.wounded(secs(2), key.clone(), Some(StandbyRevision::new(7)), MOST);
        drift.healed(secs(3), &key, "");
        let again = drift.take_due(secs(60));
        assert_eq!(again, [(key, Expect::ModifiedAt(StandbyRevision::new(7)))]);
    }

    #[test]
    fn what_stays_whole_is_forgotten() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        drift.wounded(secs(0), key.clone(), None, MOST);
        drift.take_due(secs(2));
        drift.healed(secs(2), &key, "");
        drift.sweep(secs(500));
        assert_eq!(drift.wounds.len(), 1);
        drift.sweep(secs(700));
        assert!(drift.wounds.is_empty());
    }
}
