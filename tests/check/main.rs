//! The check, on real etcds: it names what differs and nothing else, whatever happens meanwhile.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod abuse;
mod cost;
mod digests;
mod exact;
mod refused;
mod repair;
mod support;
