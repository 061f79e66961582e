//! A runbook as data: what is done, what must hold before and after, who does it.
//!
//! Nothing here does anything. The [`crate::runner`] asks for probes and actions, somebody
//! else performs them. Whatever the plan says, down to the command somebody types, is filled in
//! with the values of one [`Topology`].

mod action;
mod by_hand;
mod catalog;
mod check;
mod gate;
mod lint;
mod name;
mod on_nodes;
mod place;
mod probe;
mod shield;
mod step;

pub use action::Action;
pub use by_hand::ROLE_RECORD;
pub use check::Check;
pub use gate::{Confirmation, Gate};
pub use lint::{Fault, lint};
pub use name::PlanName;
pub use on_nodes::restart_controllers;
pub use place::{Place, Side, Target};
pub use probe::{Probe, Signal};
pub use shield::{LOCAL_NAMESPACES, write_shield};
pub use step::{Instruction, Kind, Step};

use serde::Serialize;

use crate::digest::Digest;
use crate::topology::Topology;

/// A runbook for one pair of clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which one.
    pub name: PlanName,
    /// What it is for, in one sentence.
    pub purpose: String,
    /// What is done, in this order.
    pub phases: Vec<Phase>,
}

/// Steps that belong together, behind gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// Its name, unique in the plan.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What must hold before its first step begins.
    pub gates: Vec<Gate>,
    /// What somebody has to say yes to, once the gates are open.
    pub confirmation: Option<Confirmation>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Makes a plan for a pair of clusters.
    #[must_use]
    pub fn new(name: PlanName, topology: &Topology) -> Self {
        catalog::plan(name, topology)
    }

    /// Returns its steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// Returns its gates, in order.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.phases.iter().flat_map(|phase| &phase.gates)
    }

    /// Returns the digest of all that it says: a journal belongs to one plan, to the letter.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

impl Phase {
    fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            gates: Vec::new(),
            confirmation: None,
            steps: Vec::new(),
        }
    }

    fn gate(mut self, gate: Gate) -> Self {
        self.gates.push(gate);
        self
    }

    fn gates(mut self, gates: impl IntoIterator<Item = Gate>) -> Self {
        self.gates.extend(gates);
        self
    }

    fn confirm(mut self, confirmation: Confirmation) -> Self {
        self.confirmation = Some(confirmation);
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }
}
