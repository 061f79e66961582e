//! A name for a scope by which two scopes can be told apart.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_128;

/// 128 bits over everything that decides which keys are in scope and what they are called on the
/// standby. Equal rules have equal hashes in every version of the software that spells the rules
/// alike; reasons and comments don't count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeHash(u128);

impl ScopeHash {
    pub(crate) fn of(canonical_text: &str) -> Self {
        Self(xxh3_128(canonical_text.as_bytes()))
    }
}

impl fmt::Display for ScopeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope hash has 32 hex digits")]
pub struct BadScopeHash;

impl FromStr for ScopeHash {
    type Err = BadScopeHash;

    fn from_str(text: &str) -> Result<Self, BadScopeHash> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadScopeHash);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| BadScopeHash)
    }
}
