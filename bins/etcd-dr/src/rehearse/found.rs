//! What was found out, and what a run would make of it.

use std::fmt::Write as _;

use dr_plan::journal::{Progress, StepState};
use dr_plan::plan::{Gate, Kind, Phase, Plan, Step};
use dr_plan::runner::{Overrides, Rehearsal, Rehearsed};
use dr_plan::{Finding, Verdict};
use mirror_config::Exit;
use serde_json::{Value, json};

use crate::run::StartAt;

/// A plan that was rehearsed to its end.
pub(super) struct Found {
    pub(super) plan: Plan,
    /// How far a run has come; a drill is of the whole plan.
    pub(super) progress: Option<Progress>,
    pub(super) overrides: Overrides,
    pub(super) from: StartAt,
    pub(super) rehearsal: Rehearsal,
}

impl Found {
    fn is_done(&self, step: &str) -> bool {
        self.progress.as_ref().and_then(|progress| progress.of(step)) == Some(StepState::Done)
    }

    /// Whether what a step is to bring about is there.
    fn holds_already(&self, step: &Step) -> bool {
        let of = Rehearsed::After(step.id.clone());
        let mut after = self.rehearsal.findings(&of).peekable();
        after.peek().is_some() && after.all(|finding| finding.verdict == Verdict::Holds)
    }

    /// Why a run would end before the step that it is to start at.
    fn ends_early(&self) -> Option<String> {
        let mut begun =
            self.plan.steps().filter(|step| !self.is_done(&step.id) && !self.holds_already(step));
        begun.find_map(|step| self.from.forbids_to_begin(&step.id))
    }

    /// What a run would do with a step.
    fn prospect(&self, step: &Step) -> &'static str {
        if self.is_done(&step.id) {
            return "done, by the journal";
        }
        if self.holds_already(step) {
            return "would be skipped: it is done already";
        }
        if self.from.forbids_to_begin(&step.id).is_some() {
            return "would end the run: it comes before --from";
        }
        match step.kind {
            Kind::Automatic(_) => "would be done",
            Kind::ByHand(_) => "would be asked of a person",
            Kind::Watched => "would be waited for",
        }
    }

    /// Gates of the phase that is next, and how each stands; what only a person can tell is not
    /// counted, nor what is overridden. Gates of later phases wait for what comes before them, and
    /// those of a phase that has begun to move the world are behind it.
    fn next_gates(&self) -> Vec<(&str, Verdict)> {
        let next = self
            .plan
            .phases
            .iter()
            .find(|phase| phase.steps.iter().any(|step| !self.is_done(&step.id)));
        let moved = |phase: &&Phase| {
            self.progress.as_ref().is_some_and(|progress| progress.has_moved(phase))
        };
        let next = next.filter(|phase| !moved(phase));
        let gates = next.map(|phase| phase.gates.as_slice()).unwrap_or_default();
        let counts = |gate: &&Gate| self.overrides.reason(&gate.name).is_none();
        let stands = |gate: &Gate| {
            let of = Rehearsed::Gate(gate.name.clone());
            let asked = gate.evidence.iter().map(|check| check.probe.asks_a_person());
            let seen = self.rehearsal.findings(&of).zip(asked).filter(|(_, person)| !person);
            Verdict::of_all(seen.map(|(finding, _)| finding.verdict))
        };
        gates.iter().filter(counts).map(|gate| (gate.name.as_str(), stands(gate))).collect()
    }

    pub(super) fn exit(&self) -> Exit {
        let gates = self.next_gates();
        let any = |wanted| gates.iter().any(|(_, verdict)| *verdict == wanted);
        if any(Verdict::Fails) || self.ends_early().is_some() {
            Exit::Differs
        } else if any(Verdict::Unknown) {
            Exit::Undecided
        } else {
            Exit::Done
        }
    }

    fn reason(&self) -> String {
        let gates = self.next_gates();
        let closed = gates.iter().filter(|(_, verdict)| *verdict != Verdict::Holds);
        let closed: Vec<&str> = closed.map(|(name, _)| *name).collect();
        if closed.is_empty() {
            if let Some(why) = self.ends_early() {
                return why;
            }
            return "every gate of what is next is open, or overridden, as far as a program can tell".to_owned();
        }
        format!("gates of what is next are closed: {}", closed.join(", "))
    }

    pub(super) fn as_text(&self) -> String {
        let mut text = format!("{}: nothing was done\n", self.plan.name);
        // Writing to a String does not fail.
        for phase in &self.plan.phases {
            let _ = writeln!(text, "\nphase {}: {}", phase.id, phase.title);
            for gate in &phase.gates {
                let took = self.rehearsal.gate(gate).took_ms;
                let _ = writeln!(text, "  gate {} ({took} ms)", gate.name);
                self.write_findings(&mut text, &Rehearsed::Gate(gate.name.clone()));
            }
            self.write_findings(&mut text, &Rehearsed::Fact(phase.id.clone()));
            for step in &phase.steps {
                let took = self.rehearsal.step(step).took_ms;
                let _ = writeln!(text, "  step {}: {} ({took} ms)", step.id, self.prospect(step));
                self.write_findings(&mut text, &Rehearsed::Before(step.id.clone()));
                self.write_findings(&mut text, &Rehearsed::After(step.id.clone()));
            }
        }
        let _ = writeln!(text, "\n{}", self.reason());
        let _ = writeln!(text, "looking took {} ms", self.rehearsal.took_ms());
        text
    }

    fn write_findings(&self, text: &mut String, of: &Rehearsed) {
        for Finding { says, verdict, evidence } in self.rehearsal.findings(of) {
            let _ = writeln!(text, "    {}: {says}: {evidence}", verdict.as_str());
        }
    }

    /// As JSON; `next` is the command that would do it.
    pub(super) fn as_json(&self, next: &str, lag: Option<Value>) -> Value {
        let findings = |of: Rehearsed| self.rehearsal.findings(&of).cloned().collect::<Vec<_>>();
        let gates: Vec<Value> = self
            .plan
            .gates()
            .map(|gate| {
                json!({
                    "gate": gate.name,
                    "overridable": gate.overridable,
                    "evidence": findings(Rehearsed::Gate(gate.name.clone())),
                    "took_ms": self.rehearsal.gate(gate).took_ms,
                })
            })
            .collect();
        let steps: Vec<Value> = self
            .plan
            .steps()
            .map(|step| {
                json!({
                    "step": step.id,
                    "prospect": self.prospect(step),
                    "before": findings(Rehearsed::Before(step.id.clone())),
                    "after": findings(Rehearsed::After(step.id.clone())),
                    "took_ms": self.rehearsal.step(step).took_ms,
                })
            })
            .collect();
        let verdict = match self.exit() {
            Exit::Done => "ready",
            Exit::Differs => "gates-closed",
            Exit::Usage | Exit::Undecided | Exit::Refused | Exit::Interrupted => "undecided",
        };
        json!({
            "verdict": verdict,
            "reason": self.reason(),
            "next_steps": [next],
            "plan": self.plan.name.to_string(),
            "gates": gates,
            "steps": steps,
            "lag": lag,
            "took_ms": self.rehearsal.took_ms(),
        })
    }
}
