//! A world that plans are run in: probes look at it, actions change it, time passes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dr_plan::journal::{Event, Journal, Progress};
use dr_plan::plan::{Check, Kind, Plan, Probe};
use dr_plan::runner::{Acted, Effect, Input, Outcome, Overrides, Question, Reply, Runner};
use dr_plan::{Answer, Digest, Timestamp, Verdict};

/// What goes wrong, told by whoever makes the world.
pub(crate) trait Fate {
    /// Whether a probe can't tell.
    fn blind(&mut self) -> bool {
        false
    }
    /// How long what an action brings about takes.
    fn delay(&mut self) -> Duration {
        Duration::from_secs(5)
    }
    /// What becomes of an action, and whether it has an effect.
    fn act(&mut self) -> (Acted, bool) {
        (Acted::Accepted, true)
    }
    /// The same, for one step.
    fn act_on(&mut self, _step: &str) -> (Acted, bool) {
        self.act()
    }
    /// What a person says who is shown a step that is to be done by hand.
    fn by_hand(&mut self) -> Reply {
        Reply::Yes
    }
    /// Whether the process dies at the effect that is next, and how.
    fn death(&mut self) -> Option<Death> {
        None
    }
}

/// Nothing goes wrong.
pub(crate) struct Well;
impl Fate for Well {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before it is performed.
    Before,
    /// A line of the journal is written in part.
    Within,
    /// It is performed, and nobody hears of it.
    After,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    /// From when on a probe holds, and when that was brought about.
    truth: BTreeMap<String, (u64, u64)>,
    /// What some step brings about.
    brought_by: BTreeSet<String>,
    /// What comes about by itself, once somebody looks.
    watched: BTreeSet<String>,
    pub(crate) disk: Vec<u8>,
    /// What the journal said when the process was started.
    before: Vec<Event>,
    /// Actions that had an effect, by step.
    pub(crate) acted: BTreeMap<String, u32>,
    pub(crate) asked: Vec<Question>,
    /// For each effect that was performed, whether it was a line of the journal.
    pub(crate) effects: Vec<bool>,
}

fn word(probe: &Probe) -> String {
    serde_json::to_string(probe).unwrap()
}

