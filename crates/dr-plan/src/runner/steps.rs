//! One step: look, begin, do, look again.

use std::time::Duration;

use crate::finding::{Answer, Finding, Verdict};
use crate::journal::{Event, StepState};
use crate::plan::{Check, Kind, Probe, Step};
use crate::runner::gates::{ask_or_probe, attested};
use crate::runner::words::{Acted, Effect, Input, Outcome, Question, Reply};
use crate::runner::{Runner, Stage};
use crate::time::Timestamp;

/// How long to wait before one looks again: short against what one waits for, long against the
/// cost of looking.
const PAUSE: Duration = Duration::from_secs(2);

impl Runner {
    pub(super) fn at_step(&mut self, now: Timestamp, stage: Stage, input: Input) -> Option<Effect> {
        match (stage, input) {
            (Stage::FirstLook { check, since, unsettled, fails }, Input::Answered(answer)) => {
                let unsettled =
                    unsettled || matches!(answer.verdict, Verdict::Pending | Verdict::Unknown);
                let fails = fails || answer.verdict == Verdict::Fails;
                self.found(check, answer);
                self.look(now, Stage::FirstLook { check: check + 1, since, unsettled, fails })
            }
            (Stage::FirstWait { since }, Input::Woke) => self.first_look_since(now, since),
            (Stage::Before { check }, Input::Answered(answer)) => {
                self.before_found(now, check, answer)
            }
            (Stage::Before { check }, Input::Replied(reply)) => {
                self.before_found(now, check, attested(&reply))
            }
            (Stage::Begun { earlier }, Input::Journaled) => self.act(now, earlier),
            (Stage::Acting, Input::Acted(acted)) => {
                let last_try = match acted {
                    Acted::Accepted | Acted::Unknown(_) => None,
                    Acted::Refused(why) => Some(Failed { why, undecided: false, refused: true }),
                    Acted::Undecided(why) => Some(Failed { why, undecided: true, refused: true }),
                };
                self.settle(now, now, last_try)
            }
            (Stage::Acting, Input::Replied(reply)) => self.done_by_hand(now, &reply),
            (Stage::Settling { check, since, last_try }, Input::Answered(answer)) => {
                self.settling(now, check, since, last_try, answer)
            }
            (Stage::SettleWait { since }, Input::Woke) => self.settle(now, since, None),
            (stage, _) => self.unmoved(stage),
        }
    }

    fn current(&self) -> Option<&Step> {
        self.phase()?.steps.get(self.step)
    }

    /// When the step was begun for the first time.
    fn begun(&self) -> Option<Timestamp> {
        match self.state(&self.current()?.id)? {
            StepState::Begun(at) => Some(at),
            StepState::Done => None,
        }
    }

    /// The `after` checks that a program can answer.
    fn seen(&self) -> impl Iterator<Item = &Check> {
        let after = self.current().map(|step| step.after.as_slice()).unwrap_or_default();
        after.iter().filter(|check| !check.probe.asks_a_person())
    }

    fn seen_at(&self, check: usize) -> Option<Check> {
        self.seen().nth(check).cloned()
    }

    fn found(&mut self, check: usize, answer: Answer) {
        if let Some(check) = self.seen_at(check) {
            let finding = Finding::new(&check, answer);
            self.findings.push(finding);
        }
    }

    /// Does the step's `after` hold already? Asked of every step: of one that was begun before,
    /// because it may be done; of a new one, because somebody else may have done it.
    pub(super) fn first_look(&mut self, now: Timestamp) -> Option<Effect> {
        self.first_look_since(now, now)
    }

    fn first_look_since(&mut self, now: Timestamp, since: Timestamp) -> Option<Effect> {
        self.findings.clear();
        self.look(now, Stage::FirstLook { check: 0, since, unsettled: false, fails: false })
    }

    fn look(&mut self, now: Timestamp, stage: Stage) -> Option<Effect> {
        let Stage::FirstLook { check, since, unsettled, fails } = stage else {
            return self.unmoved(stage);
        };
        let begun = self.begun();
        if let Some(next) = self.seen_at(check) {
            self.stage = Stage::FirstLook { check, since, unsettled, fails };
            return Some(Effect::Probe { check: next, begun });
        }
        let step = self.current()?.clone();
        // What only a person can see is seen once the person has been asked to do it.
        let all_seen = !step.after.is_empty() && self.seen().count() == step.after.len();
        if all_seen && !unsettled && !fails {
            let evidence = std::mem::take(&mut self.findings);
            let step = step.id;
            let event = match begun {
                Some(_) => Event::Done { step, evidence },
                None => Event::Skipped { step, evidence },
            };
            return self.write(now, event, Stage::Written);
        }
        if unsettled && matches!(step.kind, Kind::Automatic(_)) {
            // It may be done, or on its way. Doing it now could be doing it twice.
            if now.since(since) >= step.time_limit() {
                let open = self.findings.iter().find(|finding| finding.verdict != Verdict::Holds);
                let open = open.map_or_else(String::new, |Finding { says, verdict, evidence }| {
                    format!(": {says}: {}: {evidence}", verdict.as_str())
                });
                let why = format!("whether it is done already could not be told{open}");
                return self.fail(now, Failed { why, undecided: true, refused: false });
            }
            self.stage = Stage::FirstWait { since };
            return Some(Effect::Wait(PAUSE));
        }
        self.findings.clear();
        self.before(now, 0)
    }

