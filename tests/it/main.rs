//! Tests on real etcds. `cargo xtask test` brings these and starts everything.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod copy;
mod harness;
mod link;
mod make_mirror;
mod model_conformance;
mod orders;
mod pair;
mod resume;
mod shapes;
