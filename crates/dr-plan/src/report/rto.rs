//! How long a change of roles took.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::{Entry, Event, Opening};
use crate::plan::PlanName;
use crate::time::Timestamp;

/// How long the last change of roles took from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rto {
    /// The plan.
    pub plan: PlanName,
    /// When it was begun, in milliseconds since 1970.
    pub opened_ms: Timestamp,
    /// How long it took until all was done.
    pub total_ms: u64,
    /// How much of that went into gates, questions and stops, before and between the steps.
    pub between_ms: u64,
    /// The steps that were done, in their order.
    pub steps: Vec<StepTime>,
}

/// How long a step took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepTime {
    /// Its name.
    pub step: String,
    /// From its first beginning until it was verified.
    pub took_ms: u64,
}

/// Looks the last completed change of roles up; `None` if there is none.
#[must_use]
pub fn rto(journal: &[Entry]) -> Option<Rto> {
    let mut last = None;
    let mut run: Option<Run<'_>> = None;
    for Entry { at, event, .. } in journal {
        if let Event::Opened(opening) = event {
            run = changes_roles(opening).then(|| Run::new(opening, *at));
        }
        let Some(open) = &mut run else { continue };
        open.note(*at, event);
        if matches!(event, Event::Completed) {
            last = run.take().map(|run| run.rto(*at));
        }
    }
    last
}

const fn changes_roles(opening: &Opening) -> bool {
    matches!(opening.plan, PlanName::Switchover | PlanName::Failover)
}

struct Run<'a> {
    opening: &'a Opening,
    opened: Timestamp,
    begun: BTreeMap<&'a str, Timestamp>,
    steps: Vec<StepTime>,
}

impl<'a> Run<'a> {
    const fn new(opening: &'a Opening, opened: Timestamp) -> Self {
        Self { opening, opened, begun: BTreeMap::new(), steps: Vec::new() }
    }

    fn note(&mut self, at: Timestamp, event: &'a Event) {
        match event {
            Event::Begun { step } => {
                self.begun.entry(step).or_insert(at);
            }
            Event::Done { step, .. } => {
                let begun = self.begun.get(step.as_str()).copied().unwrap_or(at);
                let took_ms = at.ms().saturating_sub(begun.ms());
                self.steps.push(StepTime { step: step.clone(), took_ms });
            }
            Event::Opened(_)
            | Event::Resumed
            | Event::GateJudged { .. }
            | Event::GateOverridden { .. }
            | Event::Confirmed { .. }
            | Event::Declined { .. }
            | Event::Skipped { .. }
            | Event::Failed { .. }
            | Event::Stopped { .. }
            | Event::Completed
            | Event::Abandoned { .. }
            | Event::Drilled(_) => {}
        }
    }

    fn rto(self, ended: Timestamp) -> Rto {
        let total_ms = ended.ms().saturating_sub(self.opened.ms());
        let in_steps: u64 = self.steps.iter().map(|step| step.took_ms).sum();
        Rto {
            plan: self.opening.plan,
            opened_ms: self.opened,
            total_ms,
            between_ms: total_ms.saturating_sub(in_steps),
            steps: self.steps,
        }
    }
}
