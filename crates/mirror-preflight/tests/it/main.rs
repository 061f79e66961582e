//! What a preflight says of pairs that a test has made.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod encryption;
mod gates;
mod reading;
mod whole;
mod world;
