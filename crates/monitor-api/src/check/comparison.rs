//! What was compared, and what was found: the part of a check's report that whoever compares
//! fills in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::printable::{is_printable, printable_key};
use super::{CheckMode, DifferenceKind};

/// What was compared, and what was found. What to conclude from it is for
/// [`CheckReport`](super::CheckReport) to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// The mirror's name.
    pub mirror: String,
    /// The hash of the scope that was compared.
    pub scope_hash: String,
    /// What was looked at.
    pub mode: CheckMode,
    /// When it began: seconds since 1970; `null` if nobody noted it.
    pub started_at: Option<u64>,
    /// How long it took.
    pub duration_seconds: f64,
    /// At which revisions, by range of keys: ascending, and more than one where compaction forced
    /// a newer pair for the rest. Empty if there was no pair, and so no answer.
    pub pins: Vec<PinsReport>,
    /// Keys that at least one side has.
    pub keys: u64,
    /// Bytes of their keys and values, both sides together.
    pub bytes: u64,
    /// Keys that the standby lacks.
    pub missed: u64,
    /// Keys that the primary lacks.
    pub surplus: u64,
    /// Keys with different values.
    pub different: u64,
    /// Keys of which it could not be told whether they differ.
    pub unsettled: u64,
    /// How many keys differ for which reason, as far as that is known.
    pub classes: BTreeMap<String, u64>,
    /// The keys that differ, ascending; of many only the first of each kind.
    pub differences: Vec<DifferenceReport>,
}

impl Comparison {
    /// Returns how many keys differ in this way.
    #[must_use]
    pub const fn count(&self, kind: DifferenceKind) -> u64 {
        match kind {
            DifferenceKind::Missed => self.missed,
            DifferenceKind::Surplus => self.surplus,
            DifferenceKind::Different => self.different,
            DifferenceKind::Unknown => 0,
        }
    }

    /// Returns how many keys differ.
    #[must_use]
    pub const fn count_all(&self) -> u64 {
        self.missed.saturating_add(self.surplus).saturating_add(self.different)
    }

    /// Returns how many of the keys that differ in this way are named.
    pub(crate) fn named(&self, kind: DifferenceKind) -> u64 {
        let named = self.differences.iter().filter(|difference| difference.kind == kind).count();
        u64::try_from(named).unwrap_or(u64::MAX)
    }

    /// Names at most `limit` keys of each kind, and none once about `bytes_max` are full.
    pub(crate) fn trim(&mut self, limit: usize, bytes_max: usize) {
        let mut named = BTreeMap::<DifferenceKind, usize>::new();
        let mut bytes = 0;
        self.differences.retain(|difference| {
            let named = named.entry(difference.kind).or_default();
            bytes += difference.bytes();
            *named += 1;
            *named <= limit && bytes <= bytes_max
        });
    }

    /// Returns about how many bytes it takes, in memory or as JSON.
    pub(crate) fn bytes(&self) -> usize {
        let differences = self.differences.iter().map(DifferenceReport::bytes);
        let pins = self.pins.iter().map(|pins| 64 + pins.through.as_ref().map_or(0, String::len));
        let classes = self.classes.keys().map(|class| 32 + class.len());
        differences.chain(pins).chain(classes).sum()
    }
}

/// The revisions at which a range of keys was compared: it begins where the one before ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PinsReport {
    /// The primary's revision.
    pub primary_revision: i64,
    /// The standby's revision.
    pub standby_revision: i64,
    /// The last key of the range as [`printable_key`] writes it; `null` for the end of all keys.
    pub through: Option<String>,
}

/// A key that differs. Its values are nobody's business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DifferenceReport {
    /// How the clusters disagree on it.
    pub kind: DifferenceKind,
    /// The key as the standby spells it, as [`printable_key`] writes it.
    pub key: String,
    /// Its bytes in hexadecimal, only if not all of them are printable UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hex: Option<String>,
    /// Why it differs, in one word of the documentation; empty if nobody asked.
    pub class: String,
    /// What else there is to say of it; may be empty.
    pub note: String,
    /// The primary revision of its last write there; `null` if the primary lacks it.
    pub primary_modified: Option<i64>,
    /// The standby revision of its last write there; `null` if the standby lacks it.
    pub standby_modified: Option<i64>,
}

impl DifferenceReport {
    /// Names a key, by its bytes; what else is known is for the caller to fill in.
    #[must_use]
    pub fn new(kind: DifferenceKind, key: &[u8]) -> Self {
        let hex = || key.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            kind,
            key: printable_key(key),
            key_hex: (!is_printable(key)).then(hex),
            ..Self::default()
        }
    }

    fn bytes(&self) -> usize {
        let hex = self.key_hex.as_ref().map_or(0, String::len);
        128 + self.key.len() + hex + self.class.len() + self.note.len()
    }
}
