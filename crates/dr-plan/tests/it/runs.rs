//! Plans are run to their end in a world that kills whoever runs them.

use std::time::Duration;

use dr_plan::journal::{Event, Progress};
use dr_plan::plan::{Kind, Plan, PlanName, Probe};
use dr_plan::runner::{
    Acted, Effect, Input, Outcome, Overrides, Question, Refusal, Rehearsal, Reply, Runner,
};
use dr_plan::{Answer, Digest, Timestamp, Verdict};
use proptest::prelude::*;

use crate::topology::pair;
use crate::world::{Death, Fate, Well, World};

fn plan(name: PlanName) -> Plan {
    Plan::new(name, &pair())
}

fn automatic(plan: &Plan) -> usize {
    plan.steps().filter(|step| matches!(step.kind, Kind::Automatic(_))).count()
}

/// Dies once, at one effect.
struct Once {
    at: usize,
    how: Death,
}

impl Fate for Once {
    fn death(&mut self) -> Option<Death> {
        self.at = self.at.checked_sub(1)?;
        (self.at == 0).then_some(self.how)
    }
}

#[test]
fn every_plan_runs_to_its_end_and_does_each_action_once() {
    for name in PlanName::ALL {
        let mut world = World::new(plan(name));
        assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
        world.assert_complete();
        let skipped = world
            .entries()
            .iter()
            .filter(|entry| {
                let Event::Skipped { step, .. } = &entry.event else { return false };
                let step = world.plan.steps().find(|of| of.id == *step).unwrap();
                matches!(step.kind, Kind::Automatic(_))
            })
            .count();
        assert_eq!(world.acted.len() + skipped, automatic(&world.plan), "{name}");
    }
}

#[test]
fn what_an_earlier_plan_has_begun_does_not_count() {
    let mut world = World::new(plan(PlanName::Enable));
    for _ in 0..2 {
        world.acted.clear();
        assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
        // Pods are to be new each time; that it is done with the step's own moment, the world sees.
        assert_eq!(world.acted["restart-elasticsearch"], 1);
    }
}

#[test]
fn killed_anywhere_a_plan_goes_on_and_does_nothing_twice() {
    for name in PlanName::ALL {
        let mut undisturbed = World::new(plan(name));
        undisturbed.process(Overrides::default(), &mut Well);
        let deaths = undisturbed.effects.iter().zip(1..).flat_map(|(journal, at)| {
            // To die before an effect is to die after the one that was before it.
            let within = journal.then_some((at, Death::Within));
            [Some((at, Death::After)), within].into_iter().flatten()
        });
        for (at, how) in [(1, Death::Before)].into_iter().chain(deaths) {
            let mut world = World::new(undisturbed.plan.clone());
            let died = world.process(Overrides::default(), &mut Once { at, how });
            assert_eq!(died, None, "{name} at {at}");
            // If the last line says that all is done, whoever starts again means to.
            if !Progress::from(&world.entries()).is_some_and(|progress| progress.ended()) {
                let done = world.process(Overrides::default(), &mut Well);
                assert_eq!(done, Some(Outcome::Completed), "{name} at {at} {how:?}");
            }
            world.assert_complete();
            assert_eq!(world.acted, undisturbed.acted, "{name} at {at} {how:?}");
        }
    }
}

/// Everything goes wrong, as drawn.
struct Drawn {
    draws: Vec<u8>,
    next: usize,
}

impl Drawn {
    fn draw(&mut self) -> u8 {
        let draw = self.draws[self.next % self.draws.len()];
        self.next += 1;
        // The same few draws mean something else each time.
        draw.wrapping_add(u8::try_from(self.next / self.draws.len() % 251).unwrap())
    }
}

