//! The lines of a file, as JSON. Readers ignore unknown fields.

use std::fmt;

use etcd_mvcc::{ClusterId, Key};
use keyspace_filter::ScopeHash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::header::FileTotals;

pub(crate) const FORMAT: &str = "etcd-sync digest";
pub(crate) const VERSION: u32 = 1;

/// What every first line says, whatever the version.
#[derive(Deserialize)]
pub(crate) struct Opening {
    pub(crate) format: String,
    pub(crate) version: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Tree,
    Detail,
    Ranges,
}

/// What a file of any kind says of its kind.
#[derive(Deserialize)]
pub(crate) struct KindText {
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideText {
    Primary,
    Standby,
}

/// The first line of a tree or a detail.
#[derive(Serialize, Deserialize)]
pub(crate) struct HeaderText {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) kind: Kind,
    pub(crate) side: SideText,
    pub(crate) mirror: String,
    pub(crate) scope: Plain<ScopeHash>,
    pub(crate) cluster: Plain<ClusterText>,
    pub(crate) revision: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pair: Option<PairText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<u8>,
}

/// The revisions at which a standby says that it equals a primary.
#[derive(Serialize, Deserialize)]
pub(crate) struct PairText {
    pub(crate) cluster: Plain<ClusterText>,
    pub(crate) primary: i64,
    pub(crate) standby: i64,
}

/// The first line of a file of ranges.
#[derive(Serialize, Deserialize)]
pub(crate) struct RangesHeaderText {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) kind: Kind,
    pub(crate) mirror: String,
    pub(crate) scope: Plain<ScopeHash>,
    pub(crate) primary: EndText,
    pub(crate) standby: EndText,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EndText {
    pub(crate) cluster: Plain<ClusterText>,
    pub(crate) revision: i64,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    Leaf {
        /// The first leaf begins before every key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<KeyText>,
        keys: u64,
        sum: Plain<Hash>,
    },
    Range {
        start: KeyText,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<KeyText>,
    },
    Entry {
        key: KeyText,
        fingerprint: Plain<Hash>,
    },
    Totals {
        keys: u64,
        bytes: u64,
    },
    End {
        /// XXH3-128 of all bytes before this line.
        checksum: Plain<Hash>,
    },
}

impl From<FileTotals> for Line {
    fn from(FileTotals { keys, bytes }: FileTotals) -> Self {
        Self::Totals { keys, bytes }
    }
}

/// Something that is written as a string, as it prints.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Plain<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: std::str::FromStr> Deserialize<'de> for Plain<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse().map_err(|_| serde::de::Error::custom("not well formed"))?;
        Ok(Self(parsed))
    }
}

/// 128 bits, as 32 hexadecimal digits, lower-case only: one hash has one spelling.
#[derive(Clone, Copy)]
pub(crate) struct Hash(pub(crate) u128);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Hash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let digits = text.len() == 32 && text.bytes().all(digit);
        let hash = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        hash.map(Self).ok_or(())
    }
}

/// A cluster's id, in hexadecimal, as etcdctl prints it.
#[derive(Clone, Copy)]
pub(crate) struct ClusterText(pub(crate) ClusterId);

impl fmt::Display for ClusterText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ClusterText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.map(|id| Self(ClusterId::new(id))).ok_or(())
    }
}

/// A key: as text where it is some that can be looked at, else in hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Spelling", into = "Spelling")]
pub(crate) struct KeyText(pub(crate) Key);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelling {
    Text(String),
    Bytes { hex: Plain<Bytes> },
}

struct Bytes(Vec<u8>);

impl From<KeyText> for Spelling {
    fn from(KeyText(key): KeyText) -> Self {
        match std::str::from_utf8(key.as_bytes()) {
            // A control character could move a terminal's cursor.
            Ok(text) if !text.chars().any(char::is_control) => Self::Text(text.to_owned()),
            _ => Self::Bytes { hex: Plain(Bytes(key.as_bytes().to_vec())) },
        }
    }
}

impl From<Spelling> for KeyText {
    fn from(spelling: Spelling) -> Self {
        Self(match spelling {
            Spelling::Text(text) => Key::from(text),
            Spelling::Bytes { hex: Plain(Bytes(bytes)) } => Key::from(bytes),
        })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Bytes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        pairs.collect::<Option<Vec<u8>>>().map(Self).ok_or(())
    }
}
