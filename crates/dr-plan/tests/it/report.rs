//! A report says what was lost, how long it took, and what nobody knows.

use std::time::Duration;

use dr_plan::journal::{Drill, Event, GateLook, Journal, Opening, StepLook};
use dr_plan::plan::PlanName;
use dr_plan::report::{Report, rpo};
use dr_plan::samples::Samples;
use dr_plan::{Timestamp, Verdict};

use crate::samples::sample;
use crate::topology::pair;

const START: u64 = 1_790_000_000_000;

fn samples(lags: impl IntoIterator<Item = (u64, Option<u64>)>) -> Samples {
    let mut samples = Samples::default();
    for (second, lag_ms) in lags {
        samples.add(sample(second, lag_ms));
    }
    samples
}

#[test]
fn percentiles_and_the_worst_are_those_of_the_seconds() {
    // 98 seconds with 1 s, one with 20 s, one with 45 s.
    let lag = |second| match second {
        40 => 45_000,
        70 => 20_000,
        _ => 1_000,
    };
    let found = rpo(&samples((0..100).map(|second| (second, Some(lag(second))))), 30).unwrap();
    assert_eq!((found.p50_ms, found.p99_ms), (1_000, 20_000));
    assert_eq!((found.worst.lag_ms, found.worst.revisions), (45_000, 40));
    assert_eq!(found.worst.at_ms.ms(), START + 40_000);
    assert_eq!(found.over_objective_seconds, 1);
    assert_eq!(
        (found.known_seconds, found.unknown_seconds, found.longest_gap_seconds),
        (100, 0, 0)
    );
}

#[test]
fn what_nobody_looked_at_is_unknown_and_not_good() {
    let lags = (0..10).map(|second| (second, Some(1)));
    let lags = lags.chain((10..15).map(|second| (second, None)));
    let lags = lags.chain((100..110).map(|second| (second, Some(1))));
    let found = rpo(&samples(lags), 30).unwrap();
    assert_eq!((found.known_seconds, found.unknown_seconds), (20, 90));
    assert_eq!(found.longest_gap_seconds, 85);
    assert_eq!(rpo(&Samples::default(), 30), None);
    assert_eq!(rpo(&samples([(1, None)]), 30), None);
}

/// What a drill comes to.
fn drill(took_ms: u64) -> Drill {
    let gate = |gate: &str, verdict, took_ms| GateLook { gate: gate.to_owned(), verdict, took_ms };
    Drill {
        plan: PlanName::Failover,
        plan_digest: "a".repeat(64),
        topology_digest: "b".repeat(64),
        gates: vec![
            gate("lag", Verdict::Fails, 40),
            gate("clean-check", Verdict::Holds, took_ms - 50),
            gate("page", Verdict::Unknown, 0),
        ],
        steps: vec![StepLook { step: "fence-mirror".to_owned(), took_ms: 10 }],
        took_ms,
    }
}

/// A failover that took 100 s with a drill in its middle, a plan that says nothing about recovery, and
/// one more drill.
fn journal() -> Vec<dr_plan::journal::Entry> {
    let opening = |plan| {
        let (plan_digest, topology_digest) = ("a".repeat(64), "b".repeat(64));
        Event::Opened(Opening { plan, plan_digest, topology_digest })
    };
    let (gate, reason) = ("lag".to_owned(), "it | burns".to_owned());
    let begun = |step: &str| Event::Begun { step: step.to_owned() };
    let done = |step: &str| Event::Done { step: step.to_owned(), evidence: Vec::new() };
    let mut journal = Journal::default();
    let text: String = [
        (0, opening(PlanName::Failover)),
        (5, Event::GateOverridden { gate, reason, evidence: Vec::new() }),
        (10, begun("fence-mirror")),
        (12, done("fence-mirror")),
        (20, begun("dns")),
        (30, Event::Failed { step: "dns".to_owned(), why: "no answer".to_owned(), refused: false }),
        (40, Event::Resumed),
        (41, begun("dns")),
        (50, Event::Drilled(drill(60))),
        (80, done("dns")),
        (100, Event::Completed),
        (200, opening(PlanName::Check)),
        (201, begun("exact-check")),
        (210, done("exact-check")),
        (211, Event::Completed),
        (220, Event::Drilled(drill(2_550))),
    ]
    .into_iter()
    .map(|(second, event)| journal.append(Timestamp::from_ms(START + second * 1000), event))
    .collect();
    Journal::verify(text.as_bytes()).unwrap().entries
}

fn report() -> Report {
    let now = Timestamp::from_ms(START + 300_000);
    Report::new(now, &pair(), &journal(), &samples((0..100).map(|second| (second, Some(500)))))
}

