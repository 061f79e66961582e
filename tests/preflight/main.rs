//! `etcd-sync preflight` on real etcds: it finds what is there, says so to people and programs, and
//! writes nothing.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod encryption;
mod keyspaces;
mod support;
mod usage;
