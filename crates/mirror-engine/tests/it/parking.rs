//! Worlds in which a rule holds keys: they are parked, compared where they lie, and what the standby
//! has in their own place is nobody's business.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::{Key, KeyRange, PrimaryRevision, StandbyRevision, Value};
use keyspace_filter::{Action, Preset, RuleSpec, ScopeSpec, parked_prefix};
use kube_meta::skim;
use mirror_engine::RepairKinds;

use crate::kubernetes::Objects;
use crate::seeds::{Suite, are_chosen};
use crate::world::{Faults, World};

impl World {
    /// Half of the keys are held; their place lies behind those that are not.
    fn parking(seed: u64, faults: Faults) -> Self {
        let held =
            RuleSpec { prefix: Some("/d/1".into()), ..RuleSpec::new(Action::HoldUntilPromote) };
        let spec = ScopeSpec {
            preset: Preset::None,
            prefixes: vec!["/d/".into()],
            exclude_prefixes: vec!["/d/out/".into()],
            rules: vec![held],
            parked_prefix: Some(parked_prefix("m")),
            ..ScopeSpec::default()
        };
        Self::of(seed, faults, spec, None)
    }

    /// Objects of one group are held; their place lies before those that are not.
    fn kubernetes_parking(seed: u64, faults: Faults) -> Self {
        let held = RuleSpec {
            resource: Some("zz.example.io/*".into()),
            ..RuleSpec::new(Action::HoldUntilPromote)
        };
        let spec = ScopeSpec {
            rules: vec![held],
            parked_prefix: Some(parked_prefix("m")),
            ..ScopeSpec::default()
        };
        Self::of(seed, faults, spec, Some(Objects::default()))
    }

    /// Where the standby has a key of the primary's.
    pub(crate) fn placed(&self, key: &Key) -> Key {
        self.scope.place(key).unwrap_or_else(|| key.clone())
    }

    /// Own places of keys that are held, on the standby.
    pub(crate) fn own_places(&self) -> Option<&'static str> {
        let place = match &self.objects {
            Some(_) => "/registry/zz.example.io/things/a/",
            None => "/d/1",
        };
        self.scope.holds_keys().then_some(place)
    }

    /// What the primary has in scope, as the standby spells it.
    pub(crate) fn primary_in_scope(&self, at: PrimaryRevision) -> BTreeMap<Key, Value> {
        let entries = self.primary.truth_at(&KeyRange::prefix(self.prefix()), at);
        let placed = |key: &Key| self.scope.place(key);
        entries.into_iter().filter_map(|entry| Some((placed(&entry.key)?, entry.value))).collect()
    }

    /// What the standby has in scope.
    pub(crate) fn standby_in_scope(&self, at: StandbyRevision) -> BTreeMap<Key, Value> {
        let places = [Some(KeyRange::prefix(self.prefix())), self.scope.parked_range()];
        let entries = places.iter().flatten().flat_map(|range| self.standby.truth_at(range, at));
        entries
            .filter(|entry| self.scope.admits_standby(entry.key.as_bytes()))
            .map(|entry| (entry.key, entry.value))
            .collect()
    }

    /// Keys that wait on the standby.
    fn parked(&self) -> BTreeMap<Key, Value> {
        let mut parked = self.standby_in_scope(self.standby.revision());
        parked.retain(|key, _| self.scope.is_parked(key.as_bytes()));
        parked
    }

    /// Keys that are kept off the standby.
    fn kept_off(&self) -> BTreeSet<Key> {
        let records = self.standby.truth_at(&self.own.withheld_range(), self.standby.revision());
        records.iter().filter_map(|entry| self.own.withheld_key(&entry.key)).collect()
    }

    /// Tells whether the standby may have this: it is another's, has no owners or has one, or one of
    /// them may be among those that can't be read.
    fn may_stay(&self, place: &Key) -> bool {
        let source = self.scope.primary_key(place).unwrap();
        let Some(entry) = self.primary.get(source.as_bytes()) else { return true };
        let meta = skim(entry.value.expose());
        let sealed = meta.owners().any(|owner| owner.kind == "Secret");
        meta.owners().next().is_none() || sealed || self.is_owned(place)
    }

    /// Tells whether an object that is alive owns what the standby would have at `place`, and will
    /// be seen from there.
    fn is_owned(&self, place: &Key) -> bool {
        let source = self.scope.primary_key(place).unwrap();
        let value = self.primary.get(source.as_bytes()).unwrap().value.clone();
        let alive = &self.objects.as_ref().unwrap().alive;
        let kept_off = self.kept_off();
        skim(value.expose()).owners().any(|owner| {
            let owner = alive.get(owner.uid).and_then(|key| self.scope.place(key));
            owner.is_some_and(|owner| {
                let sees = self.scope.is_parked(place.as_bytes())
                    || !self.scope.is_parked(owner.as_bytes());
                sees && !kept_off.contains(&owner)
            })
        })
    }
}

