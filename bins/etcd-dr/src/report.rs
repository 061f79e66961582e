//! What the pair was worth.

use std::time::SystemTime;

use dr_plan::Timestamp;
use dr_plan::journal::Journal;
use dr_plan::report::Report;
use dr_plan::samples::Samples;
use mirror_config::{Exit, Failure, output};

use crate::cli::Form;
use crate::files;
use crate::flags::ReportFlags;
use crate::run::Place;

/// Prints a report.
pub(crate) fn report(flags: &ReportFlags, form: Form) -> Result<Exit, Failure> {
    let topology = files::topology(&flags.topology)?;
    let journal = Place::beside(&flags.topology.file, flags.journal.as_deref()).journal;
    // Who names a journal means one that is there; before the first plan there is none.
    let entries = if flags.journal.is_some() || journal.exists() {
        let bytes = files::record("--journal", &journal)?;
        let read = Journal::verify(&bytes)
            .map_err(|damage| Failure::undecided(format!("{}: {damage}", journal.display())))?;
        read.entries
    } else {
        Vec::new()
    };
    let mut samples = Samples::default();
    if let Some(file) = &flags.samples {
        let text = String::from_utf8(files::record("--samples", file)?).map_err(|_| {
            Failure::undecided(format!("{}: the samples are no text", file.display()))
        })?;
        samples = Samples::decode(&text)
            .map_err(|bad| Failure::undecided(format!("{}: {bad}", file.display())))?;
    }
    let now = Timestamp::from(SystemTime::now());
    let report = Report::new(now, &topology, &entries, &samples);
    output::done(&match form {
        Form::Text => report.text(),
        Form::Json => report.json(),
        Form::Markdown => report.markdown(),
        Form::Html => report.html(),
    })
}
