//! Runs a plan without doing anything itself.
//!
//! # Contract
//!
//! 1. [`Runner::handle`] takes what happened and returns the one thing to do next. Begin with
//!    [`Input::Start`].
//! 2. Do it, then hand its result in. There is never more than one thing outstanding.
//! 3. [`Effect::Journal`]: the line is on the disk before [`Input::Journaled`] is handed in. If it
//!    can't be written, stop, and read the journal again.
//! 4. [`Effect::Probe`] changes nothing. [`Effect::Act`] may be asked for again after a crash, if
//!    its `after` checks fail then.
//! 5. After [`Effect::Finished`] nothing follows.
//!
//! A process may die at any moment. The next one reads the journal, makes the same plan from the
//! same topology, and goes on: steps that are done are not touched; the one that was begun is
//! looked at before it is done again. If it is on its way, or nobody can tell, the runner waits
//! and in the end gives up: it never acts on a guess.

mod gates;
mod overrides;
mod rehearsal;
mod steps;
mod words;

pub use overrides::Overrides;
pub use rehearsal::{Look, Rehearsal, Rehearsed};
pub use words::{Acted, ClosedGate, Effect, Input, Outcome, Question, Reply};

use crate::digest::Digest;
use crate::finding::Finding;
use crate::journal::{Event, Opening, Progress, StepState};
use crate::plan::{Phase, Plan};
use crate::runner::steps::Failed;
use crate::time::Timestamp;

/// Why a run does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The plan that was begun is another.
    #[error(
        "the journal is in the middle of `{begun}`, begun at {opened}; \
         go on with that one, or give it up: `etcd-dr abandon --reason TEXT`"
    )]
    OtherPlan {
        /// The one that was begun.
        begun: String,
        /// When.
        opened: Timestamp,
    },
    /// The plan has the same name and says something else.
    #[error(
        "`{plan}` was begun at {opened} with another topology or another version of this program; \
         go on with those, or give it up: `etcd-dr abandon --reason TEXT`"
    )]
    PlanChanged {
        /// Its name.
        plan: String,
        /// When it was begun.
        opened: Timestamp,
    },
    /// An override names no gate of the plan.
    #[error("`{gate}` is no gate of this plan; its gates are {known}")]
    NoSuchGate {
        /// What was named.
        gate: String,
        /// What could have been.
        known: String,
    },
    /// An override without a reason.
    #[error("gate `{gate}` is overridden without a reason; write one, it is kept")]
    NoReason {
        /// The gate.
        gate: String,
    },
    /// An override of a gate that can't be overridden.
    #[error("gate `{gate}` can't be overridden: {what}")]
    Firm {
        /// The gate.
        gate: String,
        /// What it is there for.
        what: String,
    },
}

/// The state of a run.
#[derive(Clone, Debug)]
pub struct Runner {
    plan: Plan,
    overrides: Overrides,
    opening: Opening,
    /// What the journal will say once everything that was handed out is written.
    progress: Option<Progress>,
    phase: usize,
    step: usize,
    /// The phase whose gates were passed in this run.
    entered: Option<usize>,
    /// Gates of the phase that are closed.
    closed: Vec<ClosedGate>,
    /// What was found out about the gate, the confirmation or the step at hand.
    findings: Vec<Finding>,
    stage: Stage,
    outstanding: Effect,
}

/// What is outstanding, and what it is for.
#[derive(Clone, Debug)]
enum Stage {
    /// Nothing happened yet.
    New,
    /// The journal says that the run has begun.
    Opening,
    /// A gate's evidence is looked at.
    Gate { gate: usize, check: usize },
    /// The journal says how a gate was judged.
    GateWritten { gate: usize },
    /// The facts of a confirmation are looked at.
    Facts { check: usize },
    /// Somebody is asked.
    Confirming,
    /// The journal says yes.
    Confirmed,
    /// Does the step's `after` hold already? The verdict so far says how it stands.
    FirstLook { check: usize, since: Timestamp, unsettled: bool, fails: bool },
    /// It could not be told; a little later it may.
    FirstWait { since: Timestamp },
    /// What must hold before the step.
    Before { check: usize },
    /// The journal says that the step is begun; it may have said so earlier.
    Begun { earlier: Option<Timestamp> },
    /// It is being done.
    Acting,
    /// Does its `after` hold by now?
    Settling { check: usize, since: Timestamp, last_try: Option<Failed> },
    /// Not yet.
    SettleWait { since: Timestamp },
    /// The journal says that the step is done.
    Written,
    /// The journal says how the run ends.
    Ending(Outcome),
    /// It has ended.
    Ended,
}

