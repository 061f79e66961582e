//! Objects that are held back: in scope on the primary, and kept off the standby.
//!
//! An object whose owners are none of them on the standby, because they stay local or are gone,
//! would be collected there as soon as it is written. A volume that is claimed from a namespace
//! that stays local would be released there, and what it stands for perhaps deleted. Neither is
//! written; both are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use etcd_mvcc::{Entry, Key, Op, PrimaryRevision, Value};
use keyspace_filter::Scope;
use kube_meta::skim;

use super::batch::op_bytes;
use super::order::{Kin, Kinds, Orphan, Owner};
use crate::held_back::HeldBack;
use crate::own_keys::OwnKeys;
use crate::record::RecordError;

/// Objects that are held back and told of; beyond, those without owners are written, and collected
/// by the standby.
const WITHHELD_MAX: usize = 65_536;

/// Records that one transaction writes along with its data.
const OPS_PER_TXN: usize = 200;

/// The keys that are held back, and why.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    keys: BTreeMap<Key, HeldBack>,
    /// The uids that are known to be missing: of owners, and of what is held back itself.
    missing: BTreeSet<u64>,
    pending: VecDeque<Op>,
    kinds: Kinds,
}

impl Withheld {
    /// Takes in a stored record.
    pub(crate) fn load(&mut self, key: Key, value: &Value) -> Result<(), RecordError> {
        self.insert(key, HeldBack::decode(value)?);
        Ok(())
    }

    fn insert(&mut self, key: Key, why: HeldBack) {
        if let HeldBack::Owners { uid, owners } = &why {
            self.missing.extend(owners);
            self.missing.extend(*uid);
        }
        self.keys.insert(key, why);
    }

    /// Tells whether the key is held back.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }

    /// How many keys are held back.
    pub(crate) fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// The first keys that are held back, and why.
    pub(crate) fn first(&self, most: usize) -> Vec<(Key, HeldBack)> {
        self.keys.iter().take(most).map(|(key, why)| (key.clone(), why.clone())).collect()
    }

