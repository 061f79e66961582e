#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod digest;
pub mod topology;

pub use digest::Digest;
