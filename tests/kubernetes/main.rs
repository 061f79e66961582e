//! Owners before their dependents, on real etcds: looked at from outside, and with a collector that
//! acts as the one of a live standby does.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod changes;
mod collector;
mod held_back;
mod judges;
mod objects;
mod order;
mod world;
