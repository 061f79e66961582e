//! Everything at once: silence, lagging members, other clusters, elections, odd watches.

use crate::seeds::Suite;
use crate::world::{Faults, World};

/// Every other world is of old etcds.
fn odd(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    if seed.is_multiple_of(2) {
        world.loses_deletes = true;
    }
    world
}

#[test]
fn a_mirror_holds_its_invariants_whatever_answers() {
    Suite { name: "strange", worlds: 2_000, steps: 1_500 }.run(odd, Faults::STRANGE);
}

#[test]
fn watches_that_repeat_reorder_and_go_back_change_nothing() {
    let suite = Suite { name: "odd watches", worlds: 300, steps: 1_500 };
    suite.run(odd, Faults { watch_repeats: 100, spurious: 100, progress: 300, ..Faults::NONE });
}
