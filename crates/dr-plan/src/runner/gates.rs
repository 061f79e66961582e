//! Before a phase: its gates, all of them, and somebody's yes.

use crate::finding::{Answer, Finding, Verdict};
use crate::journal::Event;
use crate::plan::{Check, Probe};
use crate::runner::words::{ClosedGate, Effect, Input, Outcome, Question, Reply};
use crate::runner::{Runner, Stage};
use crate::time::Timestamp;

impl Runner {
    pub(super) fn at_gates(
        &mut self,
        now: Timestamp,
        stage: Stage,
        input: Input,
    ) -> Option<Effect> {
        match (stage, input) {
            (Stage::Gate { gate, check }, Input::Answered(answer)) => {
                self.gate_found(now, gate, check, answer)
            }
            (Stage::Gate { gate, check }, Input::Replied(reply)) => {
                self.gate_found(now, gate, check, attested(&reply))
            }
            (Stage::GateWritten { gate }, Input::Journaled) => self.judge(now, gate + 1),
            (Stage::Facts { check }, Input::Answered(answer)) => {
                if let Some(fact) = self.fact(check) {
                    self.findings.push(Finding::new(&fact, answer));
                }
                self.confirm(now, check + 1)
            }
            (Stage::Confirming, Input::Replied(reply)) => self.confirmed(now, &reply),
            (Stage::Confirmed, Input::Journaled) => self.enter(now),
            (stage, _) => self.unmoved(stage),
        }
    }

    /// Judges the gates from this one on. All are judged before the run stops at one, so that a
    /// person sees everything that is in the way.
    pub(super) fn judge(&mut self, now: Timestamp, gate: usize) -> Option<Effect> {
        self.findings.clear();
        if self.phase().is_some_and(|phase| gate < phase.gates.len()) {
            return self.look_at_gate(now, gate, 0);
        }
        if self.closed.is_empty() {
            return self.confirm(now, 0);
        }
        let closed = std::mem::take(&mut self.closed);
        let names: Vec<_> = closed.iter().map(|gate| gate.name.as_str()).collect();
        let why = format!("gates are closed: {}", names.join(", "));
        self.stop(now, Event::Stopped { why }, Outcome::GatesClosed(closed))
    }

    fn look_at_gate(&mut self, now: Timestamp, gate: usize, check: usize) -> Option<Effect> {
        let of = self.phase()?.gates.get(gate)?;
        let name = of.name.clone();
        let Some(next) = of.evidence.get(check).cloned() else { return self.judged(now, gate) };
        self.stage = Stage::Gate { gate, check };
        Some(ask_or_probe(name, next, None))
    }

    fn gate_found(
        &mut self,
        now: Timestamp,
        gate: usize,
        check: usize,
        answer: Answer,
    ) -> Option<Effect> {
        if let Some(says) = self.phase()?.gates.get(gate)?.evidence.get(check) {
            let finding = Finding::new(says, answer);
            self.findings.push(finding);
        }
        self.look_at_gate(now, gate, check + 1)
    }

    fn judged(&mut self, now: Timestamp, index: usize) -> Option<Effect> {
        let gate = self.phase()?.gates.get(index)?.clone();
        let evidence = std::mem::take(&mut self.findings);
        let open = evidence.iter().all(|finding| finding.verdict == Verdict::Holds);
        let reason = self.overrides.reason(&gate.name).filter(|_| !open && gate.overridable);
        let (name, overridable, mend) = (gate.name, gate.overridable, gate.mend);
        let Some(reason) = reason.map(str::to_owned) else {
            if !open {
                let evidence = evidence.clone();
                self.closed.push(ClosedGate { name: name.clone(), overridable, evidence, mend });
            }
            let event = Event::GateJudged { gate: name, open, evidence };
            return self.write(now, event, Stage::GateWritten { gate: index });
        };
        let event = Event::GateOverridden { gate: name, reason, evidence };
        self.write(now, event, Stage::GateWritten { gate: index })
    }

    fn fact(&self, check: usize) -> Option<Check> {
        self.phase()?.confirmation.as_ref()?.facts.get(check).cloned()
    }

    fn confirm(&mut self, now: Timestamp, check: usize) -> Option<Effect> {
        let Some(confirmation) = self.phase()?.confirmation.clone() else {
            return self.enter(now);
        };
        if let Some(check_now) = confirmation.facts.get(check).cloned() {
            self.stage = Stage::Facts { check };
            return Some(Effect::Probe { check: check_now, begun: None });
        }
        self.stage = Stage::Confirming;
        Some(Effect::Ask(Question::Confirm {
            phase: self.phase()?.id.clone(),
            statement: confirmation.statement,
            facts: self.findings.clone(),
            word: confirmation.word,
        }))
    }

    /// Nothing is in the way of the phase's steps.
    fn enter(&mut self, now: Timestamp) -> Option<Effect> {
        self.entered = Some(self.phase);
        self.first_look(now)
    }

    fn confirmed(&mut self, now: Timestamp, reply: &Reply) -> Option<Effect> {
        let phase = self.phase()?;
        let (id, word) = (phase.id.clone(), phase.confirmation.as_ref()?.word.as_str());
        if matches!(reply, Reply::Typed(typed) if typed.trim() == word) {
            let event = Event::Confirmed { phase: id, shown: self.findings.clone() };
            return self.write(now, event, Stage::Confirmed);
        }
        self.stop(now, Event::Declined { phase: id.clone() }, Outcome::Declined { phase: id })
    }
}

/// A person or a program is asked, whoever can tell.
pub(super) fn ask_or_probe(of: String, check: Check, begun: Option<Timestamp>) -> Effect {
    if let Probe::Attested { statement } = &check.probe {
        return Effect::Ask(Question::Attest { of, statement: statement.clone() });
    }
    Effect::Probe { check, begun }
}

/// What a person says, as an answer.
pub(super) fn attested(reply: &Reply) -> Answer {
    match reply {
        Reply::Yes => Answer::new(Verdict::Holds, "a person says so"),
        Reply::No | Reply::Typed(_) => Answer::new(Verdict::Fails, "a person says no"),
    }
}
