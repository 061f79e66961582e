#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod choices;
mod encryption;
mod findings;
mod gate;
mod hard_local;
mod hashes;
mod owners;
mod places;
mod ranges;
mod read;
mod report;
mod revisions;
mod seen;
mod services;
mod settings;
mod survey;
mod trial;
mod uids;
mod versions;
mod webhooks;

pub use findings::Finding;
pub use gate::{Gate, Severity, UnknownGate};
pub use read::{PreflightError, preflight};
pub use report::{GateReport, Outcome, PreflightReport, Verdict, gate};
pub use settings::{PreflightSettings, Versions};
