//! Every gate of every plan has been seen to close, with words that name what is wrong, and to open,
//! with the real binary on real etcds. A gate that is new has to be given a row here.

mod rows;
mod seen;
pub(crate) mod worlds;

use std::collections::BTreeSet;

use dr_plan::plan::{Gate, Plan, PlanName};
use dr_plan::topology::{
    Answers, ClusterAnswers, Component, KubernetesAccess, Topology, WorkloadCluster,
};

use crate::run::Dr;
use rows::ROWS;
use seen::Seen;

/// Topologies that differ in what plans depend on.
fn topologies() -> Vec<Topology> {
    let cluster = |name: &str, network: u8| ClusterAnswers {
        name: name.to_owned(),
        vip: format!("10.{network}.0.100"),
        nodes: vec![(format!("{name}-m1"), format!("10.{network}.0.1"))],
        kubeconfig: format!("{name}.kubeconfig"),
        context: String::new(),
    };
    let bare = Topology::commented(&Answers {
        domain: "platform.example.org".to_owned(),
        certificate: "platform.crt".to_owned(),
        primary: cluster("east", 0),
        standby: cluster("west", 1),
        components: Vec::new(),
    });
    let bare = Topology::parse(&bare).unwrap();
    let mut full = bare.clone();
    full.components = Component::ALL.to_vec();
    full.primary.etcd_through_vip = true;
    full.standby.etcd_through_vip = true;
    let kubernetes = KubernetesAccess { kubeconfig: "shop".into(), context: String::new() };
    let shop = WorkloadCluster { name: "shop".into(), kubernetes, sends_monitoring: true };
    full.workload_clusters = vec![shop];
    vec![bare.swapped(), full, bare]
}

/// Every gate of every plan.
fn catalog() -> Vec<(PlanName, Gate)> {
    let mut all = Vec::new();
    for (topology, plan) in
        topologies().iter().flat_map(|topology| PlanName::ALL.map(|plan| (topology, plan)))
    {
        for gate in Plan::new(plan, topology).gates() {
            if !all.iter().any(|(of, known): &(_, Gate)| *of == plan && known.name == gate.name) {
                all.push((plan, gate.clone()));
            }
        }
    }
    all
}

#[test]
fn every_gate_has_its_row_and_every_row_its_gate() {
    let gates: BTreeSet<String> = catalog().into_iter().map(|(_, gate)| gate.name).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.gate.to_owned()).collect();
    assert_eq!(gates, rows);
    assert_eq!(rows.len(), ROWS.len(), "a gate has one row");
    assert!(ROWS.iter().all(|row| !row.closed.is_empty() && !row.open.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gate_of_every_plan_closes_with_a_word_why_and_opens() {
    let (mut seen, lost) = tokio::join!(worlds::mistaken(), worlds::lost());
    seen.extend(lost);
    let wanting = catalog().into_iter().flat_map(|(plan, gate)| wanting(&seen, plan, &gate));
    let wanting: Vec<_> = wanting.collect();
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

/// What was not seen of a gate.
fn wanting(seen: &Seen, plan: PlanName, gate: &Gate) -> Vec<String> {
    let row = ROWS.iter().find(|row| row.gate == gate.name).unwrap();
    let judged = seen.of(plan, row.gate);
    let closed = row.closed.iter().map(|text| (false, *text));
    closed
        .chain([(true, row.open)])
        .filter(|(open, text)| {
            !judged.iter().any(|one| one.open == *open && one.evidence.contains(text))
        })
        .map(|(open, text)| {
            let word = if open { "open" } else { "closed" };
            format!("{plan}/{} was never {word} with {text:?}: {judged:#?}", row.gate)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gate_is_passed_without_a_reason_and_firm_ones_not_at_all() {
    let folder = tempfile::Builder::new().prefix("etcd-dr-e2e-").tempdir().unwrap();
    let topology = topologies().remove(1);
    let dr = Dr::of(folder.path());
    std::fs::write(folder.path().join("topology.yaml"), serde_json::to_string(&topology).unwrap())
        .unwrap();
    let mut firm = 0;
    for plan in PlanName::ALL {
        let unknown = [plan.as_str(), "--override", "unheard-of", "--reason", "none"];
        let told = dr.expect(2, &unknown).await;
        assert!(told.contains("`unheard-of` is no gate of this plan"), "{told}");
        for gate in Plan::new(plan, &topology).gates() {
            let bare = [plan.as_str(), "--yes", "--override", &gate.name];
            let blank = [&bare[..], &["--reason", " "]].concat();
            if gate.overridable {
                for args in [&bare[..], &blank] {
                    let told = dr.expect(2, args).await;
                    let named = format!("gate `{}` is overridden without a reason", gate.name);
                    assert!(told.contains(&named), "{plan}: {told}");
                }
                continue;
            }
            firm += 1;
            for reason in [" ", "somebody knows better"] {
                let told = dr.expect(4, &[&bare[..], &["--reason", reason]].concat()).await;
                let named = format!("gate `{}` can't be overridden: {}", gate.name, gate.what);
                assert!(told.contains(&named), "{plan}: {told}");
            }
        }
    }
    assert!(firm >= 8, "{firm}");
    assert_eq!(dr.entries(), [], "nothing was begun");
}
