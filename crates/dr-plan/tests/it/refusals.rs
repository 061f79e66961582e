//! When a run stops, and that it never acts on a guess.

use dr_plan::journal::Event;
use dr_plan::plan::{Check, Plan, PlanName, Probe};
use dr_plan::runner::{Acted, Effect, Input, Outcome, Overrides, Question, Reply, Runner};
use dr_plan::{Answer, Digest, Timestamp, Verdict};

use crate::topology::pair;

/// What a run came to.
struct Ran {
    outcome: Outcome,
    acted: Vec<String>,
    events: Vec<Event>,
    seconds: u64,
}

/// Runs a plan in which every claim stands as told, and every action becomes what is told.
fn run(
    name: PlanName,
    mut claim: impl FnMut(&Check, bool) -> Verdict,
    mut act: impl FnMut(&str) -> Acted,
    mut reply: impl FnMut(&Question) -> Reply,
) -> Ran {
    let plan = Plan::new(name, &pair());
    let mut runner = Runner::new(plan, &Digest::of(b"pair"), Overrides::default(), None).unwrap();
    let (mut acted, mut events) = (Vec::new(), Vec::new());
    let mut now = 0;
    let mut input = Input::Start;
    loop {
        input = match runner.handle(Timestamp::from_ms(now), input) {
            Effect::Journal(event) => {
                events.push(event);
                Input::Journaled
            }
            Effect::Probe { check, begun } => {
                Input::Answered(Answer::new(claim(&check, begun.is_some()), "seen"))
            }
            Effect::Act { step, .. } => {
                let become_of = act(&step);
                acted.push(step);
                Input::Acted(become_of)
            }
            Effect::Ask(question) => Input::Replied(reply(&question)),
            Effect::Wait(duration) => {
                now += u64::try_from(duration.as_millis()).unwrap();
                Input::Woke
            }
            Effect::Finished(outcome) => {
                return Ran { outcome, acted, events, seconds: now / 1000 };
            }
        };
    }
}

fn agree(question: &Question) -> Reply {
    match question {
        Question::Confirm { word, .. } => Reply::Typed(word.clone()),
        Question::Attest { .. } | Question::ByHand { .. } => Reply::Yes,
    }
}

fn accept(_: &str) -> Acted {
    Acted::Accepted
}

/// Everything holds, except the fence of the writers, which stands as told.
fn fence(verdict: Verdict) -> impl FnMut(&Check, bool) -> Verdict {
    move |check, _| {
        if matches!(check.probe, Probe::WritesRefused { .. }) {
            return verdict;
        }
        // The check after it is never reached.
        if check.probe == Probe::CheckedSinceBegun { Verdict::Fails } else { Verdict::Holds }
    }
}

fn failed(ran: &Ran) -> (&str, &str) {
    let Outcome::StepFailed { step, why, .. } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    (step, why)
}

/// Whether it failed for want of an answer.
fn undecided(ran: &Ran) -> bool {
    matches!(ran.outcome, Outcome::StepFailed { undecided: true, .. })
}

#[test]
fn what_nobody_can_tell_is_waited_for_and_never_acted_upon() {
    for verdict in [Verdict::Unknown, Verdict::Pending] {
        let ran = run(PlanName::Switchover, fence(verdict), accept, agree);
        let seen = verdict.as_str();
        let why = "whether it is done already could not be told: the primary's API refuses, and its \
                   scope stands still";
        assert_eq!(failed(&ran), ("fence-writers", format!("{why}: {seen}: seen").as_str()));
        assert!(undecided(&ran));
        assert_eq!(ran.acted, Vec::<String>::new());
        // As long as the step may take, and one pause more at most.
        assert!((600..=602).contains(&ran.seconds), "{}", ran.seconds);
    }
}

#[test]
fn an_action_that_brings_nothing_about_fails_at_its_time_limit_and_is_not_repeated() {
    let ran = run(PlanName::Switchover, fence(Verdict::Fails), accept, agree);
    let (step, why) = failed(&ran);
    assert_eq!(step, "fence-writers");
    assert!(why.starts_with("after 600 s: the primary's API refuses"), "{why}");
    assert_eq!(ran.acted, ["fence-writers"]);
}

