//! A standby that runs out of space.

use etcd_mvcc::{Key, Value};
use etcd_sim::Mutation;
use mirror_engine::{GuardKind, State};

use crate::seeds::Suite;
use crate::world::{Faults, World};

/// The standby has no room for what the primary holds; then the primary deletes most of it.
fn full(seed: u64, deletes_pass: bool) -> World {
    let mut world = World::new(seed, Faults::NONE);
    (0..50).for_each(|_| world.step());
    world.settle();
    world.standby.limit_space(60_000, deletes_pass);
    for at in 0..70 {
        world.primary.put(format!("/d/large/{at:02}"), "x".repeat(1_000).as_str()).unwrap();
    }
    let blocked = world.run_until(|status| status.state == State::Blocked).blocked.unwrap();
    assert_eq!(blocked.guard, GuardKind::StandbyAlarm, "{blocked:?}");
    let deleted: Vec<_> = (5..70)
        .map(|at| Mutation::delete(Key::from(format!("/d/large/{at:02}").as_str())))
        .collect();
    deleted.chunks(10).for_each(|some| assert!(world.primary.write(some).is_ok()));
    let small = Mutation::put(Key::from("/d/small"), Value::from("more"));
    world.primary.write(&[small]).unwrap();
    world
}

fn converges(world: &mut World) {
    for _ in 0..40 {
        (0..300).for_each(|_| world.step_runners());
        // An operator does what the alarm asks for, now and then, in this order or that.
        let at = world.standby.revision();
        match world.rng.below(3) {
            0 => drop(world.standby.compact(at)),
            1 => world.standby.defragment(),
            _ => world.standby.disarm(),
        }
    }
    let at = world.standby.revision();
    let _ = world.standby.compact(at);
    world.standby.defragment();
    world.standby.disarm();
    world.settle();
    assert!(!world.standby.is_out_of_space());
}

#[test]
fn it_converges_once_the_primary_needs_less_where_deletions_pass() {
    Suite { name: "space", worlds: 100, steps: 0 }.each(|seed| {
        let mut world = full(seed, true);
        converges(&mut world);
    });
}

#[test]
fn it_converges_once_the_primary_needs_less_where_nothing_passes() {
    Suite { name: "space for nothing", worlds: 100, steps: 0 }.each(|seed| {
        let mut world = full(seed, false);
        converges(&mut world);
    });
}
