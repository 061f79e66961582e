//! Runs that only look: `--dry-run` says what a plan would do now, `drill` how well it would go.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use dr_plan::journal::{Progress, StepState};
use dr_plan::plan::{Check, Gate, Kind, Phase, Plan, PlanName, Step};
use dr_plan::report::rpo;
use dr_plan::runner::{Overrides, Rehearsal, Rehearsed};
use dr_plan::samples::Samples;
use dr_plan::{Finding, Timestamp, Verdict};
use mirror_config::{Exit, Failure, output};
use serde_json::{Value, json};

use crate::cli::Form;
use crate::files;
use crate::flags::{DrillFlags, RunFlags};
use crate::interrupt::until_interrupted;
use crate::run::{JournalFile, Pair, Place, Prepared, as_given};

/// What was found out, and how long that took.
struct Found {
    plan: Plan,
    progress: Option<Progress>,
    overrides: Overrides,
    rehearsed: Vec<(Rehearsed, Finding)>,
    /// How long each look took.
    looks: Vec<(Rehearsed, Duration)>,
    took: Duration,
}

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

/// Looks at everything that a plan asks, and at the lag meanwhile. Nothing is touched.
pub(crate) fn drill(flags: &DrillFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let topology = files::topology(&flags.topology)?;
    let name = PlanName::parse(&flags.plan).unwrap_or(PlanName::Switchover);
    let plan = Plan::new(name, &topology);
    let place = Place::beside(&flags.topology.file, None);
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
    Ok(found.exit())
}

