//! A report as text, JSON, Markdown and HTML: one content, four forms.

use std::fmt::Write as _;

use super::{Drilled, Report, Rpo, Rto};
use crate::finding::Verdict;
use crate::journal::{GateLook, StepLook};
use crate::runbook::{escaped, page};

/// A part of a report.
struct Section {
    title: &'static str,
    /// What it comes to.
    sentence: String,
    rows: Vec<[String; 2]>,
}

impl Report {
    /// Writes it for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.title());
        for section in self.sections() {
            // Writing to a String does not fail.
            let _ = write!(out, "\n{}\n  {}\n", section.title, section.sentence);
            let width = section.rows.iter().map(|[label, _]| label.chars().count()).max();
            for [label, value] in section.rows {
                let _ = writeln!(out, "  {label:width$}  {value}", width = width.unwrap_or(0));
            }
        }
        out
    }

    /// Writes it as JSON, on several lines.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts, numbers and lists: writing them does not fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes it as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", self.title());
        for section in self.sections() {
            let _ = write!(out, "\n## {}\n\n{}\n", section.title, section.sentence);
            if !section.rows.is_empty() {
                out += "\n| | |\n|---|---|\n";
            }
            for [label, value] in section.rows {
                let value = value.replace('\\', "\\\\").replace('|', "\\|").replace('<', "\\<");
                let _ = writeln!(out, "| {label} | {value} |");
            }
        }
        out
    }

    /// Writes it as one HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut body = format!("<h1>{}</h1>\n", escaped(&self.title()));
        for section in self.sections() {
            let _ =
                writeln!(body, "<h2>{}</h2>\n<p>{}</p>", section.title, escaped(&section.sentence));
            if section.rows.is_empty() {
                continue;
            }
            body += "<table>\n";
            for [label, value] in section.rows {
                let (label, value) = (escaped(&label), escaped(&value));
                let _ = writeln!(body, "<tr><th>{label}</th><td>{value}</td></tr>");
            }
            body += "</table>\n";
        }
        page(&self.title(), &body)
    }

    fn title(&self) -> String {
        let Self { platform, primary, standby, at_ms, .. } = self;
        format!("Disaster recovery of {platform}, from {primary} to {standby}, at {at_ms}")
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = vec![
            self.rpo.as_ref().map_or_else(
                || nothing("Data loss (RPO)", "Nothing is known: there are no samples."),
                |rpo| self.loss(rpo),
            ),
            self.rto.as_ref().map_or_else(
                || nothing("Time to recover (RTO)", "Nothing is known: no change of roles yet."),
                |rto| self.recovery(rto),
            ),
            self.drill
                .as_ref()
                .map_or_else(|| nothing("Last drill", "No plan was ever drilled."), drill),
            nothing(
                "Last exact check",
                &self.last_exact_check_ms.map_or_else(
                    || "No plan has made one.".to_owned(),
                    |at| format!("Both sides were equal, key by key, at {at}."),
                ),
            ),
        ];
        if !self.overrides.is_empty() {
            let rows = self.overrides.iter();
            let rows =
                rows.map(|of| [format!("{} {}", of.at_ms, of.gate), of.reason.clone()]).collect();
            let sentence = "Somebody went past these gates although they were closed.".to_owned();
            sections.push(Section { title: "Overrides", sentence, rows });
        }
        sections
    }

    fn loss(&self, rpo: &Rpo) -> Section {
        let objective = self.objectives.rpo_seconds;
        let sentence = format!(
            "Had you failed over at any moment since {} at which somebody looked, the worst loss \
             was {}, {} revisions, at {}.",
            rpo.since_ms,
            words(rpo.worst.lag_ms),
            rpo.worst.revisions,
            rpo.worst.at_ms
        );
        let row = |label: &str, value: String| [label.to_owned(), value];
        let rows = vec![
            row("objective", words(objective.saturating_mul(1000))),
            row("half of the time at most", words(rpo.p50_ms)),
            row("99 % of the time at most", words(rpo.p99_ms)),
            row("over the objective", words(rpo.over_objective_seconds.saturating_mul(1000))),
            row("known", words(rpo.known_seconds.saturating_mul(1000))),
            row("unknown", words(rpo.unknown_seconds.saturating_mul(1000))),
            row("longest without a look", words(rpo.longest_gap_seconds.saturating_mul(1000))),
        ];
        Section { title: "Data loss (RPO)", sentence, rows }
    }

    fn recovery(&self, rto: &Rto) -> Section {
        let objective = self.objectives.rto_seconds.saturating_mul(1000);
        let kept = if rto.total_ms <= objective { "within" } else { "over" };
        let sentence = format!(
            "The {} begun at {} took {}, {kept} the objective of {}.",
            rto.plan,
            rto.opened_ms,
            words(rto.total_ms),
            words(objective)
        );
        let mut rows: Vec<_> =
            rto.steps.iter().map(|step| [step.step.clone(), words(step.took_ms)]).collect();
        rows.push(["gates, questions, stops".to_owned(), words(rto.between_ms)]);
        Section { title: "Time to recover (RTO)", sentence, rows }
    }
}

fn drill(Drilled { at_ms, found }: &Drilled) -> Section {
    let gates = |wanted| found.gates.iter().filter(|gate| gate.verdict == wanted).count();
    let sentence = format!(
        "The {} drill at {at_ms} looked at everything in {} and did nothing. It found {} of {} \
         gates open, {} closed, and {} of which a program can't tell.",
        found.plan,
        words(found.took_ms),
        gates(Verdict::Holds),
        found.gates.len(),
        gates(Verdict::Fails),
        gates(Verdict::Unknown),
    );
    let row = |label: String, verdict: &str, took_ms| {
        [label, format!("{verdict}looked at in {}", words(took_ms))]
    };
    let of_gates = found.gates.iter().map(|GateLook { gate, verdict, took_ms }| {
        row(format!("gate {gate}"), &format!("{}, ", verdict.as_str()), *took_ms)
    });
    let of_steps = found
        .steps
        .iter()
        .map(|StepLook { step, took_ms }| row(format!("step {step}"), "", *took_ms));
    Section { title: "Last drill", sentence, rows: of_gates.chain(of_steps).collect() }
}

fn nothing(title: &'static str, sentence: &str) -> Section {
    Section { title, sentence: sentence.to_owned(), rows: Vec::new() }
}

/// A length of time in words, by its two largest units.
fn words(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
