//! The result, as it was asked for.

use mirror_config::{Exit, Failure, output};
use monitor_api::{CheckReport, CheckVerdict};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::options::Options;
use crate::values::Format;

/// Writes the report to stdout.
pub(crate) fn report(
    report: &CheckReport,
    basis: &Basis,
    options: &Options,
) -> Result<(), Failure> {
    if let Basis::Heads { why } = basis {
        output::warn(&format!(
            "{why}: compared what both sides hold now. What was on its way between them would \
             differ, so each key that differed was looked at again before it is named."
        ));
    }
    written(report, options.named_max, options.format)
}

/// Writes a report as it was asked for, with at most `limit` keys of each kind as text.
pub(crate) fn written(report: &CheckReport, limit: usize, format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => output::result(&report.text(limit)),
        Format::Json => output::json(report),
        Format::Ndjson => output::result(&lines(report)?),
    }
}

/// How the process ends with this report.
pub(crate) fn exit(report: &CheckReport) -> Exit {
    match report.verdict() {
        CheckVerdict::InSync => Exit::Done,
        CheckVerdict::Drift => Exit::Differs,
        CheckVerdict::Inconclusive => Exit::Undecided,
    }
}

/// One line per key that differs, then one with the rest of the report.
fn lines(report: &CheckReport) -> Result<String, Failure> {
    let unable = |error| Failure::undecided(format!("the result can't be written: {error}"));
    let mut whole = serde_json::to_value(report).map_err(unable)?;
    let differences = match whole.get_mut("differences").map(Value::take) {
        Some(Value::Array(differences)) => differences,
        _ => Vec::new(),
    };
    let mut text = String::new();
    for mut difference in differences {
        if let Some(object) = difference.as_object_mut() {
            object.insert("type".to_owned(), json!("difference"));
        }
        text.push_str(&format!("{difference}\n"));
    }
    if let Some(object) = whole.as_object_mut() {
        object.remove("differences");
        object.insert("type".to_owned(), json!("report"));
    }
    text.push_str(&format!("{whole}\n"));
    Ok(text)
}
