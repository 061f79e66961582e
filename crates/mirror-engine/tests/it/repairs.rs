//! Repairs that operators order, one at a time, in worlds that stand still otherwise.

use etcd_mvcc::{Key, KeyRange, Value};
use mirror_engine::{
    NotRepairable, RepairCounts, RepairKind, RepairKinds, RepairOutcome, RepairPlanError,
    RepairRecord, State, Surplus,
};

use crate::operator::Seen;
use crate::world::{Faults, PREFIX, World};

/// A world whose mirror follows at the primary's head, and whose primary has these keys, among
/// others; the standby alone has /d/z9, which is another's.
fn settled(seed: u64) -> World {
    let mut world = World::new(seed, Faults::NONE);
    (0..100).for_each(|_| world.step());
    for name in ["00", "01", "02", "03"] {
        world.primary.put(format!("/d/{name}"), format!("value {name}").as_str()).unwrap();
    }
    for name in ["18", "19"] {
        world.primary.delete(format!("/d/{name}")).unwrap();
    }
    world.settle();
    let key = Key::from("/d/z9");
    let revision = world.standby.put(key.clone(), "theirs").unwrap();
    world.foreign.insert(key, revision);
    world
}

/// One key of each kind is made to differ.
fn disturb(world: &mut World) {
    world.tamper_delete(&Key::from("/d/00"));
    world.tamper_put(&Key::from("/d/01"), "theirs");
    world.tamper_put(&Key::from("/d/19"), "theirs");
}

fn see(world: &mut World, kinds: RepairKinds) -> Seen {
    world.see_plan(kinds).unwrap().1
}

/// Runs until the order is answered.
fn answer(world: &mut World, order: u64) -> RepairRecord {
    let closed = |record: &RepairRecord| record.order == order && record.outcome.is_final();
    let status = world.run_until(|status| status.last_repair.as_ref().is_some_and(closed));
    status.last_repair.unwrap()
}

fn begun(world: &mut World, order: u64) {
    world.run_until(|status| {
        let record = status.last_repair.as_ref();
        record.is_some_and(|record| record.order == order && !record.outcome.is_final())
    });
}

/// A new process takes over; the old one is gone.
fn restart(world: &mut World) {
    world.start_process();
    world.runners.remove(0);
}

fn value(world: &World, key: &str) -> Option<Value> {
    world.standby.get(key.as_bytes()).map(|entry| entry.value.clone())
}