    fn before(&mut self, now: Timestamp, check: usize) -> Option<Effect> {
        let step = self.current()?;
        let (id, begun) = (step.id.clone(), self.begun());
        let Some(next) = step.before.get(check).cloned() else {
            return self.write(now, Event::Begun { step: id }, Stage::Begun { earlier: begun });
        };
        self.stage = Stage::Before { check };
        Some(ask_or_probe(id, next, begun))
    }

    fn before_found(&mut self, now: Timestamp, check: usize, answer: Answer) -> Option<Effect> {
        if answer.verdict == Verdict::Holds {
            return self.before(now, check + 1);
        }
        let says = self.current()?.before.get(check)?.says.clone();
        let Answer { verdict, evidence } = answer;
        let why = format!("before it: {says}: {}: {evidence}", verdict.as_str());
        self.fail(now, Failed { why, undecided: verdict == Verdict::Unknown, refused: false })
    }

    fn act(&mut self, now: Timestamp, earlier: Option<Timestamp>) -> Option<Effect> {
        let step = self.current()?.clone();
        match step.kind {
            Kind::Automatic(action) => {
                self.stage = Stage::Acting;
                let begun = self.begun().unwrap_or(now);
                Some(Effect::Act { step: step.id, action, begun })
            }
            Kind::ByHand(instructions) => {
                self.stage = Stage::Acting;
                let attests = step.after.iter().filter_map(|check| statement(&check.probe));
                let attests = attests.collect();
                let step = step.id;
                Some(Effect::Ask(Question::ByHand { step, instructions, attests, begun: earlier }))
            }
            Kind::Watched => self.settle(now, now, None),
        }
    }

    fn done_by_hand(&mut self, now: Timestamp, reply: &Reply) -> Option<Effect> {
        match reply {
            Reply::Yes => self.settle(now, now, None),
            Reply::No | Reply::Typed(_) => {
                let why = "a person stopped here".to_owned();
                self.fail(now, Failed { why, undecided: false, refused: false })
            }
        }
    }

    /// Looks whether the step is done by now.
    fn settle(
        &mut self,
        now: Timestamp,
        since: Timestamp,
        last_try: Option<Failed>,
    ) -> Option<Effect> {
        self.findings.clear();
        self.settle_at(now, 0, since, last_try)
    }

    fn settle_at(
        &mut self,
        now: Timestamp,
        check: usize,
        since: Timestamp,
        last_try: Option<Failed>,
    ) -> Option<Effect> {
        let begun = self.begun();
        if let Some(next) = self.seen_at(check) {
            self.stage = Stage::Settling { check, since, last_try };
            return Some(Effect::Probe { check: next, begun });
        }
        let step = self.current()?.clone();
        let mut evidence = std::mem::take(&mut self.findings);
        let said = step.after.iter().filter(|check| check.probe.asks_a_person());
        evidence.extend(said.map(|check| Finding::new(check, attested(&Reply::Yes))));
        self.write(now, Event::Done { step: step.id, evidence }, Stage::Written)
    }

    fn settling(
        &mut self,
        now: Timestamp,
        check: usize,
        since: Timestamp,
        last_try: Option<Failed>,
        answer: Answer,
    ) -> Option<Effect> {
        if answer.verdict == Verdict::Holds {
            self.found(check, answer);
            return self.settle_at(now, check + 1, since, last_try);
        }
        let limit = self.current()?.time_limit();
        if let Some(failed) = last_try {
            return self.fail(now, failed);
        }
        if now.since(since) >= limit {
            let says = self.seen_at(check).map(|check| check.says).unwrap_or_default();
            let (verdict, evidence) = (answer.verdict.as_str(), &answer.evidence);
            let waited = limit.as_secs();
            let why = format!("after {waited} s: {says}: {verdict}: {evidence}");
            let undecided = answer.verdict == Verdict::Unknown;
            return self.fail(now, Failed { why, undecided, refused: false });
        }
        self.stage = Stage::SettleWait { since };
        Some(Effect::Wait(PAUSE))
    }

    fn fail(&mut self, now: Timestamp, failed: Failed) -> Option<Effect> {
        let Failed { why, undecided, refused } = failed;
        let step = self.current()?.id.clone();
        let outcome = Outcome::StepFailed { step: step.clone(), why: why.clone(), undecided };
        self.stop(now, Event::Failed { step, why, refused }, outcome)
    }
}

/// How a step failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    why: String,
    /// Nobody could tell.
    undecided: bool,
    /// Its action has moved nothing.
    refused: bool,
}

fn statement(probe: &Probe) -> Option<String> {
    let Probe::Attested { statement } = probe else { return None };
    Some(statement.clone())
}