impl Fate for Drawn {
    fn blind(&mut self) -> bool {
        self.draw() < 12
    }
    fn delay(&mut self) -> Duration {
        Duration::from_secs(u64::from(self.draw()))
    }
    fn act(&mut self) -> (Acted, bool) {
        match self.draw() {
            0..=20 => (Acted::Refused("refused".to_owned()), false),
            21..=40 => (Acted::Unknown("the answer was lost".to_owned()), true),
            _ => (Acted::Accepted, true),
        }
    }
    fn death(&mut self) -> Option<Death> {
        match self.draw() {
            0..=3 => Some(Death::Before),
            4..=6 => Some(Death::Within),
            7..=10 => Some(Death::After),
            _ => None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The world itself asserts that nothing is done twice, out of order, or before it is on the
    /// disk; here is asserted that one gets to the end all the same.
    #[test]
    fn whatever_goes_wrong_a_plan_gets_to_its_end(
        name in 0..PlanName::ALL.len(),
        draws in prop::collection::vec(any::<u8>(), 40..400),
    ) {
        let mut world = World::new(plan(PlanName::ALL[name]));
        let mut fate = Drawn { draws, next: 0 };
        for _ in 0..40 {
            world.process(Overrides::default(), &mut fate);
            if Progress::from(&world.entries()).is_some_and(|progress| progress.ended()) {
                break;
            }
        }
        // Then the world calms down, and what is on its way arrives.
        world.now += 3_600_000;
        let progress = Progress::from(&world.entries());
        if !progress.is_some_and(|progress| progress.ended()) {
            let outcome = world.process(Overrides::default(), &mut Well);
            prop_assert_eq!(outcome, Some(Outcome::Completed));
        }
        world.assert_complete();
    }
}

/// The probe of a gate.
fn gate_probe(plan: &Plan, name: &str) -> Probe {
    plan.gates().find(|gate| gate.name == name).unwrap().evidence[0].probe.clone()
}

fn overriding(plan: &Plan, name: &str, reason: &str) -> Result<Overrides, Refusal> {
    Overrides::new(plan, [(name.to_owned(), reason.to_owned())])
}

#[test]
fn all_closed_gates_are_told_at_once_and_nothing_is_done() {
    let plan = plan(PlanName::Switchover);
    let mut world = World::new(plan.clone());
    for gate in ["lag", "headroom"] {
        world.deny(&gate_probe(&plan, gate));
    }
    let Some(Outcome::GatesClosed(closed)) = world.process(Overrides::default(), &mut Well) else {
        panic!("gates are closed");
    };
    let names: Vec<_> = closed.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["lag", "headroom"]);
    assert!(world.acted.is_empty());

    // The world is mended; the same journal goes on.
    for gate in ["lag", "headroom"] {
        world.allow(&gate_probe(&plan, gate));
    }
    assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
}

/// A person is shown what to do by hand, and says no.
struct Unwilling;

impl Fate for Unwilling {
    fn by_hand(&mut self) -> Reply {
        Reply::No
    }
}

/// To be shown a step is not to have begun: tomorrow the gates are asked again, and somebody.
#[test]
fn who_stops_at_a_step_by_hand_comes_to_the_same_gates_again() {
    for (name, step, gate) in [
        (PlanName::Switchover, "log-template", "lag"),
        (PlanName::Failover, "isolate-primary", "primary-gone"),
    ] {
        let plan = plan(name);
        let mut world = World::new(plan.clone());
        let stopped = world.process(Overrides::default(), &mut Unwilling);
        let Some(Outcome::StepFailed { step: at, .. }) = stopped else { panic!("{stopped:?}") };
        assert_eq!(at, step);

        world.deny(&gate_probe(&plan, gate));
        let stopped = world.process(Overrides::default(), &mut Well);
        let Some(Outcome::GatesClosed(closed)) = stopped else { panic!("{name}: {stopped:?}") };
        assert_eq!(closed[0].name, gate);
        assert!(world.acted.is_empty(), "{name}: {:?}", world.acted);

        world.allow(&gate_probe(&plan, gate));
        assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
        let confirm = |asked: &&Question| matches!(asked, Question::Confirm { .. });
        assert_eq!(world.asked.iter().filter(confirm).count(), 2, "{name}");
    }
}

/// One action comes to nothing.
struct ComesToNothing {
    at: &'static str,
    acted: Acted,
}

impl Fate for ComesToNothing {
    fn act_on(&mut self, step: &str) -> (Acted, bool) {
        let (acted, has_effect) = (self.acted.clone(), step != self.at);
        if has_effect { (Acted::Accepted, true) } else { (acted, false) }
    }
}

/// Nothing has moved: what stood before the step stands before it again.
#[test]
fn an_action_that_was_refused_is_tried_again_behind_the_same_gates() {
    let plan = plan(PlanName::Switchover);
    for (at, gate) in [("fence-writers", "lag"), ("fence-mirror", "writers-fenced")] {
        let mut world = World::new(plan.clone());
        let acted = Acted::Refused("no".to_owned());
        let failed = world.process(Overrides::default(), &mut ComesToNothing { at, acted });
        assert!(matches!(failed, Some(Outcome::StepFailed { .. })), "{failed:?}");
        world.deny(&gate_probe(&plan, gate));
        let stopped = world.process(Overrides::default(), &mut Well);
        let Some(Outcome::GatesClosed(closed)) = stopped else { panic!("{at}: {stopped:?}") };
        assert_eq!(closed[0].name, gate);
        assert!(!world.acted.contains_key(at));
        world.allow(&gate_probe(&plan, gate));
        assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
    }
}

/// Nobody knows whether it has moved anything. Between the two runs the primary takes writes again.
#[test]
fn a_mirror_is_never_fenced_while_the_primary_takes_writes() {
    let plan = plan(PlanName::Switchover);
    let mut world = World::new(plan.clone());
    let acted = Acted::Unknown("the answer was lost".to_owned());
    let fate = &mut ComesToNothing { at: "fence-mirror", acted };
    let failed = world.process(Overrides::default(), fate);
    assert!(matches!(failed, Some(Outcome::StepFailed { .. })), "{failed:?}");
    for gate in ["writers-fenced", "drained"] {
        world.deny(&gate_probe(&plan, gate));
        let stopped = world.process(Overrides::default(), &mut Well);
        assert!(!world.acted.contains_key("fence-mirror"), "{gate}: {stopped:?}");
        world.allow(&gate_probe(&plan, gate));
    }
    assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
}

#[test]
fn what_nobody_can_tell_closes_a_gate() {
    struct Blind;
    impl Fate for Blind {
        fn blind(&mut self) -> bool {
            true
        }
    }
    let mut world = World::new(plan(PlanName::Failover));
    let outcome = world.process(Overrides::default(), &mut Blind);
    assert!(matches!(outcome, Some(Outcome::GatesClosed(_))), "{outcome:?}");
    assert!(world.acted.is_empty());
}

#[test]
fn an_override_opens_one_closed_gate_and_its_reason_is_kept() {
    let plan = plan(PlanName::Failover);
    let mut world = World::new(plan.clone());
    world.deny(&gate_probe(&plan, "checked-lately"));
    let overrides = overriding(&plan, "checked-lately", "the site burns").unwrap();
    assert_eq!(world.process(overrides, &mut Well), Some(Outcome::Completed));
    let kept = world.entries().into_iter().any(|entry| {
        matches!(entry.event, Event::GateOverridden { gate, reason, .. }
            if gate == "checked-lately" && reason == "the site burns")
    });
    assert!(kept);
}

#[test]
fn an_override_of_a_gate_that_is_open_is_not_an_override() {
    let plan = plan(PlanName::Failover);
    let mut world = World::new(plan.clone());
    let overrides = overriding(&plan, "checked-lately", "to be sure").unwrap();
    assert_eq!(world.process(overrides, &mut Well), Some(Outcome::Completed));
    assert!(
        !world.entries().iter().any(|entry| matches!(entry.event, Event::GateOverridden { .. }))
    );
}

#[test]
fn an_override_needs_a_gate_that_may_be_passed_and_a_reason() {
    let plan = plan(PlanName::Switchover);
    let refused = |name, reason| overriding(&plan, name, reason).unwrap_err();
    assert!(matches!(refused("everything", "why not"), Refusal::NoSuchGate { .. }));
    assert!(matches!(refused("drained", "in a hurry"), Refusal::Firm { .. }));
    assert!(matches!(refused("lag", " \t"), Refusal::NoReason { .. }));
}

#[test]
fn who_does_not_type_the_word_does_not_confirm() {
    let plan = plan(PlanName::Failover);
    let mut runner = Runner::new(plan, &Digest::of(b"pair"), Overrides::default(), None).unwrap();
    let mut effect = runner.handle(Timestamp::from_ms(1), Input::Start);
    let outcome = loop {
        let input = match effect {
            Effect::Journal(_) => Input::Journaled,
            Effect::Probe { .. } => Input::Answered(Answer::new(Verdict::Holds, "seen")),
            Effect::Ask(Question::Confirm { facts, .. }) => {
                assert_eq!(facts.len(), 2, "the loss is shown before one is asked");
                Input::Replied(Reply::Typed("West".to_owned()))
            }
            Effect::Ask(_) => Input::Replied(Reply::Yes),
            Effect::Finished(outcome) => break outcome,
            Effect::Act { .. } | Effect::Wait(_) => panic!("{effect:?}"),
        };
        effect = runner.handle(Timestamp::from_ms(2), input);
    };
    assert_eq!(outcome, Outcome::Declined { phase: "isolate".to_owned() });
}

#[test]
fn an_action_that_somebody_has_done_before_is_skipped() {
    let plan = plan(PlanName::Switchover);
    let mut world = World::new(plan.clone());
    let fence = plan.steps().find(|step| step.id == "fence-mirror").unwrap();
    world.allow(&fence.after[0].probe);
    assert_eq!(world.process(Overrides::default(), &mut Well), Some(Outcome::Completed));
    assert!(!world.acted.contains_key("fence-mirror"));
    assert!(world.acted.contains_key("fence-writers"));
}

#[test]
fn a_journal_in_the_middle_of_one_plan_refuses_another() {
    let mut world = World::new(plan(PlanName::Switchover));
    world.process(Overrides::default(), &mut Once { at: 90, how: Death::Before });
    let progress = Progress::from(&world.entries());
    let start = |plan: Plan, topology: &[u8]| {
        let digest = Digest::of(topology);
        Runner::new(plan, &digest, Overrides::default(), progress.clone()).map(|_| ())
    };
    let other = start(plan(PlanName::Failover), b"the pair").unwrap_err();
    assert!(matches!(other, Refusal::OtherPlan { .. }), "{other}");
    let changed = start(plan(PlanName::Switchover), b"another pair").unwrap_err();
    assert!(matches!(changed, Refusal::PlanChanged { .. }), "{changed}");
    assert!(start(plan(PlanName::Switchover), b"the pair").is_ok());
}

/// The gate of a failover that says "use a switchover" is followed, and so is one that says what to
/// correct in the topology file.
#[test]
fn a_run_that_came_no_further_than_its_gates_binds_nobody() {
    let failover = plan(PlanName::Failover);
    let mut world = World::new(failover.clone());
    world.deny(&gate_probe(&failover, "primary-gone"));
    let stopped = world.process(Overrides::default(), &mut Well);
    assert!(matches!(stopped, Some(Outcome::GatesClosed(_))), "{stopped:?}");
    let progress = Progress::from(&world.entries());
    for (name, topology) in [(PlanName::Switchover, "the pair"), (PlanName::Failover, "mended")] {
        let digest = Digest::of(topology.as_bytes());
        let runner = Runner::new(plan(name), &digest, Overrides::default(), progress.clone());
        let mut runner = runner.unwrap();
        let begins = runner.handle(Timestamp::from_ms(1), Input::Start);
        assert!(matches!(begins, Effect::Journal(Event::Opened(_))), "{begins:?}");
    }
    // The same one goes on: what it costs is reckoned from when it was begun.
    let runner = Runner::new(failover, &Digest::of(b"the pair"), Overrides::default(), progress);
    let goes_on = runner.unwrap().handle(Timestamp::from_ms(1), Input::Start);
    assert_eq!(goes_on, Effect::Journal(Event::Resumed));
}

#[test]
fn an_input_that_answers_nothing_changes_nothing() {
    let plan = plan(PlanName::Check);
    let mut runner = Runner::new(plan, &Digest::of(b"pair"), Overrides::default(), None).unwrap();
    let now = Timestamp::from_ms(1);
    let opened = runner.handle(now, Input::Start);
    for input in [Input::Woke, Input::Start, Input::Replied(Reply::Yes)] {
        assert_eq!(runner.handle(now, input), opened);
    }
    assert!(matches!(runner.handle(now, Input::Journaled), Effect::Probe { .. }));
}

#[test]
fn a_rehearsal_asks_every_probe_once_and_nothing_else() {
    for name in PlanName::ALL {
        let plan = plan(name);
        let checks = plan.gates().map(|gate| gate.evidence.len()).sum::<usize>()
            + plan.steps().map(|step| step.before.len() + step.after.len()).sum::<usize>()
            + plan
                .phases
                .iter()
                .filter_map(|phase| phase.confirmation.as_ref())
                .map(|confirmation| confirmation.facts.len())
                .sum::<usize>();
        let mut rehearsal = Rehearsal::new(&plan);
        while let Some(check) = rehearsal.next_probe() {
            assert!(!check.probe.asks_a_person());
            rehearsal.answer(Answer::new(Verdict::Fails, "no"), Duration::from_secs(1));
        }
        assert_eq!(rehearsal.looks().len(), checks, "{name}");
        let drill = rehearsal.summary(&plan, &Digest::of(b"pair"));
        let gates: Vec<_> = plan.gates().map(|gate| gate.name.as_str()).collect();
        assert_eq!(drill.gates.iter().map(|of| of.gate.as_str()).collect::<Vec<_>>(), gates);
        assert!(drill.gates.iter().all(|of| of.verdict != Verdict::Holds), "{name}");
        let steps: Vec<_> = plan.steps().map(|step| step.id.as_str()).collect();
        assert_eq!(drill.steps.iter().map(|of| of.step.as_str()).collect::<Vec<_>>(), steps);
        for (gate, of) in plan.gates().zip(&drill.gates) {
            let asked = gate.evidence.iter().filter(|check| !check.probe.asks_a_person());
            assert_eq!(of.took_ms, 1000 * asked.count() as u64, "{name}: {}", of.gate);
        }
        for (step, of) in plan.steps().zip(&drill.steps) {
            let checks = step.before.iter().chain(&step.after);
            let asked = checks.filter(|check| !check.probe.asks_a_person());
            assert_eq!(of.took_ms, 1000 * asked.count() as u64, "{name}: {}", of.step);
        }
        // A second for each look, wherever it belongs; a person is not waited for.
        let asked = rehearsal.looks().iter().filter(|look| look.finding.evidence == "no").count();
        assert_eq!(drill.took_ms, 1000 * asked as u64, "{name}");
    }
}

#[test]
fn of_several_claims_one_that_fails_decides_and_one_that_is_open_leaves_all_open() {
    use Verdict::{Fails, Holds, Pending, Unknown};
    for (verdicts, all) in [
        (vec![], Holds),
        (vec![Holds, Holds], Holds),
        (vec![Holds, Unknown], Unknown),
        (vec![Holds, Pending, Holds], Unknown),
        (vec![Pending, Unknown], Unknown),
        (vec![Unknown, Fails, Holds], Fails),
    ] {
        assert_eq!(Verdict::of_all(verdicts.clone()), all, "{verdicts:?}");
    }
}