fn mirrored(world: &World) -> Vec<(Key, Value)> {
    let entries = world.standby.truth_at(&KeyRange::prefix(PREFIX), world.standby.revision());
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn a_plan_names_every_difference_of_the_kinds_asked_for() {
    for seed in 1..20 {
        let mut world = settled(seed);
        disturb(&mut world);
        let kinds = RepairKinds { surplus: Surplus::All, ..RepairKinds::default() };
        let (plan, shown) = world.plan_repair(kinds).unwrap();
        let named = |key: &str, kind, foreign| {
            shown.iter().any(|found| {
                (found.key.as_bytes(), found.kind, found.foreign) == (key.as_bytes(), kind, foreign)
            })
        };
        assert!(named("/d/00", RepairKind::Missed, false), "{shown:?}");
        assert!(named("/d/01", RepairKind::Different, false), "{shown:?}");
        assert!(named("/d/19", RepairKind::Surplus, true), "{shown:?}");
        assert!(named("/d/z9", RepairKind::Surplus, true), "{shown:?}");
        assert!(shown.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!(plan.counts.total(), shown.len() as u64);
        assert_eq!(plan.foreign, shown.iter().filter(|found| found.foreign).count() as u64);

        let (plan, shown) = world.plan_repair(RepairKinds::default()).unwrap();
        assert_eq!(plan.counts, RepairCounts { missed: 1, different: 1, surplus: 0 }, "{shown:?}");
        assert!(plan.foreign_left >= 2);
    }
}

#[test]
fn an_accepted_repair_is_carried_out_and_leaves_what_others_made() {
    for seed in 1..40 {
        let mut world = settled(seed);
        disturb(&mut world);
        let seen = see(&mut world, RepairKinds::default());
        let order = world.order(seen);
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Done, "seed {seed}: {record:?}");
        assert_eq!(record.written, RepairCounts { missed: 1, different: 1, surplus: 0 });
        assert_eq!(value(&world, "/d/00"), Some("value 00".into()));
        assert_eq!(value(&world, "/d/01"), Some("value 01".into()));
        assert_eq!(value(&world, "/d/19"), Some("theirs".into()));
        assert_eq!(value(&world, "/d/z9"), Some("theirs".into()));
        // Nothing is lost or repeated of what the primary does next.
        (0..20).for_each(|_| world.primary_write());
        world.settle();
    }
}

#[test]
fn surplus_that_is_named_goes_and_leaves_the_ledger() {
    for seed in 1..40 {
        let mut world = settled(seed);
        disturb(&mut world);
        let seen = see(&mut world, RepairKinds::named(&[RepairKind::Surplus]));
        let order = world.order(seen);
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Done, "seed {seed}: {record:?}");
        assert_eq!((value(&world, "/d/19"), value(&world, "/d/z9")), (None, None));
        assert_eq!(value(&world, "/d/00"), None, "nobody has named missed keys");
        world.primary.put("/d/19", "ours").unwrap();
        world.settle();
        (0..2_000).for_each(|_| world.step());
        world.settle();
        for key in ["/d/19", "/d/z9"] {
            let entry = world.own.ledger(&Key::from(key));
            assert_eq!(world.standby.get(entry.as_bytes()), None, "seed {seed}: {key}");
        }
    }
}

#[test]
fn a_plan_that_the_world_has_left_behind_is_refused_and_nothing_is_written() {
    let moves: [fn(&mut World); 5] = [
        |world| world.tamper_delete(&Key::from("/d/02")),
        |world| world.tamper_put(&Key::from("/d/01"), "theirs again"),
        |world| world.tamper_put(&Key::from("/d/00"), "value 00"),
        |world| assert!(world.primary.put("/d/00", "newer").is_ok()),
        |world| assert!(world.primary.delete("/d/01").is_ok()),
    ];
    for (at, moves) in moves.iter().enumerate() {
        let mut world = settled(at as u64 + 1);
        disturb(&mut world);
        let seen = see(&mut world, RepairKinds::default());
        moves(&mut world);
        world.settle();
        let before = mirrored(&world);
        let order = world.order(seen);
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Refused, "move {at}: {record:?}");
        assert!(record.reason.contains("the world has moved"), "{}", record.reason);
        assert_eq!(record.written.total(), 0);
        assert_eq!(mirrored(&world), before, "move {at}");
        // What it would be instead is what a plan says.
        let (plan, _) = world.plan_repair(RepairKinds::default()).unwrap();
        assert_eq!(record.found, Some(plan.digest));
    }
}

#[test]
fn what_the_primary_does_elsewhere_does_not_void_a_plan() {
    let mut world = settled(1);
    disturb(&mut world);
    let seen = see(&mut world, RepairKinds::default());
    world.primary.put("/d/03", "newer").unwrap();
    world.primary.put("/e/1", "elsewhere").unwrap();
    world.settle();
    let order = world.order(seen);
    assert_eq!(answer(&mut world, order).outcome, RepairOutcome::Done);
}

#[test]
fn the_same_digest_is_good_for_one_order_and_the_next_order_needs_the_same_world() {
    let mut world = settled(1);
    world.tamper_delete(&Key::from("/d/00"));
    let seen = see(&mut world, RepairKinds::named(&[RepairKind::Missed]));
    let first = world.order(seen.clone());
    assert_eq!(answer(&mut world, first).outcome, RepairOutcome::Done);
    // The order still stands in the control record, and the same key is lost again.
    world.tamper_delete(&Key::from("/d/00"));
    restart(&mut world);
    world.settle();
    (0..2_000).for_each(|_| world.step_runners());
    assert_eq!(value(&world, "/d/00"), None, "an order was carried out twice");
    let second = world.order(seen);
    assert_eq!(answer(&mut world, second).outcome, RepairOutcome::Done);
    assert_eq!(value(&world, "/d/00"), Some("value 00".into()));
}

