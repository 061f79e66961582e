//! No plan breaks the rules of plans, and each says what it must.

use dr_plan::plan::{Check, Instruction, Kind, Plan, PlanName, Probe, lint};
use dr_plan::topology::{Component, Topology};

use crate::topology::pair;

/// Pairs that differ in what plans depend on.
pub(crate) fn pairs() -> Vec<Topology> {
    let full = pair();
    let mut bare = full.clone();
    bare.components.clear();
    bare.workload_clusters.clear();
    let mut through_vip = full.clone();
    through_vip.primary.etcd_through_vip = true;
    through_vip.standby.etcd_through_vip = true;
    vec![full.swapped(), full, bare, through_vip]
}

fn plan(name: PlanName) -> Plan {
    Plan::new(name, &pair())
}

fn position(plan: &Plan, id: &str) -> usize {
    plan.steps().position(|step| step.id == id).unwrap_or_else(|| panic!("no step {id}"))
}

#[test]
fn every_plan_of_every_pair_keeps_the_rules() {
    for topology in pairs() {
        for name in PlanName::ALL {
            assert_eq!(lint(&Plan::new(name, &topology)), [], "{name}");
        }
    }
}

#[test]
fn the_lint_finds_what_it_is_for() {
    let mut plan = plan(PlanName::Switchover);
    plan.phases[0].gates[0].evidence.clear();
    plan.phases[0].gates[1].mend.clear();
    let twice = plan.phases[1].steps[0].clone();
    plan.phases[1].steps.push(twice);
    plan.phases[0].steps[1].after.clear();
    let told: Vec<_> = lint(&plan).into_iter().map(|fault| fault.0).collect();
    assert_eq!(
        told,
        [
            "step fence-mirror is there twice",
            "gate lag has no evidence",
            "gate checked-lately does not say what opens it",
            "step fence-writers is verified by nothing"
        ]
    );
}

#[test]
fn a_plan_is_the_same_each_time_and_differs_with_the_topology() {
    for name in PlanName::ALL {
        assert_eq!(plan(name).digest(), plan(name).digest());
        assert_ne!(plan(name).digest(), Plan::new(name, &pair().swapped()).digest(), "{name}");
    }
}

#[test]
fn roles_change_only_behind_fences() {
    for (name, order) in [
        (
            PlanName::Switchover,
            &["fence-writers", "drain", "exact-check", "fence-mirror", "stop-mirror", "dns"][..],
        ),
        (PlanName::Failover, &["isolate-primary", "fence-mirror", "stop-mirror", "dns"][..]),
        (
            PlanName::Failback,
            &["fence-old", "export-writes", "lower-shield", "lift-revision", "install-mirror"][..],
        ),
        (PlanName::Upgrade, &["pause-mirror", "upgrade-standby", "upgrade-primary"][..]),
    ] {
        let plan = plan(name);
        let positions: Vec<_> = order.iter().map(|id| position(&plan, id)).collect();
        assert!(positions.is_sorted(), "{name}: {order:?} at {positions:?}");
    }
}

#[test]
fn what_costs_machines_or_history_can_not_be_overridden() {
    let firm = |name| {
        plan(name).gates().filter(|gate| !gate.overridable).map(|gate| gate.name.clone()).collect()
    };
    let switchover: Vec<String> = firm(PlanName::Switchover);
    for gate in ["writers-fenced", "drained", "in-sync", "standby-healthy"] {
        assert!(switchover.iter().any(|name| name == gate), "{gate}");
    }
    // On the worst day nothing stands in the way of somebody who knows better and says why.
    assert_eq!(firm(PlanName::Failover), Vec::<String>::new());
    assert!(firm(PlanName::Failback).contains(&"bundle".to_owned()));
    assert!(firm(PlanName::Enable).contains(&"different-clusters".to_owned()));
}

#[test]
fn a_forced_failover_says_what_is_lost_before_one_confirms() {
    let plan = plan(PlanName::Failover);
    let confirmation = plan.phases[0].confirmation.as_ref().unwrap();
    assert_eq!(confirmation.word, "east");
    assert!(confirmation.facts.iter().any(|fact| fact.probe == Probe::LossKnown));
}

#[test]
fn services_are_restarted_where_they_are_installed() {
    let restarts = |topology: &Topology, name| {
        let plan = Plan::new(name, topology);
        plan.steps()
            .filter(|step| step.id.starts_with("restart-"))
            .map(|step| step.id.clone())
            .collect()
    };
    let all: Vec<String> = restarts(&pair(), PlanName::Switchover);
    assert_eq!(
        all,
        [
            "restart-coredns",
            "restart-elasticsearch",
            "restart-victoriametrics",
            "restart-cluster-transformer",
            "restart-warlock-shop",
        ]
    );
    let mut bare = pair();
    bare.components = vec![Component::Victoriametrics];
    bare.workload_clusters.clear();
    let few: Vec<String> = restarts(&bare, PlanName::Enable);
    assert_eq!(few, ["restart-controllers", "restart-victoriametrics"]);
}

