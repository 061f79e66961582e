//! A run that only looks.

use crate::finding::{Answer, Finding, Verdict};
use crate::plan::{Check, Plan};

/// Asks every probe of a plan once, in its order, and does nothing.
///
/// What a step needs before it, and an earlier step brings about, fails in a rehearsal; so it is
/// told by step, for a person to read.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    waiting: Vec<(Rehearsed, Check)>,
    next: usize,
    found: Vec<(Rehearsed, Finding)>,
}

/// What a probe belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// A gate.
    Gate(String),
    /// A fact that is shown before somebody confirms, by phase.
    Fact(String),
    /// What must hold before a step.
    Before(String),
    /// What holds after a step: the step is not needed if it holds already.
    After(String),
}

impl Rehearsal {
    /// Lines the probes of a plan up.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut waiting = Vec::new();
        for phase in &plan.phases {
            for gate in &phase.gates {
                let of = || Rehearsed::Gate(gate.name.clone());
                waiting.extend(gate.evidence.iter().map(|check| (of(), check.clone())));
            }
            for fact in phase.confirmation.iter().flat_map(|confirmation| &confirmation.facts) {
                waiting.push((Rehearsed::Fact(phase.id.clone()), fact.clone()));
            }
            for step in &phase.steps {
                let (before, after) = (&step.before, &step.after);
                let id = || step.id.clone();
                waiting.extend(before.iter().map(|check| (Rehearsed::Before(id()), check.clone())));
                waiting.extend(after.iter().map(|check| (Rehearsed::After(id()), check.clone())));
            }
        }
        Self { waiting, next: 0, found: Vec::new() }
    }

    /// Returns the probe that is next. What only a person can tell is left open.
    pub fn next_probe(&mut self) -> Option<Check> {
        loop {
            let (of, check) = self.waiting.get(self.next)?;
            if !check.probe.asks_a_person() {
                return Some(check.clone());
            }
            let open = Answer::new(Verdict::Unknown, "a person will be asked");
            self.found.push((of.clone(), Finding::new(check, open)));
            self.next += 1;
        }
    }

    /// Takes its answer.
    pub fn answer(&mut self, answer: Answer) {
        if let Some((of, check)) = self.waiting.get(self.next) {
            self.found.push((of.clone(), Finding::new(check, answer)));
            self.next += 1;
        }
    }

    /// Returns what was found out so far, in the plan's order.
    #[must_use]
    pub fn found(&self) -> &[(Rehearsed, Finding)] {
        &self.found
    }

    /// Returns the gates that are closed, each once.
    #[must_use]
    pub fn closed_gates(&self) -> Vec<&str> {
        let mut closed: Vec<&str> = Vec::new();
        for (of, finding) in &self.found {
            if let Rehearsed::Gate(name) = of
                && finding.verdict != Verdict::Holds
                && !closed.contains(&name.as_str())
            {
                closed.push(name);
            }
        }
        closed
    }
}
