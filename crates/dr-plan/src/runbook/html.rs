//! A plan as one HTML page that needs nothing else.

use super::inline::{Part, parts};
use super::{facts, limit, who};
use crate::plan::{
    Check, Confirmation, Gate, Instruction, Kind, Phase, Plan, PlanName, Probe, Step,
};
use crate::topology::Topology;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --accent: #0a6; --warn: #c60; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; overflow-wrap: anywhere; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); }
code, pre { font: 14px/1.5 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
section.step { border-left: 3px solid var(--line); padding-left: 1rem; margin: 2rem 0; }
section.hand { border-color: var(--accent); } .quiet { color: var(--quiet); }
ul.checks { list-style: none; padding-left: 0; } aside { border: 2px solid var(--warn);
  border-radius: 6px; padding: .2rem 1rem; margin: 1rem 0; }
@media print { body { max-width: none; } section.step { break-inside: avoid; } }
";

/// Writes plans as one HTML page, with a list of them if there are several.
#[must_use]
pub fn html(plans: &[Plan], topology: &Topology) -> String {
    let mut body = String::new();
    if plans.len() > 1 {
        let items = plans.iter().map(|plan| {
            let Plan { name, purpose, .. } = plan;
            format!("<li><a href=\"#{name}\">{name}</a>: {}</li>\n", prose(purpose))
        });
        body += &format!("<ul>\n{}</ul>\n", items.collect::<String>());
    }
    for plan in plans {
        body += &plan_html(plan, topology);
    }
    let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
    page(&format!("{} of {}", names.join(", "), topology.platform.domain), &body)
}

fn plan_html(plan: &Plan, topology: &Topology) -> String {
    let name = plan.name;
    let mut body = format!("<h1 id=\"{name}\">{name}</h1>\n<p>{}</p>\n", prose(&plan.purpose));
    body += &format!(
        "<p class=\"quiet\">For {}. Plan <code>{}</code>.</p>\n",
        escaped(&topology.platform.domain),
        plan.digest()
    );
    body += "<table><tr><th></th><th>primary</th><th>standby</th></tr>\n";
    for [what, primary, standby] in facts(topology) {
        let (primary, standby) = (escaped(&primary), escaped(&standby));
        body += &format!("<tr><th>{what}</th><td>{primary}</td><td>{standby}</td></tr>\n");
    }
    body += "</table>\n";
    let mut number = 0;
    for phase in &plan.phases {
        body += &phase_html(name, phase, &mut number, topology);
    }
    body
}

/// A page around a body.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

fn phase_html(plan: PlanName, phase: &Phase, number: &mut u32, topology: &Topology) -> String {
    let mut out = format!("<h2>{}</h2>\n", prose(&phase.title));
    if !phase.gates.is_empty() {
        out += "<p>Gates, all of which must be open before the first step:</p>\n";
        out += "<ul class=\"checks\">\n";
        out.extend(phase.gates.iter().map(|gate| gate_html(plan, gate)));
        out += "</ul>\n";
    }
    out.extend(phase.confirmation.as_ref().map(confirmation_html));
    for step in &phase.steps {
        *number += 1;
        out += &step_html(plan, step, *number, topology);
    }
    out
}

fn gate_html(plan: PlanName, gate: &Gate) -> String {
    let firm = if gate.overridable { "" } else { " Can't be overridden." };
    let evidence: String =
        gate.evidence.iter().map(|check| format!("<br>{}", claim(check))).collect();
    format!(
        "<li id=\"{plan}-{name}\"><label><input type=\"checkbox\"> <strong>{name}</strong></label>. \
         {}{firm}{evidence}<br>If it is closed: {}</li>\n",
        prose(&gate.what),
        prose(&gate.mend),
        name = gate.name,
    )
}

fn confirmation_html(confirmation: &Confirmation) -> String {
    let facts: String = confirmation
        .facts
        .iter()
        .map(|fact| format!("<li>Look at {}.</li>\n", claim(fact)))
        .collect();
    format!(
        "<aside><p><strong>Before you go on:</strong> {}</p>\n<ul>\n{facts}\
         <li>To confirm, type <code>{}</code>.</li>\n</ul></aside>\n",
        prose(&confirmation.statement),
        escaped(&confirmation.word)
    )
}

fn step_html(plan: PlanName, step: &Step, number: u32, topology: &Topology) -> String {
    let by_hand = matches!(step.kind, Kind::ByHand(_));
    let class = if by_hand { "step hand" } else { "step" };
    let mut out = format!(
        "<section class=\"{class}\" id=\"{plan}-{id}\">\n<h3>{number}. {}</h3>\n\
         <p class=\"quiet\"><code>{id}</code>, {}, at most {}</p>\n<p>{}</p>\n",
        prose(&step.title),
        who(step),
        limit(step),
        prose(&step.what),
        id = step.id,
    );
    out += &checks("Before:", &step.before);
    if let Kind::Automatic(action) = &step.kind
        && let Some(lines) = action.by_hand(topology)
    {
        let lines = escaped(&lines);
        out += &format!("<details><summary>By hand</summary><pre>{lines}</pre></details>\n");
    }
    if let Kind::ByHand(instructions) = &step.kind {
        for instruction in instructions {
            out += &match instruction {
                Instruction::Do(words) => format!("<p>→ {}</p>\n", prose(words)),
                Instruction::Type(lines) => format!("<pre>{}</pre>\n", escaped(lines)),
            };
        }
    }
    out += &checks("Done when:", &step.after);
    if let Some(undo) = &step.undo {
        out += &format!("<p class=\"quiet\">To undo: {}</p>\n", prose(undo));
    }
    out + "</section>\n"
}

fn checks(title: &str, checks: &[Check]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let items: String = checks
        .iter()
        .map(|check| {
            let claim = claim(check);
            format!("<li><label><input type=\"checkbox\"> {claim}</label></li>\n")
        })
        .collect();
    format!("<p>{title}</p>\n<ul class=\"checks\">\n{items}</ul>\n")
}

/// What is claimed; what a person has to say is quoted.
fn claim(check: &Check) -> String {
    let says = prose(&check.says);
    let Probe::Attested { statement } = &check.probe else { return says };
    format!("{says}: “{}”", prose(statement))
}

fn prose(text: &str) -> String {
    parts(text)
        .into_iter()
        .map(|part| match part {
            Part::Words(words) => escaped(words),
            Part::Code(code) => format!("<code>{}</code>", escaped(code)),
        })
        .collect()
}

/// Text that means itself in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
