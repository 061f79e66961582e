//! The routine check.

use crate::plan::Phase;
use crate::plan::place::Place;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::Topology;

use super::{exact_check, gates, mirror_pods_ready};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Finds out whether the standby could take over now; to be run regularly.";
    let kubectl = topology.standby.kubernetes.kubectl();
    let namespace = &topology.mirror.namespace;
    let check = Phase::new("compare", "Compare")
        .step(
            Step::watched("mirror-up", "The mirror runs", "It is asked on the standby.")
                .after("its pods are ready", mirror_pods_ready(topology))
                .after("it follows", Probe::MirrorState { state: "following".to_owned() })
                .minutes(5),
        )
        .step(exact_check(
            "exact-check",
            "Compare both clusters",
            &format!(
                "The same as `curl $({kubectl} get svc -n {namespace} etcd-sync-monitor -o \
                 jsonpath='{{.spec.clusterIP}}')/check` on a node of the standby, with brackets \
                 around an IPv6 address. If keys are missed, surplus or different, do what the \
                 answer says to do about it: each is named, with the likely reason."
            ),
        ));
    let ready = Phase::new("ready", "Ready to take over")
        .gates([gates::lag(topology), gates::standby_healthy(), gates::encryption_same(topology)])
        .gates(gates::mirror_sound())
        .gates([gates::headroom(), gates::floor(), gates::values_readable(), gates::owners_live()])
        .gates([gates::certificate_served(topology), gates::backups()])
        .step(domain_step(topology));
    (purpose, vec![check, ready])
}

fn domain_step(topology: &Topology) -> Step {
    let (domain, primary) = (&topology.platform.domain, &topology.primary);
    Step::watched(
        "domain-primary",
        "The domain leads to the primary",
        "The roles in the topology file are those of the world.",
    )
    .after(
        format!("{domain} resolves to {}, the virtual IP of {}", primary.vip, primary.name),
        Probe::Resolves { name: domain.clone(), address: primary.vip.clone(), from: Place::Here },
    )
    .minutes(1)
}
