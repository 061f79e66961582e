#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod exit;
mod file;
mod flags;
pub mod logging;
mod merge;
pub mod output;
pub mod parts;
mod rate;
mod read;
mod unknown;
mod values;

pub use exit::{Exit, Failure};
pub use file::{Apply, Connection, FileConfig, Guard, Heal, Leader, Log, Peer, Scope};
pub use flags::Flags;
pub use merge::Config;
pub use rate::Rate;
pub use values::{Coalesce, Listen, LogFormat, LogLevel, Order, Preset, Span};
