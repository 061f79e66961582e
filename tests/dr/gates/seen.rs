//! How gates were judged, by real runs and rehearsals of the real binary.

use std::collections::BTreeMap;

use dr_plan::Verdict;
use dr_plan::journal::Event;
use dr_plan::plan::PlanName;
use serde_json::Value;

use crate::pair::Pair;
use crate::run::{Dr, entries};

/// One judgement.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) open: bool,
    /// All of its evidence.
    pub(super) evidence: String,
}

/// All judgements, by plan and gate.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<(PlanName, String), Vec<Judged>>);

impl Seen {
    pub(super) fn of(&self, plan: PlanName, gate: &str) -> &[Judged] {
        self.0.get(&(plan, gate.to_owned())).map_or(&[], Vec::as_slice)
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (of, judged) in other.0 {
            self.0.entry(of).or_default().extend(judged);
        }
    }

    fn note(&mut self, plan: PlanName, gate: &str, judged: Judged) {
        self.0.entry((plan, gate.to_owned())).or_default().push(judged);
    }

    /// Rehearses plans, all at once. Nothing is asked of a person then.
    pub(super) async fn rehearse(&mut self, dr: &Dr, plans: &[PlanName]) {
        let mut running = tokio::task::JoinSet::new();
        for plan in plans.iter().copied() {
            let dr = dr.clone();
            running.spawn(async move {
                let args = [plan.as_str(), "--dry-run", "-o", "json", "--journal", "/nowhere/no"];
                let output = dr.output(&args).await;
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                (plan, serde_json::from_slice::<Value>(&output.stdout).expect(&told))
            });
        }
        while let Some(found) = running.join_next().await {
            let (plan, found) = found.unwrap();
            for gate in found["gates"].as_array().unwrap() {
                let evidence = gate["evidence"].as_array().unwrap();
                let open = evidence.iter().all(|finding| finding["verdict"] == "holds");
                let said = evidence.iter().map(|finding| finding["evidence"].as_str().unwrap());
                let evidence = said.collect::<Vec<_>>().join("; ");
                if !evidence.contains("a person will be asked") {
                    self.note(plan, gate["gate"].as_str().unwrap(), Judged { open, evidence });
                }
            }
        }
    }

    /// Runs a plan with these flags until it stops, with this code, and reads its journal.
    pub(super) async fn run(&mut self, pair: &Pair, plan: PlanName, code: i32, flags: &[&str]) {
        let journal = pair.path(&format!("{plan}.jsonl"));
        let before = entries(&journal).len();
        let args = [&[plan.as_str(), "--yes", "--journal", journal.to_str().unwrap()], flags];
        Dr::new(pair).expect(code, &args.concat()).await;
        for entry in entries(&journal).into_iter().skip(before) {
            let Event::GateJudged { gate, open, evidence } = entry.event else { continue };
            assert_eq!(open, evidence.iter().all(|finding| finding.verdict == Verdict::Holds));
            let evidence: Vec<_> = evidence.into_iter().map(|finding| finding.evidence).collect();
            self.note(plan, &gate, Judged { open, evidence: evidence.join("; ") });
        }
    }
}
