//! What others have done to the mirror's keys: when each is put back, and when that is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use etcd_mvcc::{Expect, Key, StandbyRevision};

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
const REFUSED_SHOWN: usize = 20;

/// A pass over what may be forgotten, at most so often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What others have done to the mirror's keys, and what came of it.
#[derive(Debug, Default)]
pub(in crate::planner) struct Drift {
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

impl Drift {
    /// Somebody else has deleted a key, or written it at `modified`. Once it was put back `most`
    /// times, the standby refuses it.
    pub(in crate::planner) fn wounded(
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
    pub(in crate::planner) fn overwritten(&mut self, key: &Key) {
        if let Some(Wound { state: WoundState::Open(at), .. }) = self.wounds.get(key) {
            self.due.remove(&(*at, key.clone()));
            self.wounds.remove(key);
        }
    }

    /// The primary has written or deleted the key: whatever was refused is another value now.
    pub(in crate::planner) fn superseded(&mut self, key: &Key) {
        self.refused.remove(key);
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Takes up what is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<(Key, Expect)> {
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
    pub(super) fn healed(&mut self, now: Duration, key: &Key, suspect: &'static str, most: u32) {
        self.healed += 1;
        let Some(wound) = self.wounds.get_mut(key) else { return };
        wound.healed += 1;
        wound.suspect = suspect;
        let before = std::mem::replace(&mut wound.state, WoundState::Healed(now));
        if let WoundState::Open(at) = before {
            // Wounded again before the answer came: only now is it known how often it was healed.
            let modified = wound.modified;
            self.due.remove(&(at, key.clone()));
            self.wounded(now, key.clone(), modified, most);
        }
    }

    /// Nothing is to be put back: the primary does not have it either, or somebody was faster.
    pub(super) fn closed(&mut self, key: &Key) {
        if self.wounds.get(key).is_some_and(|wound| wound.state == WoundState::Treated) {
            self.wounds.remove(key);
        }
    }

    /// What was taken up waits again.
    pub(super) fn reopen(&mut self, now: Duration, keys: BTreeSet<Key>) {
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
    pub(super) fn sweep(&mut self, now: Duration) {
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
    pub(in crate::planner) fn status(&self) -> DriftStatus {
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

#[cfg(test)]
mod tests {
    use etcd_mvcc::Revision as _;

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
            drift.healed(now, &key, "somebody", MOST);
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
        drift.healed(secs(3), &key, "", MOST);
        let again = drift.take_due(secs(60));
        assert_eq!(again, [(key, Expect::ModifiedAt(StandbyRevision::new(7)))]);
    }

    #[test]
    fn the_limit_holds_although_a_deletion_is_heard_of_before_the_healing_is_answered() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        let mut now = secs(0);
        drift.wounded(now, key.clone(), None, MOST);
        for healed in 1..=u64::from(MOST) {
            now += secs(60);
            assert_eq!(drift.take_due(now).len(), 1);
            drift.wounded(now, key.clone(), None, MOST);
            drift.healed(now, &key, "somebody", MOST);
            assert_eq!(drift.status().refused, u64::from(healed == u64::from(MOST)));
        }
        assert!(drift.take_due(now + secs(600)).is_empty());
        assert_eq!(drift.status().refused_shown[0].suspect, "somebody");
    }

    #[test]
    fn what_stays_whole_is_forgotten() {
        let (mut drift, key) = (Drift::default(), Key::from("/a"));
        drift.wounded(secs(0), key.clone(), None, MOST);
        drift.take_due(secs(2));
        drift.healed(secs(2), &key, "", MOST);
        drift.sweep(secs(500));
        assert_eq!(drift.wounds.len(), 1);
        drift.sweep(secs(700));
        assert!(drift.wounds.is_empty());
    }
}
