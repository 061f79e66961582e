//! Keys that a rule holds, on real etcds: parked, checked, repaired, and released once the standby is
//! promoted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod drift;
mod mirroring;
mod release;
mod support;
