//! What was done, so that nothing is done twice and nothing is forgotten.
//!
//! A file of JSON lines, to which lines are only ever added. Each carries the SHA-256 of itself and
//! of the line before, so that a line that was changed, removed or put in is found. Lines that are
//! missing at the end can't be: whoever wants to know of those keeps the last hash elsewhere.
//!
//! Whoever writes the file writes a line whole, with its newline, and has it on the disk before the
//! next thing is done. A crash in the middle leaves a line without its newline: it was never acted
//! upon, and is cut.

mod chain;
mod event;
mod progress;

pub use chain::{Damage, Entry, Journal, Verified};
pub use event::{Drill, Event, GateLook, Opening, StepLook};
pub use progress::{Progress, StepState};
