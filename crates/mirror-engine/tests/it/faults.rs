//! Worlds that misbehave.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::world::{Faults, World};

/// Runs worlds of these faults, from a seed that is printed, and shows the seed of one that fails.
fn worlds(count: u64, steps: u64, faults: Faults) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("WORLD");
    let count = first.map_or(number("WORLDS").unwrap_or(count), |_| 1);
    let first = first.unwrap_or(1);
    println!("seeds {first} to {}", first + count - 1);
    for seed in first..first + count {
        let mut world = World::new(seed, faults);
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
    }
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
fn the_same_seed_makes_the_same_world() {
    let run = || {
        let mut world = World::new(7, Faults::ALL);
        (0..1_500).for_each(|_| world.step());
        world.trace
    };
    assert_eq!(run(), run());
}
