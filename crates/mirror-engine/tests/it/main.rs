//! The planner under a seeded world: two model etcds, faults, and a judge after every transaction.
//!
//! `WORLD=<n> cargo test -p mirror-engine --test it` replays one world; `WORLDS=<n>` sets how many
//! are tried.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "the lints' exceptions for tests do not reach the helpers of integration tests"
)]

mod faults;
mod guards;
mod kubernetes;
mod limits;
mod operator;
mod orders;
mod parking;
mod release;
mod repairs;
mod world;
