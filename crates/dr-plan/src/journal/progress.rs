//! How far a plan has come.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::{Entry, Event, Opening};
use crate::plan::{Kind, Phase, Plan, Step};
use crate::time::Timestamp;

/// How far the last plan of a journal has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How it was begun.
    pub opening: Opening,
    /// When.
    pub opened: Timestamp,
    steps: BTreeMap<String, StepState>,
    begun: BTreeSet<String>,
    ended: bool,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It was begun, for the first time at this moment, and nobody wrote down that it is done. It
    /// may be, in part or in whole: its `after` checks say so.
    Begun(Timestamp),
    /// It is done, or was not needed.
    Done,
}

impl Progress {
    /// Reads how far the last plan of a journal has come; `None` if none was ever begun.
    #[must_use]
    pub fn from(entries: &[Entry]) -> Option<Self> {
        let mut progress: Option<Self> = None;
        for Entry { at, event, .. } in entries {
            if let Event::Opened(opening) = event {
                progress = Some(Self::new(opening.clone(), *at));
            } else if let Some(progress) = &mut progress {
                progress.note(*at, event);
            }
        }
        progress
    }

    pub(crate) fn new(opening: Opening, opened: Timestamp) -> Self {
        Self { opening, opened, steps: BTreeMap::new(), begun: BTreeSet::new(), ended: false }
    }

    /// Takes one more event of the same plan.
    pub(crate) fn note(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Begun { step } => {
                // The first time counts: what happened since then may be this step's doing.
                self.begun.insert(step.clone());
                self.steps.entry(step.clone()).or_insert(StepState::Begun(at));
            }
            Event::Done { step, .. } | Event::Skipped { step, .. } => {
                self.steps.insert(step.clone(), StepState::Done);
            }
            Event::Failed { step, refused: true, .. } => {
                self.begun.remove(step);
            }
            Event::Completed | Event::Abandoned { .. } => self.ended = true,
            Event::Opened(_)
            | Event::Resumed
            | Event::GateJudged { .. }
            | Event::GateOverridden { .. }
            | Event::Confirmed { .. }
            | Event::Declined { .. }
            | Event::Failed { .. }
            | Event::Stopped { .. }
            | Event::Drilled(_) => {}
        }
    }

    /// Returns whether the plan was completed or abandoned.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// Returns whether it is in its middle: a step is begun or done, and the plan has not ended. What
    /// only judged gates has moved nothing, and nobody has to go on with it.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !self.ended && !self.steps.is_empty()
    }

    /// Returns how far a step has come; `None` if it was never begun.
    #[must_use]
    pub fn of(&self, step: &str) -> Option<StepState> {
        self.steps.get(step).copied()
    }

    /// Returns whether a step was ever begun, in contrast to one that was found done, and to one
    /// whose action was refused.
    #[must_use]
    pub fn was_begun(&self, step: &str) -> bool {
        self.begun.contains(step)
    }

    /// Returns whether a phase has begun to move the world: then its gates are behind it.
    ///
    /// A step that a person does never counts: one may be shown it and stop there, and what is done
    /// by hand closes no gate before it.
    #[must_use]
    pub fn has_moved(&self, phase: &Phase) -> bool {
        let moves = |step: &&Step| matches!(step.kind, Kind::Automatic(_));
        phase.steps.iter().filter(moves).any(|step| self.was_begun(&step.id))
    }

    /// Returns the step that is next: the first that is not done.
    #[must_use]
    pub fn next<'a>(&self, plan: &'a Plan) -> Option<&'a Step> {
        plan.steps().find(|step| self.of(&step.id) != Some(StepState::Done))
    }
}
