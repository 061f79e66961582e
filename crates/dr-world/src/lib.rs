#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod family;
mod files;
mod http;
mod inside;
pub mod kube;
pub mod network;
mod settings;
mod ssh;
mod words;
mod world;

pub use family::{Family, both, family};
pub use kube::Kube;
pub use network::Network;
pub use settings::Settings;
pub use words::{NotDone, acted};
pub use world::World;