#[test]
fn recovery_is_timed_by_step_stops_included() {
    let rto = report().rto.unwrap();
    assert_eq!((rto.plan, rto.total_ms, rto.between_ms), (PlanName::Failover, 100_000, 38_000));
    let steps: Vec<_> = rto.steps.iter().map(|step| (step.step.as_str(), step.took_ms)).collect();
    assert_eq!(steps, [("fence-mirror", 2_000), ("dns", 60_000)]);
    let check = report().last_exact_check_ms.unwrap();
    assert_eq!(check.since(Timestamp::from_ms(START)), Duration::from_secs(210));
}

#[test]
fn a_report_reads_like_this() {
    assert_eq!(
        report().text(),
        "\
Disaster recovery of platform.example.org, from east to west, at 2026-09-21T14:18:20Z

Data loss (RPO)
  Had you failed over at any moment since 2026-09-21T14:13:20Z at which somebody looked, the worst \
loss was 500 ms, 0 revisions, at 2026-09-21T14:14:59Z.
  objective                 30.0 s
  half of the time at most  500 ms
  99 % of the time at most  500 ms
  over the objective        0 ms
  known                     1 min 40 s
  unknown                   0 ms
  longest without a look    0 ms

Time to recover (RTO)
  The failover begun at 2026-09-21T14:13:20Z took 1 min 40 s, within the objective of 30 min 0 s.
  fence-mirror             2.0 s
  dns                      1 min 0 s
  gates, questions, stops  38.0 s

Last drill
  The failover drill at 2026-09-21T14:17:00Z looked at everything in 2.5 s and did nothing. It \
found 1 of 3 gates open, 1 closed, and 1 of which a program can't tell.
  gate lag           fails, looked at in 40 ms
  gate clean-check   holds, looked at in 2.5 s
  gate page          unknown, looked at in 0 ms
  step fence-mirror  looked at in 10 ms

Last exact check
  Both sides were equal, key by key, at 2026-09-21T14:16:50Z.

Overrides
  Somebody went past these gates although they were closed.
  2026-09-21T14:13:25Z lag  it | burns
"
    );
}

#[test]
fn all_forms_say_the_same() {
    let report = report();
    let (markdown, html) = (report.markdown(), report.html());
    for said in ["the worst loss was 500 ms", "fence-mirror", "1 min 0 s", "it "] {
        assert!(markdown.contains(said) && html.contains(said), "{said}");
    }
    assert!(markdown.contains("it \\| burns"));
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["rpo"]["p99_ms"], 500);
    assert_eq!(json["rto"]["steps"][1]["took_ms"], 60_000);
    assert_eq!(json["overrides"][0]["gate"], "lag");
    assert_eq!(json["last_exact_check_ms"], START + 210_000);
}

#[test]
fn without_a_journal_and_samples_a_report_says_so() {
    let report = Report::new(Timestamp::from_ms(START), &pair(), &[], &Samples::default());
    let text = report.text();
    assert_eq!(text.matches("Nothing is known").count(), 2);
    assert!(text.contains("No plan has made one."));
}

#[test]
fn the_json_has_these_fields() {
    fn paths(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(name, value)| paths(value, &format!("{at}.{name}"), found));
            }
            serde_json::Value::Array(values) => paths(&values[0], &format!("{at}[]"), found),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => found.push(at.trim_start_matches('.').to_owned()),
        }
    }
    let mut found = Vec::new();
    paths(&serde_json::from_str(&report().json()).unwrap(), "", &mut found);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "at_ms",
            "drill.at_ms",
            "drill.gates[].gate",
            "drill.gates[].took_ms",
            "drill.gates[].verdict",
            "drill.plan",
            "drill.plan_digest",
            "drill.steps[].step",
            "drill.steps[].took_ms",
            "drill.took_ms",
            "drill.topology_digest",
            "last_exact_check_ms",
            "objectives.rpo_seconds",
            "objectives.rto_seconds",
            "overrides[].at_ms",
            "overrides[].gate",
            "overrides[].reason",
            "platform",
            "primary",
            "rpo.known_seconds",
            "rpo.longest_gap_seconds",
            "rpo.over_objective_seconds",
            "rpo.p50_ms",
            "rpo.p99_ms",
            "rpo.since_ms",
            "rpo.unknown_seconds",
            "rpo.until_ms",
            "rpo.worst.at_ms",
            "rpo.worst.lag_ms",
            "rpo.worst.revisions",
            "rto.between_ms",
            "rto.opened_ms",
            "rto.plan",
            "rto.steps[].step",
            "rto.steps[].took_ms",
            "rto.total_ms",
            "standby",
        ]
    );
}
