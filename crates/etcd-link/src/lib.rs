#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod assemble;
mod channel;
mod classify;
mod credentials;
mod deadline;
mod dial;
mod health;
mod identity;
mod keep_alive;
mod lease;
mod link;
mod pack;
mod primary;
mod read;
mod settings;
mod standby;
mod token;
mod txn;
mod watch;

pub use health::MemberHealth;
pub use primary::Primary;
pub use settings::{Settings, SettingsError};
pub use standby::{Admits, Standby};
pub use txn::{REQUEST_BYTES_MAX, request_bytes};
pub use watch::Watch;