impl Runner {
    /// Prepares a run, or goes on with one.
    ///
    /// # Errors
    ///
    /// The journal is in the middle of something else. A run that came no further than its gates is
    /// none: it is gone on with by the same, and forgotten by another.
    pub fn new(
        plan: Plan,
        topology: &Digest,
        overrides: Overrides,
        journal: Option<Progress>,
    ) -> Result<Self, Refusal> {
        let opening = Opening {
            plan: plan.name,
            plan_digest: plan.digest().to_string(),
            topology_digest: topology.to_string(),
        };
        let goes_on = |begun: &Progress| begun.is_under_way() || begun.opening == opening;
        let progress = journal.filter(|begun| !begun.ended() && goes_on(begun));
        if let Some(Progress { opening: begun, opened, .. }) = &progress {
            if begun.plan != opening.plan {
                let begun = begun.plan.to_string();
                return Err(Refusal::OtherPlan { begun, opened: *opened });
            }
            if *begun != opening {
                let plan = begun.plan.to_string();
                return Err(Refusal::PlanChanged { plan, opened: *opened });
            }
        }
        Ok(Self {
            plan,
            overrides,
            opening,
            progress,
            phase: 0,
            step: 0,
            entered: None,
            closed: Vec::new(),
            findings: Vec::new(),
            stage: Stage::New,
            outstanding: Effect::Finished(Outcome::NotStarted),
        })
    }

    /// Returns what the journal says of this run so far; `None` if it begins anew.
    #[must_use]
    pub const fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Takes what happened and returns what to do next.
    ///
    /// An input that does not answer what is outstanding changes nothing: what is outstanding is
    /// returned again.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Effect {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let effect = match (stage, input) {
            (Stage::New, Input::Start) => self.open(now),
            (Stage::Opening | Stage::Written, Input::Journaled) => self.go_on(now),
            (stage @ (Stage::Gate { .. } | Stage::GateWritten { .. }), input)
            | (stage @ (Stage::Facts { .. } | Stage::Confirming | Stage::Confirmed), input) => {
                self.at_gates(now, stage, input)
            }
            (Stage::Ending(outcome), Input::Journaled) => Some(Effect::Finished(outcome)),
            (stage @ (Stage::New | Stage::Opening | Stage::Written), _)
            | (stage @ (Stage::Ending(_) | Stage::Ended), _) => self.unmoved(stage),
            (stage, input) => self.at_step(now, stage, input),
        };
        if let Some(effect) = effect {
            self.outstanding = effect;
        }
        self.outstanding.clone()
    }

    /// The input answers nothing that was asked.
    fn unmoved(&mut self, stage: Stage) -> Option<Effect> {
        self.stage = stage;
        None
    }

    fn open(&mut self, now: Timestamp) -> Option<Effect> {
        if self.progress.is_some() {
            return self.write(now, Event::Resumed, Stage::Opening);
        }
        self.progress = Some(Progress::new(self.opening.clone(), now));
        self.write(now, Event::Opened(self.opening.clone()), Stage::Opening)
    }

    /// Hands a line out; what follows waits until it is written.
    fn write(&mut self, now: Timestamp, event: Event, stage: Stage) -> Option<Effect> {
        if let Some(progress) = &mut self.progress {
            progress.note(now, &event);
        }
        self.stage = stage;
        Some(Effect::Journal(event))
    }

    /// Turns to the first step that is not done, or ends.
    fn go_on(&mut self, now: Timestamp) -> Option<Effect> {
        self.findings.clear();
        let undone = |id: &str| self.state(id) != Some(StepState::Done);
        let next = self.plan.phases.iter().enumerate().find_map(|(phase, of)| {
            let step = of.steps.iter().position(|step| undone(&step.id))?;
            Some((phase, step))
        });
        let Some((phase, step)) = next else {
            return self.write(now, Event::Completed, Stage::Ending(Outcome::Completed));
        };
        (self.phase, self.step) = (phase, step);
        // The world may have moved since the gates were judged, so a new run judges them again,
        // unless the phase itself has begun to move it.
        let moved = self.phase().zip(self.progress.as_ref());
        let moved = moved.is_some_and(|(phase, progress)| progress.has_moved(phase));
        if moved || self.entered == Some(phase) {
            return self.first_look(now);
        }
        self.closed.clear();
        self.judge(now, 0)
    }

    fn state(&self, step: &str) -> Option<StepState> {
        self.progress.as_ref().and_then(|progress| progress.of(step))
    }

    fn phase(&self) -> Option<&Phase> {
        self.plan.phases.get(self.phase)
    }

    /// Ends the run before its end.
    fn stop(&mut self, now: Timestamp, event: Event, outcome: Outcome) -> Option<Effect> {
        self.write(now, event, Stage::Ending(outcome))
    }
}
