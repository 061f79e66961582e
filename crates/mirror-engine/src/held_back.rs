//! Why a key is kept off the standby, and how that is written down.

use etcd_mvcc::Value;
use serde::{Deserialize, Serialize};

use crate::record::{RecordError, VERSION, known, parse, write};

/// Why an object that is in scope is kept off the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// None of its owners is on the standby, because they stay local, are gone, or are held back
    /// themselves: it would be collected there at once.
    Owners {
        /// The hash of its own uid: what it owns will be without an owner as well.
        uid: Option<u64>,
        /// The hashes of its owners' uids.
        owners: Box<[u64]>,
    },
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owners: Vec<String>,
}

impl HeldBack {
    /// The words for it in status and reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Owners { .. } => "no owner on the standby",
            Self::Claim => "claimed from a namespace that stays local",
            Self::Due => "its owner has come: it is about to be written",
        }
    }

    /// Writes it down.
    #[must_use]
    pub fn encode(&self) -> Value {
        let (reason, uid, owners) = match self {
            Self::Owners { uid, owners } => ("owners", *uid, &**owners),
            Self::Claim => ("claim", None, &[][..]),
            Self::Due => ("due", None, &[][..]),
        };
        let text = |hash: &u64| format!("{hash:016x}");
        let (uid, owners) = (uid.as_ref().map(text), owners.iter().map(text).collect());
        write(&HeldBackText { version: VERSION, reason: reason.to_owned(), uid, owners })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: HeldBackText = parse("record of a key that is held back", value)?;
        known("record of a key that is held back", text.version, VERSION)?;
        let number = |text: &String| {
            u64::from_str_radix(text, 16)
                .map_err(|_| RecordError(format!("{text:?} is no hash of a uid")))
        };
        match text.reason.as_str() {
            "owners" => Ok(Self::Owners {
                uid: text.uid.as_ref().map(number).transpose()?,
                owners: text.owners.iter().map(number).collect::<Result<_, _>>()?,
            }),
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
        let owners = HeldBack::Owners { uid: Some(9), owners: Box::from([7, u64::MAX]) };
        let text = r#"{"version":1,"reason":"owners","uid":"0000000000000009","owners":["0000000000000007","ffffffffffffffff"]}"#;
        assert_eq!(owners.encode(), Value::from(text));
        let unnamed = HeldBack::Owners { uid: None, owners: Box::from([7]) };
        for why in [owners, unnamed, HeldBack::Claim, HeldBack::Due] {
            assert_eq!(HeldBack::decode(&why.encode()).as_ref(), Ok(&why));
        }
        for bad in ["{", r#"{"version":1,"reason":"mood"}"#, r#"{"version":9,"reason":"claim"}"#] {
            assert!(HeldBack::decode(&Value::from(bad)).is_err(), "{bad}");
        }
    }
}