#[test]
fn an_order_waits_while_the_mirror_stands_still_and_is_looked_at_when_it_goes_on() {
    let mut world = settled(1);
    disturb(&mut world);
    world.pause_or_resume();
    world.run_until(|status| status.state == State::Paused);
    let seen = see(&mut world, RepairKinds::default());
    let order = world.order(seen);
    (0..500).for_each(|_| world.step_runners());
    assert_eq!(value(&world, "/d/00"), None);
    restart(&mut world);
    world.run_until(|status| status.state == State::Paused);
    world.resume();
    assert_eq!(answer(&mut world, order).outcome, RepairOutcome::Done);
}

#[test]
fn an_order_that_was_not_begun_outlives_a_restart() {
    for seed in 1..20 {
        let mut world = settled(seed);
        disturb(&mut world);
        let seen = see(&mut world, RepairKinds::default());
        let order = world.order(seen);
        for _ in 0..seed {
            world.step_runners();
        }
        restart(&mut world);
        assert_eq!(answer(&mut world, order).outcome, RepairOutcome::Done, "seed {seed}");
    }
}

#[test]
fn a_repair_that_was_begun_goes_on_after_a_restart_where_it_was() {
    for seed in 1..20 {
        let mut world = settled(seed);
        for name in 0..40 {
            world.tamper_put(&Key::from(format!("/d/x{name:02}")), "theirs");
        }
        let seen = see(&mut world, RepairKinds::named(&[RepairKind::Surplus]));
        let order = world.order(seen);
        begun(&mut world, order);
        restart(&mut world);
        // The judge in the world sees to it that no key is mended twice.
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Done, "seed {seed}: {record:?}");
        assert_eq!(record.written, record.planned);
    }
}

#[test]
fn a_repair_that_can_not_go_on_where_it_was_has_failed() {
    let broken = |seed| {
        let mut world = settled(seed);
        for name in 0..40 {
            world.tamper_put(&Key::from(format!("/d/x{name:02}")), "theirs");
        }
        let seen = see(&mut world, RepairKinds::named(&[RepairKind::Surplus]));
        let order = world.order(seen);
        begun(&mut world, order);
        let at = world.standby.revision();
        world.standby.compact(at).unwrap();
        let record = answer(&mut world, order);
        // Where all of it was read before, nothing is broken.
        (record.outcome == RepairOutcome::Failed).then_some((world, record))
    };
    let (mut world, record) = (1..20).find_map(broken).unwrap();
    assert!(record.reason.contains("plan it again"), "{}", record.reason);
    assert!(record.written.total() > 0 && record.written.total() < record.planned.total());
    // What is left is for another plan, and the mirror goes on.
    let seen = see(&mut world, RepairKinds::named(&[RepairKind::Surplus]));
    let order = world.order(seen);
    assert_eq!(answer(&mut world, order).outcome, RepairOutcome::Done);
    world.primary_write();
    world.settle();
}

#[test]
fn a_repair_is_not_gone_on_with_after_a_resync() {
    for seed in 1..20 {
        let mut world = settled(seed);
        let names: Vec<_> = (0..40).map(|name| format!("/d/y{name:02}")).collect();
        for name in &names {
            world.primary.put(name.as_str(), "v").unwrap();
        }
        world.settle();
        names.iter().for_each(|name| world.tamper_delete(&Key::from(name.as_str())));
        let seen = see(&mut world, RepairKinds::default());
        let order = world.order(seen);
        begun(&mut world, order);
        // Further than is caught up with by watching.
        names.iter().for_each(|name| assert!(world.primary.delete(name.as_str()).is_ok()));
        restart(&mut world);
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Failed, "seed {seed}: {record:?}");
        assert!(record.reason.contains("the gap to the primary"), "{}", record.reason);
        world.settle();
        assert_eq!(value(&world, "/d/y39"), None);
    }
}

