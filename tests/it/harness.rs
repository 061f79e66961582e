//! The harness itself: a checker that can't fail proves nothing.

mod etcds;
mod histories;
mod proxies;
