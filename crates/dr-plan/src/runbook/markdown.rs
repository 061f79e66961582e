//! A plan as Markdown.

use std::fmt::Write as _;

use super::inline::{Part, parts};
use super::{facts, limit, who};
use crate::plan::{Check, Confirmation, Gate, Instruction, Kind, Phase, Plan, Probe, Step};
use crate::topology::Topology;

/// Writes a plan as Markdown.
#[must_use]
pub fn markdown(plan: &Plan, topology: &Topology) -> String {
    let mut text = format!("# {}: {}\n\n", plan.name, prose(&plan.purpose));
    push(&mut text, format!("For {}. Plan {}.\n\n", topology.platform.domain, plan.digest()));
    text += "| | primary | standby |\n|---|---|---|\n";
    for [what, primary, standby] in facts(topology) {
        push(&mut text, format!("| {what} | {} | {} |\n", prose(&primary), prose(&standby)));
    }
    let mut number = 0;
    for phase in &plan.phases {
        add_phase(&mut text, phase, &mut number, topology);
    }
    // What ends with an empty line may stand before what begins with one.
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text
}

fn push(text: &mut String, more: impl AsRef<str>) {
    text.push_str(more.as_ref());
}

fn add_phase(text: &mut String, phase: &Phase, number: &mut u32, topology: &Topology) {
    push(text, format!("\n## {}\n", prose(&phase.title)));
    if !phase.gates.is_empty() {
        push(text, "\nGates, all of which must be open before the first step:\n\n");
        for gate in &phase.gates {
            add_gate(text, gate);
        }
    }
    if let Some(confirmation) = &phase.confirmation {
        add_confirmation(text, confirmation);
    }
    for step in &phase.steps {
        *number += 1;
        add_step(text, step, *number, topology);
    }
}

fn add_gate(text: &mut String, gate: &Gate) {
    let firm = if gate.overridable { "" } else { " Can't be overridden." };
    push(text, format!("- [ ] **{}**. {}{firm}\n", gate.name, prose(&gate.what)));
    for check in &gate.evidence {
        push(text, format!("  - {}\n", claim(check)));
    }
    push(text, format!("  - If it is closed: {}\n", prose(&gate.mend)));
}

fn add_confirmation(text: &mut String, confirmation: &Confirmation) {
    push(text, format!("\n> **Before you go on:** {}\n>\n", prose(&confirmation.statement)));
    for fact in &confirmation.facts {
        push(text, format!("> - Look at {}.\n", claim(fact)));
    }
    push(text, format!("> - To confirm, type `{}`.\n", confirmation.word));
}

fn add_step(text: &mut String, step: &Step, number: u32, topology: &Topology) {
    push(text, format!("\n### {number}. {}\n\n", prose(&step.title)));
    push(text, format!("`{}`, {}, at most {}.\n\n", step.id, who(step), limit(step)));
    push(text, format!("{}\n", prose(&step.what)));
    if !step.before.is_empty() {
        push(text, "\nBefore:\n\n");
        add_checks(text, &step.before);
    }
    if let Kind::Automatic(action) = &step.kind
        && let Some(lines) = action.by_hand(topology)
    {
        push(text, format!("\nBy hand it is:\n\n```sh\n{lines}\n```\n"));
    }
    if let Kind::ByHand(instructions) = &step.kind {
        push(text, "\n");
        for instruction in instructions {
            match instruction {
                Instruction::Do(words) => push(text, format!("- {}\n", prose(words))),
                Instruction::Type(lines) => {
                    push(text, "\n  ```sh\n");
                    for line in lines.lines() {
                        // Writing to a String does not fail.
                        let _ = writeln!(text, "  {line}");
                    }
                    push(text, "  ```\n\n");
                }
            }
        }
    }
    if !step.after.is_empty() {
        push(text, "\nDone when:\n\n");
        add_checks(text, &step.after);
    }
    if let Some(undo) = &step.undo {
        push(text, format!("\nTo undo: {}\n", prose(undo)));
    }
}

fn add_checks(text: &mut String, checks: &[Check]) {
    for check in checks {
        push(text, format!("- [ ] {}\n", claim(check)));
    }
}

/// What is claimed; what a person has to say is quoted.
fn claim(check: &Check) -> String {
    match statement(check) {
        Some(statement) => format!("{}: “{}”", prose(&check.says), prose(statement)),
        None => prose(&check.says),
    }
}

fn statement(check: &Check) -> Option<&str> {
    let Probe::Attested { statement } = &check.probe else { return None };
    Some(statement)
}

/// Words mean themselves; commands stay in backticks.
fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Code(code) => {
                out.push('`');
                out.push_str(code);
                out.push('`');
            }
            Part::Words(words) => {
                for c in words.chars() {
                    if "\\*_<>[]|#`".contains(c) {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
    }
    out
}