#[test]
fn a_mirror_that_parks_keys_holds_its_invariants_whatever_fails() {
    Suite { name: "parking", worlds: 3_000, steps: 1_500 }.run(World::parking, Faults::ALL);
}

#[test]
fn a_repair_mends_parked_keys_as_it_does_the_others_whatever_fails() {
    let suite = Suite { name: "parking repairs", worlds: 2_000, steps: 2_000 };
    let tally = suite.run(World::parking, Faults::REPAIRS);
    assert!(are_chosen() || (tally.done > 0 && tally.keys > 0), "{tally:?}");
}

#[test]
fn a_mirror_of_objects_parks_some_of_them_whatever_fails() {
    let faults = Faults { tamper: 0, repair: 0, ..Faults::ALL };
    let suite = Suite { name: "parking objects", worlds: 2_000, steps: 1_500 };
    suite.run(World::kubernetes_parking, faults);
}

#[test]
fn what_is_parked_equals_what_the_primary_holds_of_it() {
    let mut parked = 0;
    for seed in 1..30 {
        let mut world = World::parking(seed, Faults::NONE);
        world.settle();
        let mut held = world.primary_in_scope(world.primary.revision());
        held.retain(|key, _| world.scope.is_parked(key.as_bytes()));
        assert_eq!(world.parked(), held);
        // Nothing of it lies in its own place, but what strangers put there.
        for entry in world.standby.truth_at(&KeyRange::prefix(b"/d/1"), world.standby.revision()) {
            assert!(world.foreign.contains_key(&entry.key), "{} was put there", entry.key);
        }
        parked += held.len();
    }
    assert!(parked > 50, "{parked} keys were parked");
}

#[test]
fn a_parked_object_owns_none_that_is_not_parked() {
    let (mut off, mut parked, mut under_parked) = (0, 0, 0);
    for seed in 1..60 {
        let mut world = World::kubernetes_parking(seed, Faults::NONE);
        (0..60).for_each(|_| world.primary_write());
        world.settle();
        let kept_off = world.kept_off();
        for key in &kept_off {
            assert!(!world.is_owned(key), "{key} has an owner, seed {seed}");
            under_parked += usize::from(has_parked_owner(&world, key));
        }
        for key in world.standby_in_scope(world.standby.revision()).into_keys() {
            assert!(world.may_stay(&key), "{key} has no owner, seed {seed}");
        }
        off += kept_off.len();
        parked += world.parked().len();
    }
    assert!(off > 20 && parked > 100, "{off} are kept off, {parked} parked");
    assert!(under_parked > 5, "{under_parked} are kept off whose owner is parked");
}

fn has_parked_owner(world: &World, place: &Key) -> bool {
    let source = world.scope.primary_key(place).unwrap();
    let value = world.primary.get(source.as_bytes()).unwrap().value.clone();
    let alive = &world.objects.as_ref().unwrap().alive;
    let owners = skim(value.expose());
    owners.owners().any(|owner| {
        let place = alive.get(owner.uid).and_then(|key| world.scope.place(key));
        place.is_some_and(|place| world.scope.is_parked(place.as_bytes()))
    })
}

#[test]
fn a_parked_key_that_was_tampered_with_is_found_and_repaired() {
    let mut world = World::parking(3, Faults::NONE);
    for at in 10..14 {
        world.write_at_once(&[(format!("/d/{at}"), "right".to_owned())]);
    }
    world.settle();
    let place = |at: u32| world_place(&world, at);
    let (changed, gone, extra) = (place(10), place(11), Key::from("/etcd-sync/m/parked/d/199"));
    world.tamper_put(&changed, "wrong");
    world.tamper_delete(&gone);
    world.tamper_put(&extra, "strange");
    let (plan, seen) = world.see_plan(RepairKinds::default()).unwrap();
    assert_eq!((plan.counts.different, plan.counts.missed), (1, 1));
    // Nobody has asked for what strangers made to be deleted.
    assert!(plan.counts.surplus == 0 && plan.foreign_left > 0, "{plan:?}");
    world.order(seen);
    world.settle();
    for key in [&changed, &gone] {
        assert_eq!(world.standby.get(key.as_bytes()).unwrap().value, Value::from("right"));
    }
    assert!(world.standby.get(extra.as_bytes()).is_some());
}

fn world_place(world: &World, at: u32) -> Key {
    world.placed(&Key::from(format!("/d/{at}")))
}
