//! The harness of the end-to-end tests: real etcds, a fault proxy between them and the mirror, the
//! real `etcd-sync` binary, and checkers that look at both clusters from outside.
//!
//! A test reads like this:
//!
//! ```ignore
//! let primary = Etcd::start().await;
//! let standby = Etcd::start().await;
//! let proxy = Proxy::start(&standby.endpoints()[0]).await;
//! let mirror = Mirror::new(&primary.endpoints(), &[proxy.endpoint()]).preset("none").start().await;
//! mirror.wait_for_state("following").await;
//! ```
//!
//! Everything here listens on and speaks to 127.0.0.1 only. Every process that was started is
//! killed when its handle is dropped, also while a test panics; only those processes are ever
//! signalled. What a test did at random follows from one seed, which is printed ([`seed`]).
//!
//! The harness talks to etcd with `etcd-client` itself rather than with the mirror's own link, so
//! that an error in the link can't hide from the checks.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test code: a broken assumption of the harness must end the test, loudly"
)]

pub mod binaries;
pub mod collector;
pub mod data_copy;
pub mod dump;
pub mod etcd;
pub mod fake;
pub mod fixture;
pub mod history;
pub mod http;
pub mod kin;
pub mod load;
pub mod mirror;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod seed;
pub mod steps;
pub mod swallower;
pub mod tls;

pub use collector::{Collected, Collector};
pub use data_copy::{Copy, copy_data};
pub use dump::{Dump, assert_equal_in_scope, dump, dump_at};
pub use etcd::{Access, Etcd, EtcdBuilder};
pub use fake::FakeEtcd;
pub use history::{Anomaly, Recorder, Recording, compare};
pub use load::{Load, Tally};
pub use mirror::{Mirror, MirrorBuilder};
pub use proxy::{Direction, Faults, Proxy};
pub use seed::Dice;
pub use swallower::Swallower;

/// Keys that belong to the software under test: never mirrored and never compared.
pub const OWN_PREFIX: &[u8] = b"/etcd-sync/";

/// Returns true for every key but the mirror's own: the scope of `--preset none`.
#[must_use]
pub fn everything(key: &[u8]) -> bool {
    !key.starts_with(OWN_PREFIX)
}

/// Waits until `done` returns something; ends the test if that takes longer than `limit`.
///
/// # Panics
///
/// If the time is up; the message says what was waited for.
pub async fn eventually<T, F: AsyncFnMut() -> Option<T>>(
    what: &str,
    limit: std::time::Duration,
    mut done: F,
) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(found) = done().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "after {limit:?} still not: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
