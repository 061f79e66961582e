//! What a live standby does to a mirror, on real etcds: what it deletes is put back, what it refuses
//! is told, what is its own stays its own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod chains;
mod changes;
mod ending;
mod foreign;
mod live;
mod local;
mod object;
mod refused;
mod support;
mod volumes;
