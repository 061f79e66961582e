//! Thin links and low limits: what is too large or too slow gets smaller, and goes on.

use std::time::Duration;

use etcd_mvcc::Revision;

use crate::seeds::Suite;
use crate::world::{Faults, Link, World};

/// A world with a few values, most of them large, that nobody has mirrored.
fn large(seed: u64) -> World {
    let mut world = World::new(seed, Faults::NONE);
    for at in 0..12 {
        let len = 200 + world.rng.below(1_000) as usize;
        world.primary.put(format!("/d/large/{at:02}"), "x".repeat(len).as_str()).unwrap();
    }
    world
}

/// Three values of this size are a page; the link carries one and a half in time.
#[test]
fn a_page_that_the_link_does_not_carry_in_time_gets_smaller() {
    Suite { name: "slow link", worlds: 200, steps: 0 }.each(|seed| {
        let mut world = large(seed);
        let deadline = Duration::from_secs(5);
        world.link = Some(Link { bytes_per_second: 380, deadline });
        world.settle();
    });
}

#[test]
fn a_standby_that_takes_less_than_before_gets_less() {
    Suite { name: "byte limits", worlds: 300, steps: 0 }.each(|seed| {
        let mut world = large(seed);
        for _ in 0..4 {
            let bytes = 2_600 + world.rng.below(4_000) as usize;
            world.standby.limit_requests(bytes, usize::MAX);
            (0..300).for_each(|_| world.step());
            if world.rng.below(2) == 0 {
                world.start_process();
                world.runners.remove(0);
            }
        }
        world.settle();
    });
}

#[test]
fn a_standby_that_takes_few_operations_gets_few() {
    Suite { name: "operation limits", worlds: 300, steps: 0 }.each(|seed| {
        let mut world = large(seed);
        for at in 0..40 {
            // Each of these is a ledger entry, too.
            let key = etcd_mvcc::Key::from(format!("/d/z/{at:02}"));
            let revision = world.standby.put(key.clone(), "theirs").unwrap();
            world.foreign.insert(key, revision);
        }
        for _ in 0..3 {
            let ops = 4 + world.rng.below(8) as usize;
            world.standby.limit_requests(3_000, ops);
            (0..300).for_each(|_| world.step());
        }
        let before = world.standby.revision();
        world.settle();
        let spent = world.standby.revision().ahead_of(before);
        assert!(spent < 2_000, "{spent} revisions were spent");
    });
}
