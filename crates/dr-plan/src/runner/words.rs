//! The words between a runner and whoever performs: what happened, and what to do.

use std::time::Duration;

use crate::finding::{Answer, Finding};
use crate::journal::Event;
use crate::plan::{Action, Check, Instruction};
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The run may begin.
    Start,
    /// [`Effect::Journal`] is on the disk.
    Journaled,
    /// [`Effect::Probe`] is answered.
    Answered(Answer),
    /// [`Effect::Act`] is over.
    Acted(Acted),
    /// [`Effect::Ask`] is answered.
    Replied(Reply),
    /// [`Effect::Wait`] is over.
    Woke,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It was taken on. What it is to bring about may take its time.
    Accepted,
    /// It was refused, or can't be done.
    Refused(String),
    /// It was to find something out, and did not; nothing is changed.
    Undecided(String),
    /// Nobody knows: the answer was lost. The `after` checks will tell.
    Unknown(String),
}

/// What a person answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is so, or it is done.
    Yes,
    /// It is not, or the person wants to stop.
    No,
    /// What was typed to confirm.
    Typed(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write a line.
    Journal(Event),
    /// Find out.
    Probe {
        /// What.
        check: Check,
        /// When the step that it belongs to was begun for the first time; `None` if it was not. A
        /// probe for something *new* fails then.
        begun: Option<Timestamp>,
    },
    /// Do.
    Act {
        /// For which step.
        step: String,
        /// What.
        action: Action,
        /// When the step was begun for the first time, in this run of the plan: what came after is
        /// not to be touched again.
        begun: Timestamp,
    },
    /// Ask a person.
    Ask(Question),
    /// Do nothing for a while.
    Wait(Duration),
    /// The run is over.
    Finished(Outcome),
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this so?
    Attest {
        /// For which gate or step.
        of: String,
        /// What.
        statement: String,
    },
    /// Shall this be done?
    Confirm {
        /// Which phase.
        phase: String,
        /// What will happen.
        statement: String,
        /// What was found out.
        facts: Vec<Finding>,
        /// What has to be typed.
        word: String,
    },
    /// Do this, please.
    ByHand {
        /// Which step.
        step: String,
        /// What to do.
        instructions: Vec<Instruction>,
        /// What a yes says.
        attests: Vec<String>,
        /// When it was begun before, if it was: some of it may be done.
        begun: Option<Timestamp>,
    },
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was never started.
    NotStarted,
    /// All is done.
    Completed,
    /// Gates are closed.
    GatesClosed(Vec<ClosedGate>),
    /// Somebody did not say yes.
    Declined {
        /// To which phase.
        phase: String,
    },
    /// A step failed. The plan can be gone on with.
    StepFailed {
        /// Its name.
        step: String,
        /// Why.
        why: String,
        /// Whether nobody could tell, in contrast to what is known not to be so.
        undecided: bool,
    },
}

/// A gate that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedGate {
    /// Its name.
    pub name: String,
    /// Whether it may be overridden.
    pub overridable: bool,
    /// What was found out.
    pub evidence: Vec<Finding>,
    /// What opens it.
    pub mend: String,
}
