//! The planner under a seeded world: two model etcds, faults, and a judge after every transaction.
//!
//! Every run tries other worlds; those that once failed are in each. `SEED=<n>` repeats a run,
//! `WORLD=<n> cargo test -p mirror-engine --test it <test>` one world of a suite; `WORLDS=<n>` sets
//! how many of each suite are tried.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "the lints' exceptions for tests do not reach the helpers of integration tests"
)]

mod alone;
mod faults;
mod foreign_answers;
mod freshness;
mod guards;
mod judge;
mod kubernetes;
mod limits;
mod loops;
mod operator;
mod orders;
mod parking;
mod release;
mod repairs;
mod restores;
mod seeds;
mod silent;
mod space;
mod strange;
mod world;
