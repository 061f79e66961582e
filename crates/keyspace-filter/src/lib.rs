#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod compile;
mod error;
mod explain;
mod glob;
pub mod grammar;
mod hash;
mod index;
mod patterns;
mod preset;
mod ranges;
mod rewrite;
mod rule;
mod scope;
mod spec;
mod turn;
mod warning;

pub use error::ScopeError;
pub use explain::Explanation;
pub use hash::{BadScopeHash, ScopeHash};
pub use rule::{Rule, Source};
pub use scope::{Decision, Scope};
pub use spec::{Action, Preset, RuleSpec, ScopeSpec};
pub use turn::Turn;
pub use warning::{Warning, WarningKind};

/// Keys that belong to this software: never mirrored and never compared, on either side,
/// whatever the rules say.
pub const OWN_PREFIX: &str = "/etcd-sync/";
