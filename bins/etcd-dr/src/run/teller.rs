//! Progress, on stderr.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use dr_plan::journal::Event;
use dr_plan::plan::{Check, Plan};
use dr_plan::runner::Acted;
use dr_plan::{Answer, Verdict};

/// What is waited for, and differs in a number alone from what was said, is said again after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells what happens; the same thing once.
#[derive(Debug)]
pub(super) struct Teller {
    titles: Vec<(String, String)>,
    last: String,
    said_at: Instant,
}

impl Teller {
    pub(super) fn new(plan: &Plan) -> Self {
        let titles = plan.steps().map(|step| (step.id.clone(), step.title.clone()));
        Self { titles: titles.collect(), last: String::new(), said_at: Instant::now() }
    }

    pub(super) fn happened(&mut self, event: &Event) {
        let line = match event {
            Event::Opened(opening) => format!("begin: {}", opening.plan),
            Event::Resumed => "go on where the journal ends".to_owned(),
            Event::GateJudged { gate, open, .. } => {
                format!("gate {gate}: {}", if *open { "open" } else { "closed" })
            }
            Event::GateOverridden { gate, reason, .. } => {
                format!("gate {gate}: closed, and overridden: {reason}")
            }
            Event::Confirmed { phase, .. } => format!("phase {phase}: confirmed"),
            Event::Declined { phase } => format!("phase {phase}: not confirmed"),
            Event::Begun { step } => format!("step {step}: {}", self.title(step)),
            Event::Done { step, .. } => format!("step {step}: done"),
            Event::Skipped { step, .. } => format!("step {step}: was done already"),
            Event::Failed { step, why } => format!("step {step}: failed: {why}"),
            Event::Stopped { why } => format!("stopped: {why}"),
            Event::Completed => "all is done".to_owned(),
            Event::Abandoned { reason } => format!("abandoned: {reason}"),
        };
        self.once(line);
    }

    /// What holds is said in one word with its gate or step; what does not, is told.
    pub(super) fn answered(&mut self, check: &Check, answer: &Answer) {
        if answer.verdict != Verdict::Holds {
            let (says, verdict) = (&check.says, answer.verdict.as_str());
            let line = format!("  {says}: {verdict}: {}", answer.evidence);
            if !same_but_for_numbers(&line, &self.last) || self.said_at.elapsed() >= PATIENCE {
                self.once(line);
            }
        }
    }

    pub(super) fn acted(&mut self, acted: &Acted) {
        match acted {
            Acted::Accepted => {}
            Acted::Refused(why) => self.once(format!("  refused: {why}")),
            Acted::Unknown(why) => self.once(format!("  it may have been done: {why}")),
        }
    }

    fn title(&self, step: &str) -> &str {
        let found = self.titles.iter().find(|(id, _)| id == step);
        found.map_or("", |(_, title)| title.as_str())
    }

    fn once(&mut self, line: String) {
        if line != self.last {
            say(&line);
            self.last = line;
            self.said_at = Instant::now();
        }
    }
}

fn same_but_for_numbers(a: &str, b: &str) -> bool {
    let no_digit = |c: &char| !c.is_ascii_digit();
    a.chars().filter(no_digit).eq(b.chars().filter(no_digit))
}

/// Writes one line to stderr. Where that is closed there is nobody to tell.
pub(super) fn say(line: &str) {
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let _ = writeln!(io::stderr(), "{line}");
}
