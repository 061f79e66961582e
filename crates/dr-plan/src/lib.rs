#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod digest;
mod finding;
pub mod journal;
pub mod plan;
pub mod report;
pub mod runbook;
pub mod runner;
pub mod samples;
mod time;
pub mod topology;

pub use digest::Digest;
pub use finding::{Answer, Finding, Verdict};
pub use time::Timestamp;
