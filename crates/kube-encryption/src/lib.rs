#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
mod keyring;
mod opened;
mod place;
mod provider;
mod unseal;

pub use error::ConfigError;
pub use keyring::{KeyName, Keyring};
pub use opened::Opened;
