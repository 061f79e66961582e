//! Changes of roles, whole: real etcds, a real mirror and a real `etcd-dr`, between stand-ins for
//! what is around them. `cargo xtask test` brings these and starts everything.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests are tests, and a test's future is made once"
)]

#[allow(dead_code, unreachable_pub, reason = "a world that other tests use more of")]
#[path = "../../crates/dr-world/tests/support/mod.rs"]
mod support;

mod exchange;
mod failback;
mod failover;
mod fence;
mod gates;
mod hands;
mod held;
mod init;
mod kills;
mod mistakes;
mod pair;
mod parted;
mod refusals;
mod resume;
mod run;
mod sealed;
mod switchover;
mod terminal;
