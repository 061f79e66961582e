//! `etcd-sync preflight` on real etcds: it finds what is there, says so to people and programs, and
//! writes nothing.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

mod encryption;
mod keyspaces;
mod support;
mod usage;