/// Whether a probe asks for something that is newer than the step.
fn wants_new(probe: &Probe) -> bool {
    matches!(
        probe,
        Probe::PodsRestarted { .. } | Probe::ControllersRestarted { .. } | Probe::CheckedSinceBegun
    )
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let (mut brought_by, mut watched) = (BTreeSet::new(), BTreeSet::new());
        let mut truth = BTreeMap::new();
        for phase in &plan.phases {
            for check in phase.gates.iter().flat_map(|gate| &gate.evidence) {
                // What a gate asks for and no step before it brings about is so from the start.
                if !brought_by.contains(&word(&check.probe)) {
                    truth.insert(word(&check.probe), (0, 0));
                }
            }
            for step in &phase.steps {
                for check in &step.after {
                    brought_by.insert(word(&check.probe));
                    if matches!(step.kind, Kind::Watched) {
                        watched.insert(word(&check.probe));
                    }
                }
            }
        }
        Self {
            plan,
            now: 1_000_000,
            truth,
            brought_by,
            watched,
            disk: Vec::new(),
            before: Vec::new(),
            acted: BTreeMap::new(),
            asked: Vec::new(),
            effects: Vec::new(),
        }
    }

    pub(crate) fn deny(&mut self, probe: &Probe) {
        self.truth.insert(word(probe), (u64::MAX, 0));
    }

    pub(crate) fn allow(&mut self, probe: &Probe) {
        self.truth.insert(word(probe), (0, 0));
    }

    pub(crate) fn entries(&self) -> Vec<dr_plan::journal::Entry> {
        Journal::verify(&self.disk).unwrap().entries
    }

    fn answer(&mut self, check: &Check, begun: Option<Timestamp>, fate: &mut impl Fate) -> Answer {
        if fate.blind() {
            return Answer::new(Verdict::Unknown, "no answer");
        }
        let word = word(&check.probe);
        if self.watched.contains(&word) && !self.truth.contains_key(&word) {
            let from = self.now + u64::try_from(fate.delay().as_millis()).unwrap();
            self.truth.insert(word.clone(), (from, self.now));
        }
        let verdict = match self.truth.get(&word) {
            None if self.brought_by.contains(&word) => Verdict::Fails,
            None => Verdict::Holds,
            Some((_, made))
                if wants_new(&check.probe) && begun.is_none_or(|at| *made < at.ms()) =>
            {
                Verdict::Fails
            }
            Some((u64::MAX, _)) => Verdict::Fails,
            Some((from, _)) if *from > self.now => Verdict::Pending,
            Some(_) => Verdict::Holds,
        };
        Answer::new(verdict, "seen")
    }

    fn bring_about(&mut self, step: &str, delay: Duration) {
        let step = self.plan.steps().find(|of| of.id == step).unwrap().clone();
        let from = self.now + u64::try_from(delay.as_millis()).unwrap();
        for check in &step.after {
            let known =
                self.truth.get(&word(&check.probe)).is_some_and(|(from, _)| *from < self.now);
            if !known || wants_new(&check.probe) {
                self.truth.insert(word(&check.probe), (from, self.now));
            }
        }
    }

    fn act(&mut self, step: &str, fate: &mut impl Fate) -> Acted {
        // Written down before it is done, and not written down as done.
        let progress = Progress::from(&self.entries()).unwrap();
        assert!(progress.was_begun(step), "{step} is done before it is on the disk");
        let next = progress.next(&self.plan).unwrap();
        assert_eq!(next.id, step, "steps are done in their order");
        let (acted, has_effect) = fate.act_on(step);
        if has_effect {
            let count = self.acted.entry(step.to_owned()).or_default();
            *count += 1;
            assert_eq!(*count, 1, "{step} is done twice");
            self.bring_about(step, fate.delay());
        }
        acted
    }

    fn reply(&mut self, question: &Question, fate: &mut impl Fate) -> Reply {
        self.asked.push(question.clone());
        match question {
            Question::Attest { .. } => Reply::Yes,
            Question::Confirm { word, .. } => Reply::Typed(word.clone()),
            Question::ByHand { step, begun, .. } => {
                let mut before = self.before.iter();
                let begun_before =
                    before.any(|event| matches!(event, Event::Begun { step: of } if of == step));
                assert_eq!(begun.is_some(), begun_before, "{step}: begun {begun:?}");
                let reply = fate.by_hand();
                if reply == Reply::Yes {
                    self.bring_about(step, fate.delay());
                }
                reply
            }
        }
    }

    /// When a step was begun for the first time since the plan was opened.
    fn begun(&self, step: &str) -> Option<Timestamp> {
        let entries = self.entries();
        let opened = entries.iter().rposition(|entry| matches!(entry.event, Event::Opened(_)))?;
        let mut since = entries.iter().skip(opened);
        let first =
            since.find(|entry| matches!(&entry.event, Event::Begun { step: of } if of == step));
        first.map(|entry| entry.at)
    }

    /// Runs one process until it ends or dies.
    pub(crate) fn process(
        &mut self,
        overrides: Overrides,
        fate: &mut impl Fate,
    ) -> Option<Outcome> {
        let read = Journal::verify(&self.disk).unwrap();
        self.disk.truncate(read.whole_bytes);
        self.before = read.entries.iter().map(|entry| entry.event.clone()).collect();
        let mut journal = read.journal;
        let progress = Progress::from(&read.entries);
        let topology = Digest::of(b"the pair");
        let mut runner = Runner::new(self.plan.clone(), &topology, overrides, progress).unwrap();
        let mut input = Input::Start;
        loop {
            self.now += 100;
            let effect = runner.handle(Timestamp::from_ms(self.now), input);
            if let Effect::Finished(outcome) = effect {
                return Some(outcome);
            }
            self.effects.push(matches!(effect, Effect::Journal(_)));
            let death = fate.death();
            if death == Some(Death::Before) {
                return None;
            }
            input = match effect {
                Effect::Journal(event) => {
                    let line = journal.append(Timestamp::from_ms(self.now), event);
                    let torn = death == Some(Death::Within);
                    let written = if torn { line.len() / 2 } else { line.len() };
                    self.disk.extend_from_slice(&line.as_bytes()[..written]);
                    Input::Journaled
                }
                Effect::Probe { check, begun } => Input::Answered(self.answer(&check, begun, fate)),
                Effect::Act { step, begun, .. } => {
                    assert_eq!(Some(begun), self.begun(&step), "{step}");
                    Input::Acted(self.act(&step, fate))
                }
                Effect::Ask(question) => Input::Replied(self.reply(&question, fate)),
                Effect::Wait(duration) => {
                    self.now += u64::try_from(duration.as_millis()).unwrap();
                    Input::Woke
                }
                Effect::Finished(outcome) => return Some(outcome),
            };
            if death.is_some() {
                return None;
            }
        }
    }

    /// Everything that a completed run must have left behind.
    pub(crate) fn assert_complete(&self) {
        let progress = Progress::from(&self.entries()).unwrap();
        assert!(progress.ended());
        assert!(progress.next(&self.plan).is_none());
        let steps: BTreeSet<_> = self.plan.steps().map(|step| &step.id).collect();
        for step in self.acted.keys() {
            assert!(steps.contains(step));
        }
    }
}
