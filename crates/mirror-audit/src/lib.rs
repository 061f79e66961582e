#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auditor;
mod evidence;
mod history;
mod opened;
mod pins;
mod records;
mod repair;
mod report;
mod status;

pub use auditor::{AuditSettings, Auditor};
pub use evidence::MirrorEvidence;
pub use pins::{MirrorPins, pair_at};
pub use repair::repair_report;
pub use status::stored_status;
