//! Faults, on real etcds: what breaks, what is refused, and that nothing is lost or mixed up.
#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test may be large"
)]

mod access;
mod fencing;
mod guards;
mod history;
mod identity;
mod leadership;
mod nospace;
mod not_etcd;
mod outages;
mod silence;
mod stale;
mod support;
mod usage;
