#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod compile;
mod error;
mod explain;
mod glob;
pub mod grammar;
mod hash;
mod index;
mod parking;
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
pub use scope::{Decision, Scope, Stretch};
pub use spec::{Action, Preset, RuleSpec, ScopeSpec};
pub use turn::Turn;
pub use warning::{Warning, WarningKind};

/// Keys that belong to this software: never mirrored and never compared, on either side,
/// whatever the rules say.
pub const OWN_PREFIX: &str = "/etcd-sync/";

/// Returns where the mirror called `mirror` parks what a rule holds, for
/// [`ScopeSpec::parked_prefix`]: in front of the whole key.
#[must_use]
pub fn parked_prefix(mirror: &str) -> String {
    format!("{OWN_PREFIX}{mirror}/parked")
}
