//! `etcd-dr preflight`: what would go wrong if the pair of the topology were mirrored.

use std::fmt::Write as _;

use mirror_config::{Exit, Failure, output};
use mirror_preflight::{Outcome, PreflightError, PreflightReport, Verdict};

use crate::cli::Form;
use crate::files;
use crate::flags::PreflightFlags;
use crate::interrupt::until_interrupted;
use crate::run::{Pair, Place};

/// Reads both sides and says what stands against mirroring them.
pub(crate) fn preflight(flags: &PreflightFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let topology = files::topology(&flags.topology)?;
    let place = Place::beside(&flags.topology.file, None);
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let report = until_interrupted(async {
        pair.etcds().preflight_report().await.map_err(|error| match error {
            PreflightError::SameCluster(_) => Failure::refused(error),
            PreflightError::Primary(ref failure) | PreflightError::Standby(ref failure) => {
                Failure::unanswered(failure, &error)
            }
        })
    })?;
    match form {
        Form::Json => output::json(&report)?,
        Form::Text | Form::Markdown | Form::Html => output::result(&as_text(&report))?,
    }
    Ok(match report.verdict {
        Verdict::Ready | Verdict::Warnings => Exit::Done,
        Verdict::Refused => Exit::Differs,
    })
}

fn as_text(report: &PreflightReport) -> String {
    let mut text = format!("{}: {}\n", report.verdict.as_str(), report.reason);
    // Writing to a String does not fail.
    for gate in &report.gates {
        let word = match gate.outcome {
            Outcome::Passed => "ok",
            Outcome::Found => gate.severity.as_str(),
            Outcome::Allowed => "allowed",
            Outcome::Unknown => "unknown",
        };
        let _ = writeln!(text, "{word:<7} {:<19} {}", gate.name, gate.reason);
        for finding in &gate.shown {
            let _ = writeln!(text, "          {}\t{}", finding.key, finding.detail);
        }
    }
    for step in &report.next_steps {
        let _ = writeln!(text, "next: {step}");
    }
    text
}