#[test]
fn a_comparison_that_compaction_always_overtakes_is_given_up() {
    let mut world = settled(1);
    disturb(&mut world);
    let seen = see(&mut world, RepairKinds::default());
    let order = world.order(seen);
    for _ in 0..200_000 {
        world.step_runners();
        if world.status().reason.starts_with("comparing") {
            world.tamper_put(&Key::from("/d/17"), "theirs");
            let at = world.standby.revision();
            let _ = world.standby.compact(at);
        }
        if world.operator.is_answered() {
            break;
        }
    }
    let record = answer(&mut world, order);
    assert_eq!(record.outcome, RepairOutcome::Refused, "{record:?}");
    assert!(record.reason.contains("given up after 5 attempts"), "{}", record.reason);
    world.settle();
}

#[test]
fn a_primary_that_compacts_the_checkpoint_away_delays_a_repair_and_does_not_stop_the_mirror() {
    let mut overtaken = 0;
    for seed in 1..60 {
        let mut world = settled(seed);
        disturb(&mut world);
        let seen = see(&mut world, RepairKinds::default());
        let order = world.order(seen);
        world.run_until(|status| status.reason.starts_with("comparing"));
        // Seen by the watch, and not yet in the checkpoint.
        world.primary.put("/e/1", "elsewhere").unwrap();
        let at = world.primary.revision();
        while world.watched().is_some_and(|next| next <= at) {
            world.step_runners();
        }
        overtaken += u64::from(world.status().reason.starts_with("comparing"));
        world.primary.compact(at).unwrap();
        let record = answer(&mut world, order);
        assert_eq!(record.outcome, RepairOutcome::Done, "seed {seed}: {record:?}");
        assert_eq!(world.status().counters.resyncs.get("compacted"), None);
        world.settle();
    }
    assert!(overtaken > 5, "{overtaken} surveys were overtaken");
}

#[test]
fn a_value_that_fills_a_request_is_mended_too() {
    let mut world = settled(1);
    let large = "x".repeat(2_400);
    world.primary.put("/d/02", large.as_str()).unwrap();
    world.settle();
    world.tamper_put(&Key::from("/d/02"), "theirs");
    let seen = see(&mut world, RepairKinds::default());
    let order = world.order(seen);
    let record = answer(&mut world, order);
    assert_eq!(record.outcome, RepairOutcome::Done, "{record:?}");
    assert_eq!(value(&world, "/d/02"), Some(large.as_str().into()));
}

#[test]
fn what_is_no_pair_can_not_be_planned_for() {
    let plan = |world: &World| match world.plan_repair(RepairKinds::default()) {
        Err(RepairPlanError::NotRepairable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let mut world = World::new(1, Faults::NONE);
    assert_eq!(plan(&world), NotRepairable::NoCheckpoint);
    while world.checkpoint().is_none() {
        world.step_runners();
    }
    assert_eq!(plan(&world), NotRepairable::Copying);

    let mut world = settled(1);
    world.primary.wipe();
    assert!(matches!(plan(&world), NotRepairable::NotProven(_)));

    let mut world = settled(1);
    world.narrow_scope();
    assert!(matches!(plan(&world), NotRepairable::ScopeChanged { .. }));

    let mut world = settled(1);
    (0..100).for_each(|name| {
        world.primary.put(format!("/d/{name}"), "v").unwrap();
    });
    let torn: Vec<_> = (0..60).map(|name| (format!("/d/{name:02}"), "w".repeat(90))).collect();
    world.write_at_once(&torn);
    while world.checkpoint().unwrap().0.is_whole() {
        world.step_runners();
    }
    assert!(matches!(plan(&world), NotRepairable::Torn(_) | NotRepairable::Copying));
    world.settle();
}
