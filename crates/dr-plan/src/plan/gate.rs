//! What must hold before something that matters is done.

use serde::Serialize;

use super::check::Check;

/// A condition with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// Its name, unique in the plan; an override gives it.
    pub name: String,
    /// What it is there for.
    pub what: String,
    /// It is open if all of these hold.
    pub evidence: Vec<Check>,
    /// What opens it, for whoever finds it closed.
    pub mend: String,
    /// Whether a person may go on although it is closed, with a reason that is written down.
    pub overridable: bool,
}

impl Gate {
    pub(super) fn new(name: &str, what: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            what: what.into(),
            evidence: Vec::new(),
            mend: String::new(),
            overridable: true,
        }
    }

    pub(super) fn evidence(mut self, says: impl Into<String>, probe: super::Probe) -> Self {
        self.evidence.push(Check::new(says, probe));
        self
    }

    /// What opens it.
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = mend.into();
        self
    }

    /// Nobody may go past it.
    pub(super) fn firm(mut self) -> Self {
        self.overridable = false;
        self
    }
}

/// What somebody has to say yes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// What will happen.
    pub statement: String,
    /// What is found out and shown before one answers.
    pub facts: Vec<Check>,
    /// What has to be typed.
    pub word: String,
}
