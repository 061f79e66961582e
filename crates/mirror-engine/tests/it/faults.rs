//! Worlds that misbehave.

use crate::operator::Tally;
use crate::seeds::{Suite, are_chosen};
use crate::world::{Faults, World};

#[test]
fn a_mirror_without_faults_follows() {
    Suite { name: "quiet", worlds: 500, steps: 2_000 }.run(World::new, Faults::NONE);
}

#[test]
fn a_mirror_holds_its_invariants_whatever_fails() {
    Suite { name: "faults", worlds: 4_000, steps: 1_500 }.run(World::new, Faults::ALL);
}

#[test]
fn a_repair_does_what_was_accepted_and_nothing_else_whatever_fails() {
    let suite = Suite { name: "repairs", worlds: 3_000, steps: 2_000 };
    let tally = suite.run(World::new, Faults::REPAIRS);
    // Worlds in which nothing comes of an order would prove nothing about orders.
    let Tally { done, keys, refused, failed } = tally;
    let all = [done, keys, refused, failed].iter().all(|count| *count > 0);
    assert!(are_chosen() || all, "{tally:?}");
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let run = || {
        let mut world = World::new(7, Faults::ALL);
        world.tracing = true;
        (0..1_500).for_each(|_| world.step());
        world.trace
    };
    let trace = run();
    assert!(trace.len() > 20);
    assert_eq!(trace, run());
}
