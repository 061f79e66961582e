//! Why a key is kept off the standby, and how that is written down.

use etcd_mvcc::Value;
use serde::{Deserialize, Serialize};

use crate::record::{RecordError, VERSION, known, parse, write};

/// Why an object that is in scope is kept off the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// None of its owners is on the standby, because they stay local or are gone: it would be
    /// collected there at once. Holds the hashes of their uids.
    Owners(Box<[u64]>),
    /// A PersistentVolume that is claimed from a namespace that stays local: it would be released
    /// there, and what it stands for perhaps deleted.
    Claim,
    /// One of its owners has come since: it is written by the next comparison.
    Due,
}

#[derive(Serialize, Deserialize)]
struct HeldBackText {
    version: u32,
    reason: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owners: Vec<String>,
}

impl HeldBack {
    /// The words for it in status and reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Owners(_) => "no owner on the standby",
            Self::Claim => "claimed from a namespace that stays local",
            Self::Due => "its owner has come: it is about to be written",
        }
    }

    /// Writes it down.
    #[must_use]
    pub fn encode(&self) -> Value {
        let (reason, owners) = match self {
            Self::Owners(owners) => ("owners", &**owners),
            Self::Claim => ("claim", &[][..]),
            Self::Due => ("due", &[][..]),
        };
        let owners = owners.iter().map(|owner| format!("{owner:016x}")).collect();
        write(&HeldBackText { version: VERSION, reason: reason.to_owned(), owners })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: HeldBackText = parse("record of a key that is held back", value)?;
        known("record of a key that is held back", text.version)?;
        let number = |owner: &String| {
            u64::from_str_radix(owner, 16)
                .map_err(|_| RecordError(format!("{owner:?} is no hash of a uid")))
        };
        match text.reason.as_str() {
            "owners" => Ok(Self::Owners(text.owners.iter().map(number).collect::<Result<_, _>>()?)),
            "claim" => Ok(Self::Claim),
            "due" => Ok(Self::Due),
            other => Err(RecordError(format!("a key is held back for {other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_why_and_reads_back() {
        let owners = HeldBack::Owners(Box::from([7, u64::MAX]));
        let text =
            r#"{"version":1,"reason":"owners","owners":["0000000000000007","ffffffffffffffff"]}"#;
        assert_eq!(owners.encode(), Value::from(text));
        for why in [owners, HeldBack::Claim, HeldBack::Due] {
            assert_eq!(HeldBack::decode(&why.encode()).as_ref(), Ok(&why));
        }
        for bad in ["{", r#"{"version":1,"reason":"mood"}"#, r#"{"version":9,"reason":"claim"}"#] {
            assert!(HeldBack::decode(&Value::from(bad)).is_err(), "{bad}");
        }
    }
}
