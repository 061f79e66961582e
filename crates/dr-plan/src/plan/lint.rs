//! What no plan may be.

use std::collections::BTreeSet;

use super::probe::Probe;
use super::step::{Kind, Step};
use super::{Check, Plan};

/// A rule that a plan breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// Returns every rule that a plan breaks; none, if it may be run.
///
/// Names are unique and made for command lines. What a program does is verified by a program, so
/// that after a crash nobody has to remember. Every gate has evidence, and says what opens it.
#[must_use]
pub fn lint(plan: &Plan) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let phases = plan.phases.iter().map(|phase| ("phase", &phase.id));
    let steps = plan.steps().map(|step| ("step", &step.id));
    let gates = plan.gates().map(|gate| ("gate", &gate.name));
    for (kind, name) in phases.chain(steps).chain(gates) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(fits) {
            faults.push(Fault(format!("{kind} {name:?} is no name")));
        }
        // A phase may be called like a step; a step and a gate are named in one breath.
        if kind != "phase" && !names.insert(name) {
            faults.push(Fault(format!("{kind} {name} is there twice")));
        }
    }
    for phase in &plan.phases {
        if phase.steps.is_empty() {
            faults.push(Fault(format!("phase {} has no step", phase.id)));
        }
        if phase.confirmation.as_ref().is_some_and(|confirmation| confirmation.word.is_empty()) {
            faults.push(Fault(format!("phase {} is confirmed by nothing", phase.id)));
        }
    }
    faults.extend(
        plan.gates()
            .filter(|gate| gate.evidence.is_empty())
            .map(|gate| Fault(format!("gate {} has no evidence", gate.name))),
    );
    faults.extend(
        plan.gates()
            .filter(|gate| gate.mend.is_empty())
            .map(|gate| Fault(format!("gate {} does not say what opens it", gate.name))),
    );
    faults.extend(plan.steps().flat_map(of_step));
    faults
}

fn of_step(step: &Step) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |text: &str| faults.push(Fault(format!("step {} {text}", step.id)));
    let seen_by_program = step.after.iter().any(|check| !check.probe.asks_a_person());
    match &step.kind {
        Kind::Automatic(_) if !seen_by_program => fault("is verified by nothing"),
        Kind::Watched if !seen_by_program => fault("waits for nothing"),
        Kind::ByHand(instructions) if instructions.is_empty() => fault("says nothing to do"),
        Kind::Automatic(_) | Kind::Watched | Kind::ByHand(_) => {}
    }
    if !matches!(step.kind, Kind::ByHand(_)) && step.after.iter().any(asks) {
        fault("is verified by a person, who does not do it");
    }
    if step.seconds_max == 0 {
        fault("has no time");
    }
    if step.what.is_empty() || step.title.is_empty() {
        fault("does not say what it is");
    }
    faults
}

fn asks(check: &Check) -> bool {
    matches!(check.probe, Probe::Attested { .. })
}
