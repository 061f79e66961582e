//! A check: everything in view compared at one pinned pair, in parts side by side, with an answer
//! that is never "in sync" unless all of it was compared.

mod confirm;
mod finding;
mod landmarks;
mod outcome;
mod pace;
mod part;
mod pins;
mod view;

use std::sync::{Mutex, PoisonError};

use etcd_mvcc::{PrimaryRevision, ReadRange, StandbyRevision, WalkLimits};
use futures::StreamExt as _;

pub use self::confirm::{Confirmed, confirm};
pub use self::finding::{Finding, Held, Kind};
pub use self::landmarks::Landmarks;
pub use self::outcome::{Outcome, Span, Totals, Verdict};
pub use self::pace::Progress;
use self::pace::{Envelopes, Pace, Paced};
use self::part::{Comparing, PartOutcome};
use self::pins::Pinned;
pub use self::pins::{NotPinned, PinSource};
pub use self::view::View;

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// How large pages may get. Memory is bounded by two pages per side and part under way.
    pub limits: WalkLimits,
    /// Compare which keys there are, and leave the values unread: nothing is said about them.
    pub keys_only: bool,
    /// How many parts are compared side by side. Default 2: each keeps both servers busy, and a
    /// check is to leave room for the mirror.
    pub parallel: usize,
    /// The rate of reading, both sides together, in bytes of keys and values per second; `None`
    /// for as fast as it goes.
    pub bytes_per_second: Option<u64>,
    /// How many keys of each kind are named; all are counted. Default 1,000.
    pub named_max: usize,
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            limits: WalkLimits::default(),
            keys_only: false,
            parallel: 2,
            bytes_per_second: None,
            named_max: 1_000,
        }
    }
}

/// A check, ready to run. It can't write: all it has are readers.
#[derive(Debug)]
pub struct Check<'a, P, S, N> {
    /// How to read the primary.
    pub primary: &'a P,
    /// How to read the standby.
    pub standby: &'a S,
    /// What to look at.
    pub view: &'a View,
    /// At which revisions both sides ought to be equal.
    pub pins: &'a N,
    /// How to check.
    pub settings: &'a CheckSettings,
    /// Where to cut the work, as an earlier check has seen it.
    pub landmarks: &'a Landmarks,
}

impl<P, S, N> Check<'_, P, S, N>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    N: PinSource,
{
    /// Compares. What could not be read, or not be pinned, makes the answer inconclusive.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind, and no answer.
    pub async fn run(&self, progress: &Progress) -> Outcome {
        let pinned = match Pinned::new(self.pins).await {
            Ok(pinned) => pinned,
            Err(reason) => return Outcome::undecided(reason.to_string()),
        };
        let pace = Pace::new(self.settings.bytes_per_second);
        let seen = Envelopes::default();
        let (primary, standby, envelopes) = (self.primary, self.standby, Some(&seen));
        let comparing = Comparing {
            primary: &Paced { reader: primary, pace: &pace, progress, envelopes: None },
            standby: &Paced { reader: standby, pace: &pace, progress, envelopes },
            view: self.view,
            pinned: &pinned,
            settings: self.settings,
            learned: Mutex::new(self.landmarks.pages().unwrap_or(self.settings.limits.into())),
        };
        let parts = self.view.parts(self.landmarks);
        let outcomes: Vec<PartOutcome> = futures::stream::iter(parts)
            .map(|part| comparing.part(part))
            .buffered(self.settings.parallel.max(1))
            .collect()
            .await;
        let learned = comparing.learned.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Outcome { envelopes: seen.into_inner(), ..self.joined(outcomes) };
        outcome.landmarks = outcome.landmarks.with_pages(learned);
        outcome
    }

    fn joined(&self, outcomes: Vec<PartOutcome>) -> Outcome {
        let mut joined = Outcome::undecided(String::new());
        let mut undecided = None;
        let mut samples = Vec::new();
        for outcome in outcomes {
            joined.totals.add(outcome.totals);
            joined.findings.extend(outcome.findings);
            for span in outcome.spans {
                join_span(&mut joined.spans, span);
            }
            undecided = undecided.or(outcome.undecided);
            samples.push(outcome.samples);
        }
        if let (Some(last), None) = (joined.spans.last_mut(), &undecided) {
            last.through = None;
        }
        name_the_first(&mut joined.findings, self.settings.named_max);
        joined.landmarks = Landmarks::pick(samples, self.settings.parallel.max(1) * 4);
        joined.verdict = match undecided {
            Some(reason) => Verdict::Inconclusive(reason),
            None if joined.totals.is_clean() => Verdict::InSync,
            None => Verdict::Drift,
        };
        joined
    }
}

/// Adjacent stretches of one pair are one span.
fn join_span(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.pins == span.pins => last.through = span.through,
        _ => spans.push(span),
    }
}

fn name_the_first(findings: &mut Vec<Finding>, named_max: usize) {
    for kind in Kind::ALL {
        let mut room = named_max;
        findings.retain(|finding| {
            if finding.kind != kind {
                return true;
            }
            let named = room > 0;
            room = room.saturating_sub(1);
            named
        });
    }
}
