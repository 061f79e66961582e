//! The report of a check, as JSON: a contract that outlives versions of the software.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judge::{Judgement, judge, open};
use super::printable::one_line;
use super::{CheckMode, CheckVerdict, Comparison, DifferenceKind, TextParts};

/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 1_000;

/// What a check found, and what to conclude from it: the JSON of `/check`, of `/api/v1/checks` and
/// of `etcd-check -o json`.
///
/// The fields of [`Comparison`] stand beside `verdict`, `reason`, `next_steps`,
/// `verified_revision` and `truncated`. Readers must ignore fields that they don't know; a field
/// that is missing reads as unknown.
///
/// Verdict and findings can't contradict each other: the verdict is drawn from the findings, and
/// read back it is drawn again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct CheckReport {
    verdict: CheckVerdict,
    reason: String,
    next_steps: Vec<String>,
    verified_revision: Option<i64>,
    #[serde(flatten)]
    found: Comparison,
    truncated: bool,
}

impl CheckReport {
    /// Concludes from a comparison that came to its end.
    ///
    /// It is in sync only if nothing differs but what the standby's own controllers rewrite, nothing
    /// is unsettled and it is known at which revisions; the counts are at least those of the keys that are named.
    #[must_use]
    pub fn judged(found: Comparison) -> Self {
        let found = counted(found);
        let judgement = judge(&found);
        Self::new(judgement, found)
    }

    /// Says that there is no answer, for this reason, and what was found until then.
    ///
    /// Without a reason it says that none was given.
    #[must_use]
    pub fn inconclusive(reason: impl Into<String>, found: Comparison) -> Self {
        Self::new(open(reason.into()), counted(found))
    }

    fn new(judgement: Judgement, found: Comparison) -> Self {
        let Judgement { verdict, reason, next_steps } = judgement;
        let proven = verdict == CheckVerdict::InSync && found.mode == CheckMode::Full;
        let verified_revision = found.pins.iter().map(|pins| pins.primary_revision).min();
        let truncated =
            DifferenceKind::ALL.iter().any(|kind| found.named(*kind) < found.count(*kind));
        Self {
            verdict,
            reason: one_line(&reason).chars().take(REASON_CHARS_MAX).collect(),
            next_steps,
            verified_revision: verified_revision.filter(|_| proven),
            found,
            truncated,
        }
    }

    /// What to conclude.
    #[must_use]
    pub const fn verdict(&self) -> CheckVerdict {
        self.verdict
    }

    /// Why, on one line; never empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it, most urgent first.
    #[must_use]
    pub fn next_steps(&self) -> &[String] {
        &self.next_steps
    }

    /// The primary revision as of which the standby is proven equal, but for what its own
    /// controllers rewrite: the oldest that was compared at, only if it is in sync and values were
    /// compared.
    #[must_use]
    pub const fn verified_revision(&self) -> Option<i64> {
        self.verified_revision
    }

    /// What was compared and found.
    #[must_use]
    pub const fn found(&self) -> &Comparison {
        &self.found
    }

    /// Tells whether more keys differ than are named.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Returns the report with at most `limit` keys of each kind named. The counts stay.
    #[must_use]
    pub fn trimmed(self, limit: usize) -> Self {
        self.trimmed_to(limit, usize::MAX)
    }

    /// Likewise, and about `bytes_max` of named keys at most.
    pub(crate) fn trimmed_to(mut self, limit: usize, bytes_max: usize) -> Self {
        let before = self.found.differences.len();
        self.found.trim(limit, bytes_max);
        self.truncated |= self.found.differences.len() < before;
        self
    }

    /// Returns the report with what nobody noted: when it began, and how long it took.
    pub(crate) fn timed(mut self, started_at: u64, took: Duration) -> Self {
        self.found.started_at.get_or_insert(started_at);
        if self.found.duration_seconds <= 0.0 {
            self.found.duration_seconds = to_ms(took.as_secs_f64());
        }
        self
    }

    /// Returns about how many bytes it takes, in memory or as JSON.
    pub(crate) fn bytes(&self) -> usize {
        let steps: usize = self.next_steps.iter().map(String::len).sum();
        1_024 + self.reason.len() + steps + self.found.bytes()
    }

    /// Renders the report as `/check` shows it: the verdict, then at most `limit` keys of each
    /// kind, one per line with its class behind a tab, then what to do about it.
    ///
    /// Whatever the keys are, there is no control character in it but the ends of lines and tabs.
    #[must_use]
    pub fn text(&self, limit: usize) -> String {
        TextParts::new(self, limit).collect()
    }
}

impl Default for CheckReport {
    fn default() -> Self {
        Self::inconclusive(String::new(), Comparison::default())
    }
}

/// A key that is named was counted.
fn counted(mut found: Comparison) -> Comparison {
    found.missed = found.missed.max(found.named(DifferenceKind::Missed));
    found.surplus = found.surplus.max(found.named(DifferenceKind::Surplus));
    found.different = found.different.max(found.named(DifferenceKind::Different));
    if !found.duration_seconds.is_finite() {
        found.duration_seconds = 0.0;
    }
    found.duration_seconds = to_ms(found.duration_seconds.max(0.0));
    found
}

/// More is noise.
fn to_ms(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A report as somebody wrote it, to be judged again.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    verdict: CheckVerdict,
    reason: String,
    next_steps: Vec<String>,
    truncated: bool,
    #[serde(flatten)]
    found: Comparison,
}

impl From<Written> for CheckReport {
    fn from(written: Written) -> Self {
        let Written { verdict, reason, next_steps, truncated, found } = written;
        let mut report = match verdict {
            CheckVerdict::InSync | CheckVerdict::Drift => Self::judged(found),
            CheckVerdict::Inconclusive => Self::inconclusive(reason.clone(), found),
        };
        if report.verdict != verdict {
            let said = verdict.as_str();
            let why = format!("the report says {said} and contradicts itself: {}", report.reason);
            return Self::inconclusive(why, report.found);
        }
        if !reason.is_empty() {
            report.reason = one_line(&reason).chars().take(REASON_CHARS_MAX).collect();
        }
        report.next_steps = next_steps;
        report.truncated |= truncated;
        report
    }
}
