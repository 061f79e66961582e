//! What the metrics tell of all checks so far.

use super::{CheckReport, CheckVerdict};

/// The upper ends of the buckets of durations, in seconds. Beyond the last there is no end.
pub(crate) const DURATION_ENDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0];

/// The checks since the process started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckTotals {
    /// Those that found nothing.
    pub in_sync: u64,
    /// Those that found differences.
    pub drift: u64,
    /// Those that had no answer.
    pub inconclusive: u64,
    /// How long they all took together, in seconds.
    pub seconds: f64,
    /// How many took how long: one count per bucket, the last one for what is beyond all ends.
    pub(crate) durations: [u64; DURATION_ENDS.len() + 1],
    /// The primary revision as of which the standby was last proven equal.
    pub verified_revision: Option<i64>,
    /// The last answer.
    pub last: Option<Conclusion>,
}

/// What the last check that had an answer said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// Keys that the standby lacks.
    pub missed: u64,
    /// Keys that the primary lacks.
    pub surplus: u64,
    /// Keys with different values.
    pub different: u64,
    /// When it ended, in seconds since 1970; `None` if nobody noted when it began.
    pub ended_at: Option<u64>,
}

impl CheckTotals {
    /// Returns how many checks there were.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.in_sync + self.drift + self.inconclusive
    }

    pub(crate) fn add(&mut self, report: &CheckReport) {
        let found = report.found();
        match report.verdict() {
            CheckVerdict::InSync => self.in_sync += 1,
            CheckVerdict::Drift => self.drift += 1,
            CheckVerdict::Inconclusive => self.inconclusive += 1,
        }
        let seconds = found.duration_seconds;
        self.seconds += seconds;
        let bucket = DURATION_ENDS.iter().take_while(|end| seconds > **end).count();
        if let Some(count) = self.durations.get_mut(bucket) {
            *count += 1;
        }
        if report.verified_revision().is_some() {
            self.verified_revision = report.verified_revision();
        }
        if report.verdict().is_conclusive() {
            let took = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
            self.last = Some(Conclusion {
                missed: found.missed,
                surplus: found.surplus,
                different: found.different,
                ended_at: found.started_at.map(|began| began.saturating_add(took.as_secs())),
            });
        }
    }
}
