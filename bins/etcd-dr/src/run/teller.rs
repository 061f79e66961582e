//! Progress, on stderr.

use std::collections::HashMap;
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
    /// What did not hold since the last event, by what it says.
    unmet: HashMap<String, Unmet>,
}

/// An answer, when it was said.
#[derive(Debug)]
struct Unmet {
    answer: Answer,
    said_at: Instant,
}

impl Unmet {
    fn is_news(&self, answer: &Answer, now: Instant) -> bool {
        let moves_on = self.answer.verdict == answer.verdict
            && same_but_for_numbers(&self.answer.evidence, &answer.evidence);
        self.answer != *answer && (!moves_on || now.duration_since(self.said_at) >= PATIENCE)
    }
}

impl Teller {
    pub(super) fn new(plan: &Plan) -> Self {
        let titles = plan.steps().map(|step| (step.id.clone(), step.title.clone()));
        Self { titles: titles.collect(), last: String::new(), unmet: HashMap::new() }
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
            Event::Failed { step, why, .. } => format!("step {step}: failed: {why}"),
            Event::Stopped { why } => format!("stopped: {why}"),
            Event::Completed => "all is done".to_owned(),
            Event::Abandoned { reason } => format!("abandoned: {reason}"),
            // None of a run.
            Event::Drilled(drill) => format!("drilled: {}", drill.plan),
        };
        self.unmet.clear();
        self.once(line);
    }

    /// What holds is said in one word with its gate or step; what does not, is told.
    pub(super) fn answered(&mut self, check: &Check, answer: &Answer) {
        if let Some(line) = self.news(check, answer, Instant::now()) {
            self.once(line);
        }
    }

    /// Returns what is to be said of an answer, if anything is.
    fn news(&mut self, check: &Check, answer: &Answer, now: Instant) -> Option<String> {
        let Check { says, .. } = check;
        if answer.verdict == Verdict::Holds {
            self.unmet.remove(says);
            return None;
        }
        if self.unmet.get(says).is_some_and(|said| !said.is_news(answer, now)) {
            return None;
        }
        self.unmet.insert(says.clone(), Unmet { answer: answer.clone(), said_at: now });
        Some(format!("  {says}: {}: {}", answer.verdict.as_str(), answer.evidence))
    }

    pub(super) fn acted(&mut self, acted: &Acted) {
        match acted {
            Acted::Accepted => {}
            Acted::Refused(why) => self.once(format!("  refused: {why}")),
            Acted::Undecided(why) => self.once(format!("  it could not be decided: {why}")),
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

#[cfg(test)]
mod tests {
    use dr_plan::plan::Probe;

    use super::*;

    #[test]
    fn what_does_not_hold_is_said_once_in_a_while_each_thing_by_itself() {
        let mut teller = Teller { titles: vec![], last: String::new(), unmet: HashMap::new() };
        let begin = Instant::now();
        let mut said = |seconds, says: &str, verdict, evidence: &str| {
            let check = Check { says: says.to_owned(), probe: Probe::LossKnown };
            let now = begin + Duration::from_secs(seconds);
            teller.news(&check, &Answer::new(verdict, evidence), now).is_some()
        };
        let (fails, pending) = (Verdict::Fails, Verdict::Pending);
        assert!(said(0, "port 80 answers", fails, "refused"));
        assert!(said(0, "port 443 answers", fails, "refused"), "another port is another thing");
        assert!(said(1, "port 443 answers", pending, "refused"), "another verdict is news");
        assert!(said(2, "it follows", fails, "17 keys to go"));
        assert!(!said(4, "port 443 answers", pending, "refused"));
        assert!(!said(4, "it follows", fails, "9 keys to go"));
        assert!(!said(31, "it follows", fails, "8 keys to go"));
        assert!(said(32, "it follows", fails, "8 keys to go"), "it moves");
        assert!(!said(99, "it follows", fails, "8 keys to go"), "it stands still");
        assert!(said(99, "it follows", fails, "blocked"));
        assert!(!said(99, "it follows", Verdict::Holds, "it does"));
        assert!(said(99, "it follows", fails, "blocked"), "it held meanwhile");
    }
}
