//! Everything at once: silence, lagging members, other clusters, elections, odd watches.

use crate::seeds::Suite;
use crate::world::{Faults, World};

/// The deletions that etcd before 3.5.18 loses at a compaction (etcd-io/etcd#19179) are left out: a
/// watch that lags may lose them in a way that nothing shows. `World::loses_deletes` has them.
fn odd(seed: u64, faults: Faults) -> World {
    World::new(seed, faults)
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
