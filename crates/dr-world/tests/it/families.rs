use dr_plan::plan::{Action, Place, Plan, PlanName, Probe, Side, Signal};
use dr_plan::runner::Acted;
use dr_plan::topology::{Component, KubernetesAccess, WorkloadCluster};
use dr_plan::{Answer, Verdict};
use dr_world::{Family, NotDone, World, acted, both, family};

use crate::pair::{HASTE, now, topology};

/// Every probe of every plan, with all components.
fn probes() -> Vec<Probe> {
    let mut topology = topology();
    topology.components = Component::ALL.to_vec();
    topology.primary.etcd_through_vip = true;
    let kubernetes = KubernetesAccess { kubeconfig: "/nowhere".into(), context: String::new() };
    let shop = WorkloadCluster { name: "shop".into(), kubernetes, sends_monitoring: true };
    topology.workload_clusters = vec![shop];
    let mut probes = Vec::new();
    for name in PlanName::ALL {
        let plan = Plan::new(name, &topology);
        probes
            .extend(plan.gates().flat_map(|gate| &gate.evidence).map(|check| check.probe.clone()));
        for step in plan.steps() {
            probes.extend(step.before.iter().chain(&step.after).map(|check| check.probe.clone()));
        }
    }
    probes
}

#[tokio::test]
async fn this_half_answers_exactly_the_probes_that_it_says_it_answers() {
    let mut settings =
        dr_world::Settings { time_limit: HASTE, ssh: "/nowhere/ssh".into(), ..Default::default() };
    settings.attempts = 1;
    settings.api_port = 9;
    settings.ssh = "/nowhere/ssh".into();
    let mut topology = topology();
    // Nothing listens there, so that nothing outside of this machine is asked.
    settings.name_servers = vec!["127.0.0.1:9".parse().unwrap()];
    for cluster in [&mut topology.primary, &mut topology.standby] {
        cluster.vip = "127.0.0.1".into();
    }
    let world = World::with(&topology, settings);
    let mut seen = [0; 4];
    for probe in probes() {
        let probe = at_home(probe);
        let family = family(&probe);
        let answered = world.probe(&probe, None).await.is_some();
        assert_eq!(answered, matches!(family, Family::World | Family::Both), "{probe:?}");
        seen[family as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

/// The same probe of something on 127.0.0.1.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others name no address")]
fn at_home(probe: Probe) -> Probe {
    match probe {
        Probe::Connects { from, .. } => Probe::Connects { host: "127.0.0.1".into(), port: 9, from },
        Probe::SpeaksEtcd { side, from, .. } => {
            Probe::SpeaksEtcd { endpoint: "https://127.0.0.1:9".into(), side, from }
        }
        Probe::CertificateNames { server_name, names, .. } => {
            Probe::CertificateNames { host: "127.0.0.1".into(), port: 9, server_name, names }
        }
        Probe::SameCertificate { server_name, .. } => {
            Probe::SameCertificate { hosts: vec!["127.0.0.1:9".into()], server_name }
        }
        Probe::PageServed { url, .. } => Probe::PageServed { url, address: "127.0.0.1:9".into() },
        other => other,
    }
}

#[tokio::test]
async fn actions_on_the_mirror_are_left_to_the_other_half() {
    let world = World::new(&topology());
    for action in [
        Action::RunCheck,
        Action::PauseMirror,
        Action::ResumeMirror,
        Action::FenceMirror,
        Action::AdmitMirror,
        Action::ReleaseParked,
        Action::RemoveSurplus,
        Action::ExportWrites { side: Side::Standby, path: "bundle".into() },
    ] {
        assert!(world.act(&action, now()).await.is_none(), "{action:?}");
    }
    // Without its kubeconfig nothing can have been sent: that is no doubt.
    let action = Action::RecordRole { side: Side::Standby, role: "standby".into() };
    let refused = world.act(&action, now()).await.unwrap();
    assert!(matches!(&refused, Err(NotDone::Refused(_))), "{refused:?}");
    assert!(matches!(acted(refused), Acted::Refused(_)));
}

#[test]
fn two_halves_hold_together_only_if_both_do() {
    use Verdict::{Fails, Holds, Pending, Unknown};
    for (one, other, together) in [
        (Holds, Holds, Holds),
        (Holds, Pending, Pending),
        (Pending, Unknown, Unknown),
        (Holds, Unknown, Unknown),
        (Unknown, Fails, Fails),
    ] {
        let answer = both(Answer::new(one, "one"), Answer::new(other, "other"));
        assert_eq!((answer.verdict, &*answer.evidence), (together, "one; other"));
        assert_eq!(both(Answer::new(other, ""), Answer::new(one, "")).verdict, together);
    }
}

#[test]
fn the_two_signals_of_a_cluster_that_is_gone_belong_to_two_halves() {
    let gone = |signal| family(&Probe::Unreachable { side: Side::Primary, signal });
    assert_eq!((gone(Signal::Api), gone(Signal::Etcd)), (Family::World, Family::Mirror));
    let name = "platform.example.org".to_owned();
    let probe = Probe::Resolves { name, address: "10.0.0.1".into(), from: Place::Here };
    assert_eq!(family(&probe), Family::World);
}
