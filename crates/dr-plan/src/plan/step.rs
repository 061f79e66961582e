//! One thing that is done.

use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::check::Check;
use super::probe::Probe;

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name, unique in the plan.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it does and why.
    pub what: String,
    /// What must hold before it is done.
    pub before: Vec<Check>,
    /// What holds once it is done. If it holds already, the step is not done.
    pub after: Vec<Check>,
    /// Who does it.
    pub kind: Kind,
    /// How long it may take until `after` holds, in seconds.
    pub seconds_max: u64,
    /// How it is undone; `None` if it changes nothing or can't be.
    pub undo: Option<String>,
}

/// Who does a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A program.
    Automatic(Action),
    /// A person; what to type or click, in order.
    ByHand(Vec<Instruction>),
    /// Nobody: one waits until `after` holds.
    Watched,
}

/// What a person does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Instruction {
    /// In words.
    Do(String),
    /// Lines for a shell, ready to be pasted.
    Type(String),
}

impl Step {
    fn new(id: &str, title: &str, kind: Kind, what: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            what: what.into(),
            before: Vec::new(),
            after: Vec::new(),
            kind,
            seconds_max: 600,
            undo: None,
        }
    }

    pub(super) fn automatic(
        id: &str,
        title: &str,
        action: Action,
        what: impl Into<String>,
    ) -> Self {
        Self::new(id, title, Kind::Automatic(action), what)
    }

    pub(super) fn by_hand(id: &str, title: &str, what: impl Into<String>) -> Self {
        // People are given the time they need: what they do takes minutes to days.
        Self::new(id, title, Kind::ByHand(Vec::new()), what).minutes(24 * 60)
    }

    pub(super) fn watched(id: &str, title: &str, what: impl Into<String>) -> Self {
        Self::new(id, title, Kind::Watched, what)
    }

    /// One more thing that a person does.
    pub(super) fn tell(self, text: impl Into<String>) -> Self {
        self.instruct(Instruction::Do(text.into()))
    }

    /// One more thing that a person types.
    pub(super) fn type_in(self, lines: impl Into<String>) -> Self {
        self.instruct(Instruction::Type(lines.into()))
    }

    fn instruct(mut self, instruction: Instruction) -> Self {
        if let Kind::ByHand(instructions) = &mut self.kind {
            instructions.push(instruction);
        }
        self
    }

    pub(super) fn before(mut self, says: impl Into<String>, probe: Probe) -> Self {
        self.before.push(Check::new(says, probe));
        self
    }

    pub(super) fn after(mut self, says: impl Into<String>, probe: Probe) -> Self {
        self.after.push(Check::new(says, probe));
        self
    }

    pub(super) const fn minutes(mut self, minutes: u64) -> Self {
        self.seconds_max = minutes * 60;
        self
    }

    pub(super) fn undo(mut self, undo: impl Into<String>) -> Self {
        self.undo = Some(undo.into());
        self
    }

    /// Returns how long it may take until `after` holds.
    #[must_use]
    pub const fn time_limit(&self) -> Duration {
        Duration::from_secs(self.seconds_max)
    }
}
