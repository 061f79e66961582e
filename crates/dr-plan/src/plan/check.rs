//! A claim about the world, and how it is looked into.

use serde::Serialize;

use super::probe::Probe;

/// A claim that is looked at before or after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is claimed, for people.
    pub says: String,
    /// How one finds out.
    pub probe: Probe,
}

impl Check {
    pub(super) fn new(says: impl Into<String>, probe: Probe) -> Self {
        Self { says: says.into(), probe }
    }
}
