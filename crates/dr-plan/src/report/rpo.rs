//! What would have been lost.

use serde::Serialize;

use crate::samples::{Bucket, Sample, Samples};
use crate::time::Timestamp;

/// What would have been lost, had one failed over at some moment.
///
/// Percentiles and the time over the objective count the worst of each stretch that the samples
/// still tell apart, so they are never too good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rpo {
    /// The oldest moment that is known, in milliseconds since 1970.
    pub since_ms: Timestamp,
    /// The end of the newest.
    pub until_ms: Timestamp,
    /// In how many seconds the lag was known.
    pub known_seconds: u64,
    /// In how many seconds between the two it was not: nobody looked, or nobody could tell.
    pub unknown_seconds: u64,
    /// The longest stretch at which nobody looked, in seconds.
    pub longest_gap_seconds: u64,
    /// Half of the known seconds had no more lag than this.
    pub p50_ms: u64,
    /// 99 of 100 had no more than this.
    pub p99_ms: u64,
    /// For how many seconds the lag was above the objective.
    pub over_objective_seconds: u64,
    /// The worst moment.
    pub worst: Worst,
}

/// The moment at which most would have been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// When, in milliseconds since 1970.
    pub at_ms: Timestamp,
    /// How much time.
    pub lag_ms: u64,
    /// How many revisions were known of and not there.
    pub revisions: u64,
}

/// Reckons it from the samples; `None` if the lag was never known.
#[must_use]
pub fn rpo(samples: &Samples, objective_seconds: u64) -> Option<Rpo> {
    let mut known: Vec<(u64, u64, Sample)> = Vec::new();
    let mut since = None;
    let mut end: Option<u64> = None;
    let mut longest_gap_ms = 0;
    let (mut seconds, mut over) = (0, 0);
    for bucket in samples.buckets() {
        let from = bucket.from.ms();
        since.get_or_insert(bucket.from);
        longest_gap_ms = longest_gap_ms.max(end.map_or(0, |end| from.saturating_sub(end)));
        end = Some(from + bucket.span * 1000);
        let Some((lag_ms, weight)) = lag(bucket) else { continue };
        seconds += weight;
        over += if lag_ms > objective_seconds.saturating_mul(1000) { weight } else { 0 };
        known.push((lag_ms, weight, bucket.worst));
    }
    // Of several worst moments the latest is told.
    known.sort_by_key(|(lag_ms, ..)| *lag_ms);
    let (since, end) = (since?, end?);
    let (_, _, worst) = known.last()?;
    let whole = (end - since.ms()) / 1000;
    Some(Rpo {
        since_ms: since,
        until_ms: Timestamp::from_ms(end),
        known_seconds: seconds,
        unknown_seconds: whole.saturating_sub(seconds),
        longest_gap_seconds: longest_gap_ms / 1000,
        p50_ms: percentile(&known, seconds, 50),
        p99_ms: percentile(&known, seconds, 99),
        over_objective_seconds: over,
        worst: Worst {
            at_ms: worst.at,
            lag_ms: worst.lag_ms.unwrap_or_default(),
            revisions: worst.primary_revision.saturating_sub(worst.checkpoint),
        },
    })
}

/// The lag of a stretch, and for how many seconds it counts.
fn lag(bucket: &Bucket) -> Option<(u64, u64)> {
    Some((bucket.worst.lag_ms?, bucket.known())).filter(|(_, weight)| *weight > 0)
}

/// The smallest lag that `percent` of the seconds did not exceed. `known` is sorted.
fn percentile(known: &[(u64, u64, Sample)], seconds: u64, percent: u64) -> u64 {
    let wanted = (seconds * percent).div_ceil(100);
    let mut counted = 0;
    for (lag_ms, weight, _) in known {
        counted += weight;
        if counted >= wanted {
            return *lag_ms;
        }
    }
    0
}