/// New pods say nothing of the script; what a program can't see, a person says.
#[test]
fn the_log_storage_has_its_template_only_if_somebody_has_run_the_script() {
    for name in [PlanName::Switchover, PlanName::Failover] {
        let plan = plan(name);
        let step = plan.steps().find(|step| step.id == "log-template").unwrap();
        let says = |check: &Check| {
            matches!(&check.probe, Probe::Attested { statement }
                if statement.contains("ensure-asm-template.sh"))
        };
        assert!(step.after.iter().any(says), "{name}: {:?}", step.after);
    }
}

#[test]
fn the_encryption_configuration_goes_to_every_node_and_is_never_shown() {
    let plan = plan(PlanName::Install);
    let step = plan.steps().find(|step| step.id == "copy-encryption").unwrap();
    let Kind::ByHand(instructions) = &step.kind else { panic!("{:?}", step.kind) };
    let Instruction::Type(lines) = &instructions[1] else { panic!("{instructions:?}") };
    assert_eq!(lines.lines().count(), 3);
    for (line, node) in lines.lines().zip(["10.1.0.1", "10.1.0.2", "10.1.0.3"]) {
        assert!(line.starts_with("ssh root@10.0.0.1 sudo cat /etc/kubernetes/encryption-provider"));
        assert!(line.contains(&format!("| ssh root@{node} ")), "{line}");
        assert!(!line.contains("/tmp"), "a secret must not lie where others may read: {line}");
    }
    let Probe::SameFile { nodes, secret, .. } = &step.after[0].probe else { panic!() };
    assert_eq!((nodes.len(), secret), (6, &true));
}

#[test]
fn every_port_is_looked_at_through_both_virtual_ips() {
    let mut topology = pair();
    topology.primary.etcd_through_vip = true;
    topology.standby.etcd_through_vip = true;
    let plan = Plan::new(PlanName::Install, &topology);
    for vip in ["10.0.0.100", "10.1.0.100"] {
        let ports: Vec<u16> = plan
            .steps()
            .flat_map(|step| &step.after)
            .filter_map(|check| {
                let Probe::Connects { host, port, .. } = &check.probe else { return None };
                (host == vip).then_some(*port)
            })
            .collect();
        assert_eq!(ports, [80, 443, 6443, 2379, 11443], "{vip}");
    }
}

#[test]
fn nothing_is_left_to_be_filled_in() {
    for topology in pairs() {
        for name in PlanName::ALL {
            let json = serde_json::to_string(&Plan::new(name, &topology)).unwrap();
            for hole in ["<", "{}", "1.1.1.1"] {
                assert!(!json.contains(hole), "{name} has {hole}");
            }
        }
    }
}

#[test]
fn the_shield_leaves_alone_what_the_mirror_leaves_alone() {
    use keyspace_filter::{Scope, ScopeSpec};
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let manifest = dr_plan::plan::write_shield();
    for namespace in dr_plan::plan::LOCAL_NAMESPACES {
        let key = format!("/registry/configmaps/{namespace}/settings");
        assert!(!scope.admits(key.as_bytes()), "{key} is mirrored");
        assert!(manifest.contains(&format!("- {namespace}\n")));
    }
    assert!(scope.admits(b"/registry/configmaps/team-a/settings"));
}

#[test]
fn the_shield_is_two_yaml_documents() {
    let manifest = dr_plan::plan::write_shield();
    let kinds: Vec<String> = manifest
        .split("\n---\n")
        .map(|document| {
            let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
            value["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]);
}

#[test]
fn the_floor_is_reckoned_from_the_primary_as_it_is_then() {
    // A fixed number would do once: after a change of roles the primary is the one that was lifted.
    for name in [PlanName::Enable, PlanName::Failback] {
        let plan = plan(name);
        let step = plan.steps().find(|step| step.id == "lift-revision").unwrap();
        let Kind::ByHand(instructions) = &step.kind else { panic!("{:?}", step.kind) };
        let typed: Vec<&str> = instructions
            .iter()
            .filter_map(|instruction| {
                let Instruction::Type(lines) = instruction else { return None };
                Some(lines.as_str())
            })
            .collect();
        assert!(typed[0].starts_with("FLOOR=$(( $(etcdctl --endpoints https://10.0.0.1:2379 "));
        let restores =
            typed.iter().filter(|lines| lines.contains("--bump-revision $FLOOR ")).count();
        assert_eq!(restores, 3, "{name}");
    }
}
