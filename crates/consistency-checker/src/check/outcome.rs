//! What a check has to say.

use std::collections::BTreeSet;

use etcd_mvcc::{Key, PrimaryRevision};

use super::{Finding, Kind, Landmarks};
use crate::{Envelope, Pins, Summary};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was looked at is equal, each key at the pair of its span.
    InSync,
    /// Something differs.
    Drift,
    /// The comparison could not be brought to its end, for this reason. What was found until then
    /// holds.
    Inconclusive(String),
}

/// A stretch of keys and the pair of revisions at which it was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The pair.
    pub pins: Pins,
    /// The last key of the stretch, as the standby spells it; `None` for the end of the keyspace.
    /// It begins where the one before ends.
    pub through: Option<Key>,
}

/// How much was compared, and how much of it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
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
}

impl Totals {
    pub(crate) fn add(&mut self, more: Self) {
        self.keys += more.keys;
        self.bytes += more.bytes;
        self.missed += more.missed;
        self.surplus += more.surplus;
        self.different += more.different;
    }

    /// Returns how many keys differ in this way.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Missed => self.missed,
            Kind::Surplus => self.surplus,
            Kind::Different => self.different,
        }
    }

    /// Tells whether nothing differs.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missed == 0 && self.surplus == 0 && self.different == 0
    }
}

impl From<&Summary> for Totals {
    fn from(summary: &Summary) -> Self {
        let Summary { keys, bytes, missed, surplus, different, .. } = *summary;
        Self { keys, bytes, missed, surplus, different }
    }
}

/// What came of a check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub verdict: Verdict,
    /// Where each pair of revisions holds, ascending; one span unless compaction forced a newer
    /// pair. Empty if there was no pair.
    pub spans: Vec<Span>,
    /// What was compared and found.
    pub totals: Totals,
    /// The keys that differ, ascending; of each kind the first ones, as many as were asked for.
    pub findings: Vec<Finding>,
    /// Where the next check of the same clusters is best cut.
    pub landmarks: Landmarks,
    /// What values on the standby were seen to be encrypted with.
    pub envelopes: BTreeSet<Envelope>,
}

impl Outcome {
    /// Says that nothing could be concluded.
    pub(crate) fn undecided(reason: String) -> Self {
        Self {
            verdict: Verdict::Inconclusive(reason),
            spans: Vec::new(),
            totals: Totals::default(),
            findings: Vec::new(),
            landmarks: Landmarks::default(),
            envelopes: BTreeSet::new(),
        }
    }

    /// Returns the primary revision as of which everything is known to be equal: the oldest of all
    /// spans, and only if nothing differs.
    #[must_use]
    pub fn verified(&self) -> Option<PrimaryRevision> {
        match self.verdict {
            Verdict::InSync => self.spans.iter().map(|span| span.pins.primary).min(),
            Verdict::Drift | Verdict::Inconclusive(_) => None,
        }
    }

    /// Tells whether more keys differ than are named.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        let named = u64::try_from(self.findings.len()).unwrap_or(u64::MAX);
        named < self.totals.missed + self.totals.surplus + self.totals.different
    }
}
