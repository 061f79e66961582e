#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod faults;
mod model;
mod read;
mod sim;
mod watch;
mod write;

pub use faults::{Fault, Faults, Rng};
pub use model::{ModelEtcd, Quirks, Snapshot};
pub use sim::{SimEtcd, SimPrimary, SimStandby};
pub use watch::SimStream;
pub use write::{Applied, Condition, Mutation};
