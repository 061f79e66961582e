//! Gives a plan up that was begun.

use std::time::SystemTime;

use dr_plan::Timestamp;
use dr_plan::journal::{Event, Progress};
use mirror_config::{Exit, Failure, output};
use serde_json::json;

use crate::cli::Form;
use crate::flags::AbandonFlags;
use crate::run::{JournalFile, Place};

/// Writes down that a plan is given up, and why. Nothing of what it did is undone.
pub(crate) fn abandon(flags: &AbandonFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let reason = flags.reason.trim();
    if reason.is_empty() {
        return Err(Failure::usage("--reason: write why; it is kept"));
    }
    let place = Place::beside(&flags.topology.file, flags.journal.as_deref());
    let (mut journal, entries) = JournalFile::open(&place.journal)?;
    let Some(progress) = Progress::from(&entries).filter(|progress| !progress.ended()) else {
        return Err(Failure::refused("the journal is in the middle of no plan"));
    };
    let now = Timestamp::from(SystemTime::now());
    journal.append(now, Event::Abandoned { reason: reason.to_owned() })?;
    let plan = progress.opening.plan;
    let told = format!("{plan}, begun at {}, is abandoned; nothing was undone", progress.opened);
    match form {
        Form::Json => output::json(&json!({
            "verdict": "abandoned", "reason": told, "next_steps": [], "plan": plan.to_string(),
        }))?,
        Form::Text | Form::Markdown | Form::Html => output::result(&format!("{told}\n"))?,
    }
    Ok(Exit::Done)
}
