//! Runs that only look: `--dry-run` says what a plan would do now, `drill` how well it would go.

mod found;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use dr_plan::Timestamp;
use dr_plan::journal::Event;
use dr_plan::plan::{Check, Plan, PlanName};
use dr_plan::report::rpo;
use dr_plan::runner::{Overrides, Rehearsal};
use dr_plan::samples::Samples;
use mirror_config::{Exit, Failure, output};
use serde_json::json;

use crate::cli::Form;
use crate::files;
use crate::flags::{DrillFlags, RunFlags};
use crate::interrupt::until_interrupted;
use crate::run::{JournalFile, Pair, Place, Prepared, StartAt, as_given};
use found::Found;

/// Says what a run would do. The journal is read and not locked; nothing is written anywhere.
pub(crate) fn dry_run(name: PlanName, flags: &RunFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let place = Place::new(flags);
    let entries = JournalFile::look(&place.journal)?;
    let Prepared { topology, plan, overrides, runner, from, .. } =
        Prepared::new(name, flags, &entries)?;
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let progress = runner.progress().cloned();
    let rehearsal = until_interrupted(async { Ok(look(&pair, &plan).await) })?;
    let found = Found { plan, progress, overrides, from, rehearsal };
    match form {
        Form::Json => output::json(&found.as_json(&as_given(|arg| arg != "--dry-run"), None))?,
        Form::Text | Form::Markdown | Form::Html => output::result(&found.as_text())?,
    }
    Ok(found.exit())
}

/// Looks at everything that a plan asks, and at the lag meanwhile. No cluster is touched; what was
/// found out is written into the journal, once it is shown.
pub(crate) fn drill(flags: &DrillFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let topology = files::topology(&flags.topology)?;
    let name = PlanName::parse(&flags.plan).unwrap_or(PlanName::Switchover);
    let plan = Plan::new(name, &topology);
    let place = Place::beside(&flags.topology.file, flags.journal.as_deref());
    // A journal that was changed is told before it is waited for.
    JournalFile::look(&place.journal)?;
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let (rehearsal, samples) = until_interrupted(async {
        Ok(tokio::join!(look(&pair, &plan), sample(&pair, flags.seconds)))
    })?;
    let (overrides, from) = (Overrides::default(), StartAt::default());
    let found = Found { plan, progress: None, overrides, from, rehearsal };
    if let Some(file) = &flags.samples {
        files::add_samples(file, &samples)?;
    }
    let objective = topology.objectives.rpo_seconds;
    let lag = rpo(&samples, objective);
    match form {
        Form::Json => {
            output::json(&found.as_json(&flags.in_earnest(), Some(json!(lag))))?;
        }
        Form::Text | Form::Markdown | Form::Html => {
            let mut text = found.as_text();
            // Writing to a String does not fail.
            let _ = match &lag {
                Some(lag) => writeln!(
                    text,
                    "lag: half of {} s below {} ms, worst {} ms; objective {objective} s",
                    lag.known_seconds, lag.p50_ms, lag.worst.lag_ms
                ),
                None => writeln!(text, "lag: unknown: the mirror did not say"),
            };
            output::result(&text)?;
        }
    }
    let drill = found.rehearsal.summary(&found.plan, &topology.digest());
    if let Err(failure) = write(&place, Event::Drilled(drill)) {
        // What was found out is no less true.
        output::warn(&format!("the report will not know of this drill: {}", failure.message));
    }
    Ok(found.exit())
}

/// Adds a line to the journal. A run has it for as long as it lasts; a drill, for that line.
fn write(place: &Place, event: Event) -> Result<(), Failure> {
    let (mut journal, _) = JournalFile::open(&place.journal)?;
    journal.append(Timestamp::from(SystemTime::now()), event)
}

async fn look(pair: &Pair, plan: &Plan) -> Rehearsal {
    let mut rehearsal = Rehearsal::new(plan);
    while let Some(Check { probe, .. }) = rehearsal.next_probe() {
        let began = Instant::now();
        let answer = pair.probe(&probe, None).await;
        rehearsal.answer(answer, began.elapsed());
    }
    rehearsal
}

/// Looks at the lag once a second.
async fn sample(pair: &Pair, seconds: u64) -> Samples {
    let mut samples = Samples::default();
    for second in 0..seconds {
        if second > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let at = Timestamp::from(SystemTime::now());
        samples.add(pair.etcds().sample(at).await);
    }
    samples
}
