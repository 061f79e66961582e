//! Chance that can be repeated: one seed per test run, printed, and dice that follow from it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Names the environment variable that repeats a run.
pub const VARIABLE: &str = "SEED";

/// Returns the dice of one test: from `SEED` where that is set, else from a fresh seed. Prints how to
/// repeat the test.
///
/// # Panics
///
/// If `SEED` is set and is no number.
#[must_use]
pub fn dice(test: &str) -> Dice {
    let seed = std::env::var(VARIABLE).map_or_else(
        |_| RandomState::new().build_hasher().finish() >> 16,
        |seed| seed.parse().unwrap_or_else(|_| panic!("{VARIABLE}={seed} is not a number")),
    );
    eprintln!("{test}: repeat with {VARIABLE}={seed}");
    // Tests that share a seed shall not throw the same.
    Dice::new(xxh3_64_with_seed(test.as_bytes(), seed))
}

/// A random number generator (splitmix64) whose numbers stay the same whatever is upgraded.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Returns the dice of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which is at least 1.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns true in `percent` of all throws.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns `len` bytes, any of the 256.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