    /// Every object was seen: these and no others are without an owner.
    pub(crate) fn replace(&mut self, own: &OwnKeys, orphans: Vec<Orphan>) {
        let found: BTreeSet<&Key> = orphans.iter().map(|orphan| &orphan.key).collect();
        let gone: Vec<Key> = self
            .keys
            .iter()
            .filter(|(key, why)| !matches!(why, HeldBack::Claim) && !found.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().for_each(|key| self.release(own, key));
        self.missing.clear();
        for Orphan { key, uid, owners } in orphans {
            self.hold(own, key, HeldBack::Owners { uid, owners });
        }
    }

    /// Every key of the primary's was seen, and these are held back: others are there no more.
    pub(crate) fn retain(&mut self, own: &OwnKeys, seen: &BTreeSet<Key>) {
        let unseen = self.keys.keys().filter(|key| !seen.contains(*key));
        let gone: Vec<Key> = unseen.cloned().collect();
        gone.iter().for_each(|key| self.release(own, key));
    }

    /// Holds a key back; `false` if too many are already.
    fn hold(&mut self, own: &OwnKeys, key: Key, why: HeldBack) -> bool {
        if self.keys.get(&key) == Some(&why) {
            self.insert(key, why);
            return true;
        }
        if self.keys.len() >= WITHHELD_MAX {
            return false;
        }
        self.pending.push_back(Op::Put { key: own.withheld(&key), value: why.encode() });
        self.insert(key, why);
        true
    }

    /// The key is held back no longer.
    pub(crate) fn release(&mut self, own: &OwnKeys, key: &Key) {
        if self.keys.remove(key).is_some() {
            self.pending.push_back(Op::Delete { key: own.withheld(key) });
        }
    }

    /// Tells whether a value has to be kept off the standby, as far as it tells itself; holds it
    /// back, or releases what was held back for that.
    pub(crate) fn judge_value(
        &mut self,
        own: &OwnKeys,
        scope: &Scope,
        entry: &Entry<PrimaryRevision>,
    ) -> bool {
        let local = is_claimed_locally(scope, &entry.key, &entry.value);
        if local {
            // Also where there is no room to tell of it: it must not be written.
            self.hold(own, entry.key.clone(), HeldBack::Claim);
        } else if self.keys.get(&entry.key) == Some(&HeldBack::Claim) {
            self.release(own, &entry.key);
        }
        local
    }

    /// Tells whether a value has to be kept off the standby, as far as it tells itself or what is
    /// known of its owners; holds it back, or releases it. `is_new` says that the standby can't
    /// have it yet: what is there is not frozen at an old value.
    pub(crate) fn judge(
        &mut self,
        own: &OwnKeys,
        scope: &Scope,
        key: &Key,
        value: &Value,
        is_new: bool,
    ) -> bool {
        if is_claimed_locally(scope, key, value) {
            self.hold(own, key.clone(), HeldBack::Claim);
            return true;
        }
        let held = self.holds(key);
        if self.missing.is_empty() || !(held || is_new) {
            self.release(own, key);
            return false;
        }
        let kin = Kin::read(value, scope.is_parked(key.as_bytes()), &mut self.kinds);
        let mut hashes = kin.owners.iter().flat_map(Owner::hashes);
        let orphaned = !kin.owners.is_empty() && hashes.all(|owner| self.missing.contains(&owner));
        if !orphaned {
            self.release(own, key);
            return false;
        }
        let owners = kin.owners.iter().flat_map(Owner::hashes).collect();
        self.hold(own, key.clone(), HeldBack::Owners { uid: kin.uid, owners })
    }

    /// An object is written, and not held back: if it was missing, whatever waited for it is to be
    /// written as well. `true` if there is such an object.
    pub(crate) fn came(&mut self, own: &OwnKeys, value: &Value, is_parked: bool) -> bool {
        if self.missing.is_empty() {
            return false;
        }
        let kin = Kin::read(value, is_parked, &mut self.kinds);
        let Some(uid) = kin.uid.filter(|uid| self.missing.remove(uid)) else { return false };
        let mut owned = false;
        for (key, why) in &mut self.keys {
            if matches!(why, HeldBack::Owners { owners, .. } if owners.contains(&uid)) {
                owned = true;
                *why = HeldBack::Due;
                self.pending.push_back(Op::Put { key: own.withheld(key), value: why.encode() });
            }
        }
        owned
    }

    /// Tells whether objects are held back that need not be any longer.
    pub(crate) fn are_due(&self) -> bool {
        self.keys.values().any(|why| *why == HeldBack::Due)
    }

    /// Tells whether records wait to be written.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Tells whether one transaction with `room` bytes for them takes all records that wait, or can't
    /// take the first of them anyway.
    ///
    /// A checkpoint may not say whole before: what is held back and not recorded would be missed.
    pub(crate) fn fits(&self, room: usize, room_max: usize) -> bool {
        let never = self.pending.front().is_some_and(|op| op_bytes(op) + 1 > room_max);
        never
            || self.pending.len() <= OPS_PER_TXN
                && self.pending.iter().map(|op| op_bytes(op) + 1).sum::<usize>() <= room
    }

    /// Takes records to write along with the next transaction, as far as `room` bytes go.
    pub(crate) fn take_ops(&mut self, room: usize) -> Vec<Op> {
        let (mut taken, mut bytes) = (Vec::<Op>::new(), 0);
        while taken.len() < OPS_PER_TXN
            && let Some(op) = self.pending.front()
        {
            bytes += op_bytes(op) + 1;
            if bytes > room {
                break;
            }
            let Some(op) = self.pending.pop_front() else { break };
            // A transaction writes each key once: the last word counts. What comes after it must
            // not wait, for the checkpoint moves on with this transaction.
            match taken.iter_mut().find(|earlier| earlier.key() == op.key()) {
                Some(earlier) => *earlier = op,
                None => taken.push(op),
            }
        }
        taken
    }
}

/// Tells whether this is a PersistentVolume that is claimed from a namespace that stays local.
fn is_claimed_locally(scope: &Scope, key: &Key, value: &Value) -> bool {
    scope.is_kubernetes()
        && scope.resource_of(key.as_bytes()).as_deref() == Some(b"persistentvolumes")
        && skim(value.expose())
            .claim()
            .is_some_and(|claim| !scope.admits_namespace(claim.namespace.as_bytes()))
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Revision as _;
    use keyspace_filter::{Action, RuleSpec, ScopeSpec};

    use super::*;

    fn object(name: &str, owner: Option<&str>) -> (Key, Value) {
        let owners = owner.map_or(String::new(), |owner| {
            format!(r#","ownerReferences":[{{"kind":"K","name":"{owner}","uid":"uid-{owner}"}}]"#)
        });
        let value =
            format!(r#"{{"kind":"K","metadata":{{"name":"{name}","uid":"uid-{name}"{owners}}}}}"#);
        (Key::from(format!("/registry/configmaps/team/{name}")), Value::from(value.as_str()))
    }

    /// A whole comparison has found `orphan` without its owner.
    fn found(own: &OwnKeys) -> Withheld {
        let (key, value) = object("orphan", Some("gone"));
        let kin = Kin::read(&value, false, &mut Kinds::default());
        let owners = kin.owners.iter().map(|owner| owner.uid).collect();
        let mut withheld = Withheld::default();
        withheld.replace(own, vec![Orphan { key, uid: kin.uid, owners }]);
        withheld
    }

    #[test]
    fn a_key_that_is_noted_twice_does_not_keep_the_rest_waiting() {
        let own = OwnKeys::new("m");
        let mut withheld = found(&own);
        let (orphan, other) = (object("orphan", None).0, object("other", None).0);
        withheld.release(&own, &orphan);
        withheld.hold(&own, other.clone(), HeldBack::Claim);
        let ops = withheld.take_ops(usize::MAX);
        assert_eq!(ops.len(), 2, "{ops:?}");
        assert_eq!(ops[0], Op::Delete { key: own.withheld(&orphan) });
        assert_eq!(*ops[1].key(), own.withheld(&other));
        assert!(!withheld.has_pending());
    }

    #[test]
    fn what_an_orphan_owns_waits_until_the_orphan_is_written() {
        let (own, scope) = (OwnKeys::new("m"), Scope::compile(ScopeSpec::default()).unwrap());
        let mut withheld = found(&own);
        // A restart in between changes nothing.
        let mut restarted = Withheld::default();
        for op in withheld.take_ops(1 << 20) {
            let Op::Put { key, value } = op else { panic!("{op:?}") };
            restarted.load(own.withheld_key(&key).unwrap(), &value).unwrap();
        }
        for withheld in [&mut withheld, &mut restarted] {
            let mut kept_off = |(key, value): &(Key, Value)| {
                let kept_off = withheld.judge(&own, &scope, key, value, true);
                (kept_off, !kept_off && withheld.came(&own, value, false))
            };
            let (orphan, below) = (object("orphan", Some("gone")), object("below", Some("orphan")));
            assert_eq!(kept_off(&below), (true, false));
            assert_eq!(kept_off(&orphan), (true, false), "it is an orphan still");
            assert_eq!(kept_off(&below), (true, false));
            assert_eq!(kept_off(&object("orphan", None)), (false, true));
            assert_eq!(kept_off(&below), (false, false));
            assert_eq!(withheld.len(), 0);
        }
    }

    const VOLUME: &str = "/registry/persistentvolumes/pv-1";

    fn scope() -> Scope {
        let rule = RuleSpec {
            resource: Some("persistentvolumes".into()),
            r#unsafe: true,
            ..RuleSpec::new(Action::Include)
        };
        Scope::compile(ScopeSpec { rules: vec![rule], ..ScopeSpec::default() }).unwrap()
    }

    fn claimed_from(namespace: &str) -> Entry<PrimaryRevision> {
        let value = format!(
            r#"{{"apiVersion":"v1","kind":"PersistentVolume","metadata":{{"uid":"u"}},"spec":{{"claimRef":{{"namespace":"{namespace}"}}}}}}"#
        );
        let at = PrimaryRevision::new(7);
        let value = Value::from(&*value);
        Entry { key: Key::from(VOLUME), value, created: at, modified: at, version: 1, lease: 0 }
    }

    #[test]
    fn a_volume_is_held_back_while_its_claim_stays_local() {
        let (own, mut withheld) = (OwnKeys::new("m"), Withheld::default());
        assert!(withheld.judge_value(&own, &scope(), &claimed_from("kube-system")));
        assert!(withheld.holds(&Key::from(VOLUME)));
        assert!(!withheld.judge_value(&own, &scope(), &claimed_from("kube-system-two")));
        assert!(!withheld.holds(&Key::from(VOLUME)));
    }

    #[test]
    fn what_the_primary_has_no_more_is_held_back_no_more() {
        let (own, mut withheld) = (OwnKeys::new("m"), Withheld::default());
        withheld.judge_value(&own, &scope(), &claimed_from("default"));
        withheld.retain(&own, &BTreeSet::from([Key::from(VOLUME)]));
        assert_eq!(withheld.len(), 1);
        withheld.retain(&own, &BTreeSet::new());
        assert_eq!(withheld.len(), 0);
        // What was written down is taken back as well.
        let ops = withheld.take_ops(1 << 20);
        assert!(matches!(&*ops, [Op::Delete { .. }]), "{ops:?}");
    }
}
