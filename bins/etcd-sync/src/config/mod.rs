//! Settings from flags, environment and file, merged once into values that can't be wrong.

mod file;
mod merge;
mod read;
mod unknown;
mod values;

pub(crate) use file::{Apply, FileConfig, Guard, Log, Peer, Scope};
pub(crate) use merge::Config;
pub(crate) use read::rules;
pub(crate) use values::{Coalesce, Listen, LogFormat, LogLevel, Preset, Span};