async fn look(pair: &Pair, plan: Plan, progress: Option<Progress>, overrides: Overrides) -> Found {
    let began = Instant::now();
    let mut rehearsal = Rehearsal::new(&plan);
    let mut looks = Vec::new();
    while let Some(Check { probe, .. }) = rehearsal.next_probe() {
        let looked = Instant::now();
        rehearsal.answer(pair.probe(&probe, None).await);
        looks.extend(rehearsal.found().last().map(|(of, _)| (of.clone(), looked.elapsed())));
    }
    let rehearsed = rehearsal.found().to_vec();
    Found { plan, progress, overrides, rehearsed, looks, took: began.elapsed() }
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

impl Found {
    /// What belongs to one gate or step.
    fn of(&self, what: &Rehearsed) -> impl Iterator<Item = &Finding> {
        self.rehearsed.iter().filter(move |(of, _)| of == what).map(|(_, finding)| finding)
    }

    /// How long it took to look at these, in milliseconds.
    fn took_ms(&self, of: &[Rehearsed]) -> u64 {
        let looks = self.looks.iter().filter(|(looked_at, _)| of.contains(looked_at));
        ms(looks.map(|(_, took)| *took).sum())
    }

    /// What is looked at for a step.
    fn of_step(step: &Step) -> [Rehearsed; 2] {
        [Rehearsed::Before(step.id.clone()), Rehearsed::After(step.id.clone())]
    }

    fn is_done(&self, step: &str) -> bool {
        self.progress.as_ref().and_then(|progress| progress.of(step)) == Some(StepState::Done)
    }

    /// What a run would do with a step.
    fn prospect(&self, step: &Step) -> &'static str {
        if self.is_done(&step.id) {
            return "done, by the journal";
        }
        let of = Rehearsed::After(step.id.clone());
        let mut after = self.of(&of).peekable();
        if after.peek().is_some() && after.all(|finding| finding.verdict == Verdict::Holds) {
            return "would be skipped: it is done already";
        }
        match step.kind {
            Kind::Automatic(_) => "would be done",
            Kind::ByHand(_) => "would be asked of a person",
            Kind::Watched => "would be waited for",
        }
    }

    /// Gates of the phase that is next, and how each stands; what only a person can tell is not
    /// counted, nor what is overridden. Gates of later phases wait for what comes before them, and
    /// those of a phase that has begun to move the world are behind it.
    fn next_gates(&self) -> Vec<(&str, Verdict)> {
        let next = self
            .plan
            .phases
            .iter()
            .find(|phase| phase.steps.iter().any(|step| !self.is_done(&step.id)));
        let moved = |phase: &&Phase| {
            self.progress.as_ref().is_some_and(|progress| progress.has_moved(phase))
        };
        let next = next.filter(|phase| !moved(phase));
        let gates = next.map(|phase| phase.gates.as_slice()).unwrap_or_default();
        let counts = |gate: &&Gate| self.overrides.reason(&gate.name).is_none();
        let stands = |gate: &Gate| {
            let of = Rehearsed::Gate(gate.name.clone());
            let asked = gate.evidence.iter().map(|check| check.probe.asks_a_person());
            let seen = self.of(&of).zip(asked).filter(|(_, person)| !person);
            let verdicts: Vec<Verdict> = seen.map(|(finding, _)| finding.verdict).collect();
            if verdicts.contains(&Verdict::Fails) {
                Verdict::Fails
            } else if verdicts.iter().all(|verdict| *verdict == Verdict::Holds) {
                Verdict::Holds
            } else {
                Verdict::Unknown
            }
        };
        gates.iter().filter(counts).map(|gate| (gate.name.as_str(), stands(gate))).collect()
    }

    fn exit(&self) -> Exit {
        let gates = self.next_gates();
        let any = |wanted| gates.iter().any(|(_, verdict)| *verdict == wanted);
        if any(Verdict::Fails) {
            Exit::Differs
        } else if any(Verdict::Unknown) {
            Exit::Undecided
        } else {
            Exit::Done
        }
    }

    fn reason(&self) -> String {
        let gates = self.next_gates();
        let closed = gates.iter().filter(|(_, verdict)| *verdict != Verdict::Holds);
        let closed: Vec<&str> = closed.map(|(name, _)| *name).collect();
        if closed.is_empty() {
            return "every gate of what is next is open, or overridden, as far as a program can tell".to_owned();
        }
        format!("gates of what is next are closed: {}", closed.join(", "))
    }

    fn as_text(&self) -> String {
        let mut text = format!("{}: nothing was done\n", self.plan.name);
        // Writing to a String does not fail.
        for phase in &self.plan.phases {
            let _ = writeln!(text, "\nphase {}: {}", phase.id, phase.title);
            for gate in &phase.gates {
                let of = Rehearsed::Gate(gate.name.clone());
                let took = self.took_ms(std::slice::from_ref(&of));
                let _ = writeln!(text, "  gate {} ({took} ms)", gate.name);
                self.write_findings(&mut text, &of);
            }
            self.write_findings(&mut text, &Rehearsed::Fact(phase.id.clone()));
            for step in &phase.steps {
                let of = Self::of_step(step);
                let took = self.took_ms(&of);
                let _ = writeln!(text, "  step {}: {} ({took} ms)", step.id, self.prospect(step));
                of.iter().for_each(|of| self.write_findings(&mut text, of));
            }
        }
        let _ = writeln!(text, "\n{}", self.reason());
        let _ = writeln!(text, "looking took {} ms", self.took.as_millis());
        text
    }

    fn write_findings(&self, text: &mut String, of: &Rehearsed) {
        for Finding { says, verdict, evidence } in self.of(of) {
            let _ = writeln!(text, "    {}: {says}: {evidence}", verdict.as_str());
        }
    }

    /// As JSON; `next` is the command that would do it.
    fn as_json(&self, next: &str, lag: Option<Value>) -> Value {
        let findings = |of: Rehearsed| self.of(&of).cloned().collect::<Vec<_>>();
        let gates: Vec<Value> = self
            .plan
            .gates()
            .map(|gate| {
                let of = Rehearsed::Gate(gate.name.clone());
                let took = self.took_ms(std::slice::from_ref(&of));
                json!({
                    "gate": gate.name,
                    "overridable": gate.overridable,
                    "evidence": findings(of),
                    "took_ms": took,
                })
            })
            .collect();
        let steps: Vec<Value> = self
            .plan
            .steps()
            .map(|step| {
                json!({
                    "step": step.id,
                    "prospect": self.prospect(step),
                    "before": findings(Rehearsed::Before(step.id.clone())),
                    "after": findings(Rehearsed::After(step.id.clone())),
                    "took_ms": self.took_ms(&Self::of_step(step)),
                })
            })
            .collect();
        let verdict = match self.exit() {
            Exit::Done => "ready",
            Exit::Differs => "gates-closed",
            Exit::Usage | Exit::Undecided | Exit::Refused | Exit::Interrupted => "undecided",
        };
        json!({
            "verdict": verdict,
            "reason": self.reason(),
            "next_steps": [next],
            "plan": self.plan.name.to_string(),
            "gates": gates,
            "steps": steps,
            "lag": lag,
            "took_ms": ms(self.took),
        })
    }
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
