//! Which worlds are tried: other ones in every run, and those that once failed in each.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::operator::Tally;
use crate::world::{Faults, World};

/// Worlds that failed once, by suite.
const FAILED_ONCE: [(&str, &[u64]); 6] = [
    ("faults", &[4332, 5649, 511_546_176_846]),
    ("objects", &[1_022_849_856_971]),
    ("parking", &[841, 1738, 959_665_789_938, 1_003_738_838_311]),
    ("parking repairs", &[276, 2345]),
    ("quiet objects", &[405_976_120_076, 705_045_909_569, 1_096_279_719_631]),
    ("repairs", &[420_253_514_808]),
];

/// Worlds of one kind.
pub(crate) struct Suite {
    /// The name decides, with the seed of the run, which worlds they are.
    pub(crate) name: &'static str,
    pub(crate) worlds: u64,
    pub(crate) steps: u64,
}

impl Suite {
    /// Runs worlds of these faults that `make` makes, and shows the seed of one that fails. Returns
    /// what became of the orders that were given in them.
    pub(crate) fn run(&self, make: impl Fn(u64, Faults) -> World, faults: Faults) -> Tally {
        let begin = Instant::now();
        let (mut tally, mut count) = (Tally::default(), 0);
        for seed in self.seeds() {
            let run = catch_unwind(AssertUnwindSafe(|| self.one(make(seed, faults))));
            match run {
                Ok(world) => tally.add(world.operator.tally()),
                Err(panic) => {
                    self.show(seed, make(seed, faults));
                    resume_unwind(panic);
                }
            }
            count += 1;
        }
        let steps = (count * self.steps) as f64 / begin.elapsed().as_secs_f64();
        println!("{}: {count} worlds, {steps:.0} steps/s, {tally:?}", self.name);
        tally
    }

    /// Runs a scenario with these seeds, and shows the one with which it fails.
    pub(crate) fn each(&self, scenario: impl Fn(u64)) {
        for seed in self.seeds() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
                eprintln!("{}: WORLD={seed} cargo test -p mirror-engine --test it", self.name);
                resume_unwind(panic);
            }
        }
    }

    /// The worlds to try, as the environment says.
    fn seeds(&self) -> Vec<u64> {
        if let Some(world) = number("WORLD") {
            return vec![world];
        }
        let known = FAILED_ONCE.iter().filter(|(suite, _)| *suite == self.name);
        let mut seeds: Vec<u64> = known.flat_map(|(_, seeds)| *seeds).copied().collect();
        let base = base();
        // Short enough to be typed.
        let first = xxh3_64_with_seed(self.name.as_bytes(), base) >> 24;
        let count = number("WORLDS").unwrap_or(self.worlds);
        println!("{}: SEED={base}, worlds {first} to {}", self.name, first + count - 1);
        seeds.extend(first..first + count);
        seeds
    }

    fn one(&self, mut world: World) -> World {
        for _ in 0..self.steps {
            world.step();
        }
        world.settle();
        world
    }

    /// Runs a world that fails once more, for what happened before.
    fn show(&self, seed: u64, mut world: World) {
        world.tracing = true;
        let mut trace = Vec::new();
        let again = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..self.steps {
                world.step();
                trace.append(&mut world.trace);
            }
            world.settle();
        }));
        trace.append(&mut world.trace);
        let from = trace.len().saturating_sub(40);
        eprintln!("… {}", trace[from..].join("\n… "));
        if again.is_ok() {
            eprintln!("it did not fail again: worlds are not the same each time");
        }
        eprintln!("suite {}: WORLD={seed} cargo test -p mirror-engine --test it", self.name);
    }
}

/// Tells whether the environment chooses worlds: what only many of them show need not be there.
pub(crate) fn are_chosen() -> bool {
    std::env::var_os("WORLD").is_some() || std::env::var_os("WORLDS").is_some()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// The seed of the run.
fn base() -> u64 {
    static BASE: OnceLock<u64> = OnceLock::new();
    let fresh = || RandomState::new().build_hasher().finish() >> 32;
    *BASE.get_or_init(|| number("SEED").unwrap_or_else(fresh))
}
