//! Worlds that misbehave.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::operator::Tally;
use crate::world::{Faults, World};

/// Runs worlds of these faults, from a seed that is printed, and shows the seed of one that fails.
/// Returns what became of the orders that were given in them.
fn worlds(count: u64, steps: u64, faults: Faults) -> Tally {
    worlds_of(World::new, count, steps, faults)
}

/// The same, with worlds that `make` makes.
pub(crate) fn worlds_of(
    make: impl Fn(u64, Faults) -> World,
    count: u64,
    steps: u64,
    faults: Faults,
) -> Tally {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("WORLD");
    let count = first.map_or(number("WORLDS").unwrap_or(count), |_| 1);
    let first = first.unwrap_or(1);
    println!("seeds {first} to {}", first + count - 1);
    let mut tally = Tally::default();
    for seed in first..first + count {
        let mut world = make(seed, faults);
        let run = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..steps {
                world.step();
            }
            world.settle();
        }));
        if let Err(panic) = run {
            let from = world.trace.len().saturating_sub(40);
            eprintln!("… {}", world.trace[from..].join("\n… "));
            eprintln!("WORLD={seed} cargo test -p mirror-engine --test it");
            resume_unwind(panic);
        }
        let Tally { done, keys, refused, failed } = world.operator.tally();
        tally.done += done;
        tally.keys += keys;
        tally.refused += refused;
        tally.failed += failed;
    }
    println!("{tally:?}");
    tally
}

#[test]
fn a_mirror_without_faults_follows() {
    worlds(50, 2_000, Faults::NONE);
}

#[test]
fn a_mirror_holds_its_invariants_whatever_fails() {
    worlds(400, 1_500, Faults::ALL);
}

#[test]
fn a_repair_does_what_was_accepted_and_nothing_else_whatever_fails() {
    let tally = worlds(300, 2_000, Faults::REPAIRS);
    let alone = std::env::var_os("WORLD").is_some() || std::env::var_os("WORLDS").is_some();
    // Worlds in which nothing comes of an order would prove nothing about orders.
    let Tally { done, keys, refused, failed } = tally;
    assert!(alone || [done, keys, refused, failed].iter().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let run = || {
        let mut world = World::new(7, Faults::ALL);
        (0..1_500).for_each(|_| world.step());
        world.trace
    };
    assert_eq!(run(), run());
}
