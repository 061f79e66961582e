//! A run that only looks.

use std::time::Duration;

use crate::digest::Digest;
use crate::finding::{Answer, Finding, Verdict};
use crate::journal::{Drill, GateLook, StepLook};
use crate::plan::{Check, Gate, Plan, Step};

/// Asks every probe of a plan once, in its order, and does nothing.
///
/// What a step needs before it, and an earlier step brings about, fails in a rehearsal; so it is
/// told by step, for a person to read.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    waiting: Vec<(Rehearsed, Check)>,
    next: usize,
    looks: Vec<Look>,
}

/// A probe that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it belongs to.
    pub of: Rehearsed,
    /// What was found out.
    pub finding: Finding,
    /// How long that took.
    pub took: Duration,
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
        Self { waiting, next: 0, looks: Vec::new() }
    }

    /// Returns the probe that is next. What only a person can tell is left open.
    pub fn next_probe(&mut self) -> Option<Check> {
        loop {
            let (of, check) = self.waiting.get(self.next)?;
            if !check.probe.asks_a_person() {
                return Some(check.clone());
            }
            let open = Answer::new(Verdict::Unknown, "a person will be asked");
            self.looks.push(Look {
                of: of.clone(),
                finding: Finding::new(check, open),
                took: Duration::ZERO,
            });
            self.next += 1;
        }
    }

    /// Takes its answer, and how long it was waited for.
    pub fn answer(&mut self, answer: Answer, took: Duration) {
        if let Some((of, check)) = self.waiting.get(self.next) {
            let finding = Finding::new(check, answer);
            self.looks.push(Look { of: of.clone(), finding, took });
            self.next += 1;
        }
    }

    /// Returns what was looked at so far, in the plan's order.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// Returns what was found out of one gate, or of one side of a step.
    pub fn findings(&self, of: &Rehearsed) -> impl Iterator<Item = &Finding> {
        self.looks.iter().filter(move |look| look.of == *of).map(|look| &look.finding)
    }

    /// Returns how a gate stands, and how long it took to look at.
    #[must_use]
    pub fn gate(&self, gate: &Gate) -> GateLook {
        let of = Rehearsed::Gate(gate.name.clone());
        GateLook {
            gate: gate.name.clone(),
            verdict: Verdict::of_all(self.findings(&of).map(|finding| finding.verdict)),
            took_ms: self.took_ms_by(|look| look.of == of),
        }
    }

    /// Returns how long a step took to look at.
    #[must_use]
    pub fn step(&self, step: &Step) -> StepLook {
        let took_ms = self.took_ms_by(|look| match &look.of {
            Rehearsed::Before(id) | Rehearsed::After(id) => *id == step.id,
            Rehearsed::Gate(_) | Rehearsed::Fact(_) => false,
        });
        StepLook { step: step.id.clone(), took_ms }
    }

    /// Sums up a rehearsal of this plan, for the journal.
    #[must_use]
    pub fn summary(&self, plan: &Plan, topology: &Digest) -> Drill {
        Drill {
            plan: plan.name,
            plan_digest: plan.digest().to_string(),
            topology_digest: topology.to_string(),
            gates: plan.gates().map(|gate| self.gate(gate)).collect(),
            steps: plan.steps().map(|step| self.step(step)).collect(),
            took_ms: self.took_ms(),
        }
    }

    /// Returns how long all looks took, in milliseconds.
    #[must_use]
    pub fn took_ms(&self) -> u64 {
        self.took_ms_by(|_| true)
    }

    fn took_ms_by(&self, wanted: impl Fn(&Look) -> bool) -> u64 {
        let took: Duration =
            self.looks.iter().filter(|look| wanted(look)).map(|look| look.took).sum();
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }
}
