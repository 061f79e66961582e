//! A watch that stays open and brings nothing: only progress is a sign of life.

use std::time::Duration;

use etcd_mvcc::Key;
use mirror_engine::planner::Peer;

use crate::seeds::Suite;
use crate::world::{Faults, World};

/// A change that a dead watch has swallowed arrives within this time.
const PATIENCE: Duration = Duration::from_secs(30);

fn settled(seed: u64, heals: bool) -> World {
    let mut world = World::new(seed, Faults { heals, ..Faults::NONE });
    (0..100).for_each(|_| world.step());
    world.settle();
    // A poll a second, and several ticks.
    world.pace = 80;
    world
}

/// Runs until `wanted`, and no longer than is allowed.
fn within_patience(world: &mut World, what: &str, wanted: impl Fn(&World) -> bool) {
    let end = world.runners[0].now() + PATIENCE;
    while !wanted(world) {
        world.step_runners();
        assert!(world.runners[0].now() < end, "{what}: {:?}", world.status());
    }
}

#[test]
fn what_the_primarys_watch_swallows_arrives_all_the_same() {
    Suite { name: "silent", worlds: 300, steps: 0 }.each(|seed| {
        let mut world = settled(seed, false);
        for _ in 0..3 {
            world.runners[0].silence(Peer::Primary);
            world.primary_write();
            world.primary.put("/d/last", "there").unwrap();
            let head = world.primary.revision();
            within_patience(&mut world, "the standby is behind", |world| {
                world.status().checkpoint >= head
            });
        }
    });
}

#[test]
fn what_the_standbys_watch_swallows_is_put_back_all_the_same() {
    Suite { name: "silent standby", worlds: 300, steps: 0 }.each(|seed| {
        let mut world = settled(seed, true);
        world.primary.put("/d/00", "right").unwrap();
        world.settle();
        world.runners[0].silence(Peer::Standby);
        world.tamper_delete(&Key::from("/d/00"));
        // What the mirror itself writes the watch should bring, too.
        world.primary.put("/d/01", "more").unwrap();
        within_patience(&mut world, "it is not put back", |world| {
            world.standby.get(b"/d/00").is_some()
        });
    });
}

#[test]
fn watches_that_fall_silent_again_and_again_hold_nothing_up() {
    let suite = Suite { name: "silent always", worlds: 500, steps: 1_500 };
    suite.run(World::new, Faults { silent: 30, ..Faults::ALL });
}
