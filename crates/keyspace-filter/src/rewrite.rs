//! What a key is called on the standby.

use std::borrow::Cow;

use bytes::Bytes;
use etcd_mvcc::{Key, KeyRange, prefix_end};

use crate::OWN_PREFIX;

/// How the primary's keys become the standby's. One prefix is replaced by another, which keeps
/// the order of keys: both sides can be walked in step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    Keep,
    Replace { from: Box<[u8]>, to: Box<[u8]> },
}

impl Rewrite {
    pub(crate) fn replace(from: &str, to: &str) -> Self {
        if from == to {
            return Self::Keep;
        }
        Self::Replace { from: from.as_bytes().into(), to: to.as_bytes().into() }
    }

    /// Tells whether a primary key can have a place on the standby: the place is a key, and not
    /// one of this software's own.
    pub(crate) fn has_place(&self, primary: &[u8]) -> bool {
        match self {
            Self::Keep => true,
            Self::Replace { from, to } => primary.strip_prefix(&**from).is_some_and(|rest| {
                let empty = to.is_empty() && rest.is_empty();
                !empty && !begins_with(to, rest, OWN_PREFIX.as_bytes())
            }),
        }
    }

    /// Returns the standby's key for the primary's; `None` if the prefix is another.
    pub(crate) fn place(&self, primary: &Key) -> Option<Key> {
        match self {
            Self::Keep => Some(primary.clone()),
            // What is stripped from the front needs no copy.
            Self::Replace { from, to } if to.is_empty() => {
                let bytes: Bytes = primary.to_bytes();
                bytes.starts_with(from).then(|| Key::new(bytes.slice(from.len()..)))
            }
            Self::Replace { from, to } => {
                primary.as_bytes().strip_prefix(&**from).map(|rest| joined(to, rest).into())
            }
        }
    }

    /// Returns the primary's key for the standby's; `None` if the prefix is another.
    pub(crate) fn unplace<'k>(&self, standby: &'k [u8]) -> Option<Cow<'k, [u8]>> {
        match self {
            Self::Keep => Some(Cow::Borrowed(standby)),
            Self::Replace { from, to } if from.is_empty() => {
                standby.strip_prefix(&**to).map(Cow::Borrowed)
            }
            Self::Replace { from, to } => {
                standby.strip_prefix(&**to).map(|rest| Cow::Owned(joined(from, rest)))
            }
        }
    }

    /// Returns the range of the standby that holds what `range` of the primary holds. The range
    /// must lie within the prefix that is replaced.
    pub(crate) fn place_range(&self, range: &KeyRange) -> KeyRange {
        let Self::Replace { from, to } = self else { return range.clone() };
        let moved = |key: &Key| {
            key.as_bytes().strip_prefix(&**from).map(|rest| Key::from(joined(to, rest)))
        };
        // Etcd reads an empty start as "no range"; no key is smaller than one zero byte.
        let start = moved(range.start()).filter(|key| !key.is_empty());
        let start = start.unwrap_or_else(|| KeyRange::all().start().clone());
        // An end that lacks the prefix is the first key beyond it.
        match range.end().and_then(moved).or_else(|| prefix_end(to)) {
            Some(end) => KeyRange::new(start, end),
            None => KeyRange::from_key(start),
        }
    }

    /// Returns the primary's prefix whose place would be this software's own keys, if there is one.
    pub(crate) fn own_place(&self) -> Option<Vec<u8>> {
        let Self::Replace { from, to } = self else { return None };
        OWN_PREFIX.as_bytes().strip_prefix(&**to).map(|rest| joined(from, rest))
    }
}

/// Returns one after the other.
pub(crate) fn joined(head: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(head.len() + tail.len());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(tail);
    bytes
}

/// Tells whether `head` followed by `tail` begins with `prefix`, without joining them.
fn begins_with(head: &[u8], tail: &[u8], prefix: &[u8]) -> bool {
    match prefix.strip_prefix(head) {
        Some(rest) => tail.starts_with(rest),
        None => head.starts_with(prefix),
    }
}
