//! What the mirror must prove before it goes on, on real etcds: whose history it follows, which
//! clusters answer, and that somebody still does. The everyday cases are among the faults; these are
//! those in which the first piece of evidence deceives.
#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, and a test may be large"
)]

mod history;
mod identity;
mod liveness;
mod support;