#[test]
fn a_refused_action_fails_at_once_with_the_reason() {
    let refuse = |_: &str| Acted::Refused("the API says forbidden".to_owned());
    let ran = run(PlanName::Switchover, fence(Verdict::Fails), refuse, agree);
    assert_eq!(failed(&ran), ("fence-writers", "the API says forbidden"));
    assert!(!undecided(&ran));
    assert_eq!(ran.seconds, 0);
}

#[test]
fn an_action_that_comes_to_no_conclusion_fails_at_once_and_decides_nothing() {
    let undecided_check = |_: &str| Acted::Undecided("the primary was not read".to_owned());
    let ran = run(PlanName::Switchover, fence(Verdict::Fails), undecided_check, agree);
    assert_eq!(failed(&ran), ("fence-writers", "the primary was not read"));
    assert!(undecided(&ran));
    assert_eq!(ran.seconds, 0);
}

#[test]
fn a_refused_action_whose_effect_is_there_is_done() {
    let refuse = |_: &str| Acted::Refused("it is fenced already".to_owned());
    let mut looks = 0;
    let claim = |check: &Check, _: bool| {
        if !matches!(check.probe, Probe::WritesRefused { .. }) {
            return Verdict::Holds;
        }
        looks += 1;
        if looks == 1 { Verdict::Fails } else { Verdict::Holds }
    };
    let ran = run(PlanName::Switchover, claim, refuse, agree);
    let done = |event: &Event| matches!(event, Event::Done { step, .. } if step == "fence-writers");
    assert!(ran.events.iter().any(done), "{:?}", ran.outcome);
}

#[test]
fn what_must_hold_before_a_step_stops_it() {
    let lowered = |check: &Check| matches!(check.probe, Probe::ShieldLowered { .. });
    let claim = |check: &Check, _: bool| {
        if lowered(check) { Verdict::Fails } else { Verdict::Holds }
    };
    let ran = run(PlanName::Failback, claim, accept, agree);
    assert_eq!(ran.acted, ["lower-shield"], "the role is recorded");

    // The role is lost between the step that records it and the one that needs it.
    let mut looks = 0;
    let claim = |check: &Check, _: bool| {
        let role = matches!(check.probe, Probe::RoleRecorded { .. });
        looks += u32::from(role);
        if lowered(check) || (role && looks > 1) { Verdict::Fails } else { Verdict::Holds }
    };
    let ran = run(PlanName::Failback, claim, accept, agree);
    let why = "before it: the role that is recorded is standby: fails: seen";
    assert_eq!(failed(&ran), ("lower-shield", why));
    assert!(!ran.acted.contains(&"lower-shield".to_owned()));
}

#[test]
fn who_stops_at_a_step_by_hand_stops_the_run() {
    let claim = |check: &Check, _: bool| {
        let there = !matches!(check.probe, Probe::Resolves { .. });
        if there { Verdict::Holds } else { Verdict::Fails }
    };
    let reply = |question: &Question| {
        if let Question::ByHand { step, attests, .. } = question
            && step == "dns-primary"
        {
            assert!(attests.is_empty(), "a program sees it");
            return Reply::No;
        }
        agree(question)
    };
    let ran = run(PlanName::Install, claim, accept, reply);
    assert_eq!(failed(&ran), ("dns-primary", "a person stopped here"));
}

#[test]
fn what_a_person_attests_to_is_in_the_question_and_in_the_journal() {
    let mut asked = Vec::new();
    let reply = |question: &Question| {
        if let Question::ByHand { step, attests, .. } = question {
            asked.push((step.clone(), attests.clone()));
        }
        agree(question)
    };
    let ran = run(PlanName::Upload, |_, _| Verdict::Holds, accept, reply);
    assert_eq!(ran.outcome, Outcome::Completed);
    let (step, attests) = &asked[0];
    assert_eq!(
        (step.as_str(), attests.as_slice()),
        ("push-primary", &["east has the packages.".to_owned()][..])
    );
    let Event::Done { evidence, .. } = &ran.events[2] else { panic!("{:?}", ran.events[2]) };
    assert_eq!(evidence[0].evidence, "a person says so");
}
