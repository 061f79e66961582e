//! Runs that only look: `--dry-run` says what a plan would do now, `drill` how well it would go.

mod found;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use dr_plan::Timestamp;
use dr_plan::journal::{Event, Progress};
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
use crate::run::{JournalFile, Pair, Place, Prepared, as_given};
use found::Found;

/// Says what a run would do. The journal is read and not locked; nothing is written anywhere.
pub(crate) fn dry_run(name: PlanName, flags: &RunFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let place = Place::new(flags);
    let entries = JournalFile::look(&place.journal)?;
    let Prepared { topology, plan, overrides, runner, .. } = Prepared::new(name, flags, &entries)?;
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let progress = runner.progress().cloned();
    let found = until_interrupted(async { Ok(look(&pair, plan, progress, overrides).await) })?;
    match form {
        Form::Json => output::json(&found.as_json(&as_given(|arg| arg != "--dry-run"), None))?,
        Form::Text | Form::Markdown | Form::Html => output::result(&found.as_text())?,
    }
    Ok(found.exit())
}

/// Looks at everything that a plan asks, and at the lag meanwhile. Nothing is touched; what was found
/// out is written into the journal, once it is shown.
pub(crate) fn drill(flags: &DrillFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let topology = files::topology(&flags.topology)?;
    let name = PlanName::parse(&flags.plan).unwrap_or(PlanName::Switchover);
    let plan = Plan::new(name, &topology);
    let place = Place::beside(&flags.topology.file, flags.journal.as_deref());
    // What can't be written is told before it is waited for. Held it is not: a real run comes first.
    drop(JournalFile::open(&place.journal)?);
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let (found, samples) = until_interrupted(async {
        let sampled = sample(&pair, flags.seconds);
        Ok(tokio::join!(look(&pair, plan, None, Overrides::default()), sampled))
    })?;
    if let Some(file) = &flags.samples {
        files::add_samples(file, &samples)?;
    }
    let objective = topology.objectives.rpo_seconds;
    let lag = rpo(&samples, objective);
    match form {
        Form::Json => {
            let next = flags.topology.command(&[name.as_str()]);
            output::json(&found.as_json(&next, Some(json!(lag))))?;
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
    // In between a run may have begun: then it has the journal.
    let (mut journal, _) = JournalFile::open(&place.journal)?;
    let now = Timestamp::from(SystemTime::now());
    journal.append(now, Event::Drilled(found.drill(&topology.digest())))?;
    Ok(found.exit())
}

async fn look(pair: &Pair, plan: Plan, progress: Option<Progress>, overrides: Overrides) -> Found {
    let mut rehearsal = Rehearsal::new(&plan);
    while let Some(Check { probe, .. }) = rehearsal.next_probe() {
        let began = Instant::now();
        let answer = pair.probe(&probe, None).await;
        rehearsal.answer(answer, began.elapsed());
    }
    Found { plan, progress, overrides, rehearsal }
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
