//! The kinds of values that only a check has.

use std::fmt;
use std::str::FromStr;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one document, a stable contract; readers ignore unknown fields.
    Json,
    /// For programs that read along: one JSON object per line.
    Ndjson,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// The etcd that is read.
    Primary,
    /// The etcd that is written.
    Standby,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
        })
    }
}

/// The name of a Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(pub(crate) String);

/// The length of a label of the domain name system, which a namespace is.
const NAMESPACE_CHARS_MAX: usize = 63;

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=NAMESPACE_CHARS_MAX).contains(&text.len());
        let edges = text.starts_with('-') || text.ends_with('-');
        if fits && !edges && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        // A name that no namespace has would compare nothing.
        Err(format!(
            "`{text}` is no name of a namespace (1 to 63 lower-case letters, digits or `-`)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_label() {
        for name in ["a", "kube-system", "0"] {
            assert!(name.parse::<Namespace>().is_ok(), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "-a", "a-", "A", "a/b", "a.b", " a", &long] {
            assert!(name.parse::<Namespace>().is_err(), "{name}");
        }
    }
}
