//! Every gate of every plan closes on whatever is not as it says, and only a reason opens it.

use dr_plan::journal::Event;
use dr_plan::plan::{Gate, Plan, PlanName};
use dr_plan::runner::{Effect, Input, Outcome, Overrides, Question, Refusal, Reply, Runner};
use dr_plan::{Answer, Digest, Timestamp, Verdict};

use crate::plans::pairs;

/// A gate is judged in a run in which everything else holds; one piece of its evidence stands as
/// told, until the gate was judged. Returns how the run ended and what it wrote.
fn judged(
    plan: &Plan,
    gate: &Gate,
    of: usize,
    verdict: Verdict,
    overrides: Overrides,
) -> (Outcome, Vec<Event>) {
    let mut runner = Runner::new(plan.clone(), &Digest::of(b"pair"), overrides, None).unwrap();
    let evidence = &gate.evidence[of];
    let (mut events, mut input) = (Vec::new(), Input::Start);
    // The probe of a gate is the probe of a step too: only the gate's own question is answered so.
    let asks = |check: &dr_plan::plan::Check, events: &[Event]| {
        check == evidence && at_gate(plan, gate, events)
    };
    loop {
        input = match runner.handle(Timestamp::from_ms(1), input) {
            Effect::Journal(event) => {
                events.push(event);
                Input::Journaled
            }
            Effect::Probe { check, .. } if asks(&check, &events) => {
                Input::Answered(Answer::new(verdict, "as told"))
            }
            Effect::Probe { .. } => Input::Answered(Answer::new(Verdict::Holds, "seen")),
            Effect::Ask(Question::Attest { of, .. }) if of == gate.name => {
                Input::Replied(if verdict == Verdict::Holds { Reply::Yes } else { Reply::No })
            }
            Effect::Ask(Question::Confirm { word, .. }) => Input::Replied(Reply::Typed(word)),
            Effect::Ask(_) => Input::Replied(Reply::Yes),
            Effect::Finished(outcome) => return (outcome, events),
            Effect::Act { .. } | Effect::Wait(_) => panic!("everything holds already"),
        };
    }
}

/// Whether the gate is the one that is judged next: the gates before it are, and all steps of the
/// phases before its own are over.
fn at_gate(plan: &Plan, gate: &Gate, events: &[Event]) -> bool {
    let is_judged =
        |event: &&Event| matches!(event, Event::GateJudged { .. } | Event::GateOverridden { .. });
    let is_over = |event: &&Event| matches!(event, Event::Done { .. } | Event::Skipped { .. });
    let place = plan.gates().position(|one| one.name == gate.name).unwrap();
    let before = plan.phases.iter().take_while(|phase| !phase.gates.contains(gate));
    let steps: usize = before.map(|phase| phase.steps.len()).sum();
    place == events.iter().filter(is_judged).count()
        && steps == events.iter().filter(is_over).count()
}

/// Every gate of every plan of every pair.
fn each(mut judge: impl FnMut(&Plan, &Gate)) {
    let mut seen = 0;
    for topology in pairs() {
        for name in PlanName::ALL {
            let plan = Plan::new(name, &topology);
            for gate in plan.gates() {
                judge(&plan, gate);
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn each_gate_opens_if_all_its_evidence_holds_and_closes_on_each_piece_that_does_not() {
    each(|plan, gate| {
        let (name, nobody) = (&gate.name, Overrides::default);
        for of in 0..gate.evidence.len() {
            let (outcome, events) = judged(plan, gate, of, Verdict::Holds, nobody());
            assert_eq!(outcome, Outcome::Completed, "{} {name}", plan.name);
            let open = |event: &Event| matches!(event, Event::GateJudged { gate, open: true, .. } if gate == name);
            assert!(events.iter().any(open), "{} {name}", plan.name);
            for verdict in [Verdict::Fails, Verdict::Unknown, Verdict::Pending] {
                let (outcome, events) = judged(plan, gate, of, verdict, nobody());
                let Outcome::GatesClosed(closed) = &outcome else {
                    panic!("{} {name} {verdict:?}: {outcome:?}", plan.name)
                };
                let closed: Vec<_> = closed.iter().map(|gate| &gate.name).collect();
                assert_eq!(closed, [name], "{} {verdict:?}", plan.name);
                // No step of its phase was begun, or called done.
                let phase = plan.phases.iter().find(|phase| phase.gates.contains(gate)).unwrap();
                let touched = |event: &Event| {
                    let (Event::Begun { step }
                    | Event::Done { step, .. }
                    | Event::Skipped { step, .. }) = event
                    else {
                        return false;
                    };
                    phase.steps.iter().any(|of| of.id == *step)
                };
                assert!(!events.iter().any(touched), "{} {name}", plan.name);
            }
        }
    });
}

#[test]
fn each_gate_is_passed_with_a_reason_that_is_kept_or_not_at_all() {
    each(|plan, gate| {
        let name = gate.name.clone();
        let with = |reason: &str| Overrides::new(plan, [(name.clone(), reason.to_owned())]);
        if !gate.overridable {
            let refused = Refusal::Firm { gate: name.clone(), what: gate.what.clone() };
            for reason in ["", "somebody knows better"] {
                assert_eq!(with(reason).unwrap_err(), refused, "{}", plan.name);
            }
            return;
        }
        for blank in ["", " \t\n"] {
            let refused = Refusal::NoReason { gate: name.clone() };
            assert_eq!(with(blank).unwrap_err(), refused, "{}", plan.name);
        }
        let overrides = with("somebody knows better").unwrap();
        let (outcome, events) = judged(plan, gate, 0, Verdict::Fails, overrides);
        assert_eq!(outcome, Outcome::Completed, "{} {name}", plan.name);
        let kept = |event: &Event| {
            matches!(event, Event::GateOverridden { gate, reason, evidence }
                if *gate == name && reason == "somebody knows better"
                    && evidence[0].verdict == Verdict::Fails)
        };
        assert_eq!(events.iter().filter(|event| kept(event)).count(), 1, "{} {name}", plan.name);
    });
}
