//! Limits of clusters and links that nobody has told the mirror, on real etcds: it learns them.
#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test may be large"
)]

mod operations;
mod pages;
mod patience;
mod support;
mod thin;
