//! How a run ended, as text, as JSON and as an exit code.

use std::fmt::Write as _;

use dr_plan::Verdict;
use dr_plan::plan::Plan;
use dr_plan::runner::{ClosedGate, Outcome};
use mirror_config::{Exit, Failure, output};
use serde_json::{Value, json};

use crate::cli::Form;
use crate::run::JournalFile;

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The plan's own end.
    By(Outcome),
    /// It goes no further without a person.
    Stopped {
        /// Why, and what to do.
        why: String,
    },
}

impl Ended {
    /// The word for it in JSON.
    const fn word(&self) -> &'static str {
        match self {
            Self::By(Outcome::Completed) => "completed",
            Self::By(Outcome::GatesClosed(_)) => "gates-closed",
            Self::By(Outcome::Declined { .. }) => "declined",
            Self::By(Outcome::StepFailed { .. }) => "step-failed",
            Self::By(Outcome::NotStarted) => "not-started",
            Self::Stopped { .. } => "stopped",
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::By(Outcome::Completed) => "all is done".to_owned(),
            Self::By(Outcome::GatesClosed(gates)) => {
                let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
                format!("gates are closed: {}", names.join(", "))
            }
            Self::By(Outcome::Declined { phase }) => format!("phase {phase} was not confirmed"),
            Self::By(Outcome::StepFailed { step, why, .. }) => format!("step {step}: {why}"),
            Self::By(Outcome::NotStarted) => "nothing was begun".to_owned(),
            Self::Stopped { why } => why.clone(),
        }
    }

    /// A gate or a step of which nobody can tell is not one that is not met.
    fn exit(&self) -> Exit {
        match self {
            Self::By(Outcome::Completed) => Exit::Done,
            Self::By(Outcome::GatesClosed(gates)) if !gates.iter().any(fails) => Exit::Undecided,
            Self::By(Outcome::StepFailed { undecided: true, .. }) => Exit::Undecided,
            Self::By(_) | Self::Stopped { .. } => Exit::Differs,
        }
    }

    fn next_steps(&self, resume: &str) -> Vec<String> {
        if self.is_complete() {
            return Vec::new();
        }
        let mut next = Vec::new();
        if let Self::By(Outcome::GatesClosed(gates)) = self {
            for ClosedGate { name, overridable, mend, .. } in gates {
                let pass = format!(" Or pass it with a reason: --override {name} --reason …");
                let pass = if *overridable { pass.as_str() } else { "" };
                next.push(format!("gate {name}: {mend}{pass}"));
            }
        }
        next.push(match self {
            // What it said may be to call it otherwise.
            Self::Stopped { .. } => format!("go on, with what was said above: {resume}"),
            Self::By(_) => format!("then go on: {resume}"),
        });
        next
    }
}

fn fails(gate: &ClosedGate) -> bool {
    gate.evidence.iter().any(|finding| finding.verdict == Verdict::Fails)
}

/// Prints how the run ended, and returns the exit code.
pub(super) fn show(
    ended: &Ended,
    plan: &Plan,
    journal: &JournalFile,
    resume: &str,
    form: Form,
) -> Result<Exit, Failure> {
    if form == Form::Json {
        output::json(&as_json(ended, plan, journal, resume))?;
    } else {
        output::result(&as_text(ended, plan, journal, resume))?;
    }
    Ok(ended.exit())
}

fn as_json(ended: &Ended, plan: &Plan, journal: &JournalFile, resume: &str) -> Value {
    let gates = match ended {
        Ended::By(Outcome::GatesClosed(gates)) => gates.as_slice(),
        Ended::By(_) | Ended::Stopped { .. } => &[],
    };
    let gates: Vec<Value> = gates
        .iter()
        .map(|gate| {
            let ClosedGate { name, overridable, evidence, mend } = gate;
            json!({ "gate": name, "overridable": overridable, "evidence": evidence, "mend": mend })
        })
        .collect();
    let step = match ended {
        Ended::By(Outcome::StepFailed { step, .. }) => Some(step),
        Ended::By(_) | Ended::Stopped { .. } => None,
    };
    json!({
        "verdict": ended.word(),
        "reason": ended.reason(),
        "next_steps": ended.next_steps(resume),
        "plan": plan.name.to_string(),
        "closed_gates": gates,
        "failed_step": step,
        "journal": journal.path().display().to_string(),
        "journal_hash": journal.last_hash(),
    })
}

fn as_text(ended: &Ended, plan: &Plan, journal: &JournalFile, resume: &str) -> String {
    let mut text = format!("{} {}: {}\n", plan.name, ended.word(), ended.reason());
    // Writing to a String does not fail.
    if let Ended::By(Outcome::GatesClosed(gates)) = ended {
        for gate in gates {
            let firm = if gate.overridable { "" } else { " (can't be overridden)" };
            let _ = writeln!(text, "gate {}{firm}", gate.name);
            for finding in &gate.evidence {
                let verdict = finding.verdict.as_str();
                let _ = writeln!(text, "  {}: {verdict}: {}", finding.says, finding.evidence);
            }
        }
    }
    for step in ended.next_steps(resume) {
        let _ = writeln!(text, "next: {step}");
    }
    let _ = writeln!(text, "journal: {} {}", journal.path().display(), journal.last_hash());
    text
}
