//! How far behind the standby was, second by second, and for how long that is remembered.
//!
//! One sample a second is kept for an hour. Older ones are thinned: what is left of ten seconds, a
//! minute, ten minutes is the **worst** of them, whole. So the worst moment of a quarter is exact,
//! however old, and what is reckoned from older times is never too good. Memory is bounded: about
//! 35,000 buckets of less than 100 bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One look at the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub at: Timestamp,
    /// The primary's newest known revision.
    pub primary_revision: u64,
    /// The checkpoint: up to here the standby is equal.
    pub checkpoint: u64,
    /// For how long the standby has not been known to hold everything; `None` if nobody knows.
    pub lag_ms: Option<u64>,
}

/// What is left of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How long the stretch is, in seconds.
    pub span: u64,
    /// Where it begins, in milliseconds since 1970.
    pub from: Timestamp,
    /// In how many of its seconds somebody looked.
    pub seconds: u64,
    /// In how many of those nobody knew the lag.
    pub unknown: u64,
    /// The sample with the largest lag; one without if there is no other.
    pub worst: Sample,
}

/// Stretches of one length.
#[derive(Clone, Debug)]
struct Tier {
    span: u64,
    kept: usize,
    buckets: VecDeque<Bucket>,
}

/// All samples, thinned with age.
#[derive(Clone, Debug)]
pub struct Samples {
    /// The finest first.
    tiers: Vec<Tier>,
}

/// A line that is no bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the samples is none: {why}")]
pub struct BadSamples {
    /// Its number; the first is 1.
    pub line: usize,
    /// What the reader stumbled over.
    pub why: String,
}

/// Span in seconds and number of buckets: an hour, a day, a week, 13 weeks.
const TIERS: [(u64, usize); 4] = [(1, 3_600), (10, 8_640), (60, 10_080), (600, 13_104)];

impl Default for Samples {
    fn default() -> Self {
        let tier = |(span, kept)| Tier { span, kept, buckets: VecDeque::new() };
        Self { tiers: TIERS.map(tier).to_vec() }
    }
}

impl Samples {
    /// Takes one more sample. Of several in one second the worst is kept. One that is older than
    /// the newest counts as the newest: a clock that is set back does not rewrite what was.
    pub fn add(&mut self, sample: Sample) {
        let newest = self.tiers.first().and_then(|tier| tier.buckets.back());
        let at = newest.map_or(sample.at, |newest| newest.from.max(sample.at));
        let unknown = u64::from(sample.lag_ms.is_none());
        self.put(0, Bucket { span: 1, from: at, seconds: 1, unknown, worst: sample });
    }

    /// Puts a bucket into a tier; what no longer fits there goes on to the next.
    fn put(&mut self, index: usize, bucket: Bucket) {
        let Some(tier) = self.tiers.get_mut(index) else { return };
        let span_ms = tier.span * 1000;
        let from = Timestamp::from_ms(bucket.from.ms() / span_ms * span_ms);
        match tier.buckets.back_mut() {
            Some(last) if last.from >= from => last.merge(&bucket),
            _ => tier.buckets.push_back(Bucket { span: tier.span, from, ..bucket }),
        }
        if tier.buckets.len() > tier.kept
            && let Some(oldest) = tier.buckets.pop_front()
        {
            self.put(index + 1, oldest);
        }
    }

    /// Returns what is left, the oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.tiers.iter().rev().flat_map(|tier| &tier.buckets)
    }

    /// Writes the buckets as lines of JSON, the oldest first.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for bucket in self.buckets() {
            // Numbers only: writing them as JSON does not fail.
            text += &serde_json::to_string(bucket).unwrap_or_default();
            text.push('\n');
        }
        text
    }

    /// Reads such lines. The last one may be cut short: it is left out then.
    ///
    /// # Errors
    ///
    /// A line that is no bucket of a span that is kept.
    pub fn decode(text: &str) -> Result<Self, BadSamples> {
        let mut samples = Self::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let Some(line) = line.strip_suffix('\n') else { break };
            let bad = |why: String| BadSamples { line: index + 1, why };
            let bucket: Bucket =
                serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
            let tier = samples.tiers.iter().position(|tier| tier.span == bucket.span);
            let tier = tier.ok_or_else(|| bad(format!("no span of {} s is kept", bucket.span)))?;
            samples.put(tier, bucket);
        }
        Ok(samples)
    }
}

impl Bucket {
    /// In how many seconds the lag was known.
    #[must_use]
    pub const fn known(&self) -> u64 {
        self.seconds.saturating_sub(self.unknown)
    }

    /// Takes in what is left of a stretch within this one.
    fn merge(&mut self, other: &Self) {
        // Several looks within one second are one second.
        let room = self.span.saturating_sub(self.seconds);
        let taken = other.seconds.min(room);
        self.seconds += taken;
        self.unknown = (self.unknown + other.unknown.min(taken)).min(self.seconds);
        if other.worst.lag_ms > self.worst.lag_ms {
            self.worst = other.worst;
        }
        if self.span == 1 && self.worst.lag_ms.is_some() {
            self.unknown = 0;
        }
    }
}
