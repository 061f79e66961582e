//! The plans, one file each, and what they have in common.

mod check;
mod enable;
mod failback;
mod failover;
mod floor;
mod gates;
mod install;
mod install_standby;
mod installed;
mod restarts;
mod same;
mod switchover;
mod take_over;
mod upgrade;
mod upload;

use super::name::PlanName;
use super::place::{Place, Side};
use super::probe::Probe;
use super::{Plan, step::Step};
use crate::topology::{Cluster, Topology};

/// The namespace of the platform's own components.
const PLATFORM_NAMESPACE: &str = "cpaas-system";
/// The label of the mirror's pods.
const MIRROR_SELECTOR: &str = "app=etcd-sync";
/// The deployment of the mirror.
const MIRROR_DEPLOYMENT: &str = "etcd-sync";
/// By how much a standby's revision is lifted above the primary's: 35 years at 1,000 revisions a
/// second, and far below 2^53, beyond which some clients lose digits.
const REVISION_LIFT: u64 = 1_000_000_000_000;
/// By how much it must be above. From the lift on the primary catches up, for it writes more than
/// what is mirrored: were nothing less than the lift enough, each gate would be closed soon after.
const REVISION_MARGIN: u64 = REVISION_LIFT / 10;

pub(super) fn plan(name: PlanName, topology: &Topology) -> Plan {
    let (purpose, phases) = match name {
        PlanName::Install => install::plan(topology),
        PlanName::Enable => enable::plan(topology),
        PlanName::Check => check::plan(topology),
        PlanName::Switchover => switchover::plan(topology),
        PlanName::Failover => failover::plan(topology),
        PlanName::Failback => failback::plan(topology),
        PlanName::Upgrade => upgrade::plan(topology),
        PlanName::Upload => upload::plan(topology),
    };
    Plan { name, purpose: purpose.to_owned(), phases }
}

fn attested(statement: impl Into<String>) -> Probe {
    Probe::Attested { statement: statement.into() }
}

/// The URL of the platform's page.
fn page(topology: &Topology) -> String {
    format!("https://{}/", topology.platform.domain)
}

/// The addresses of a cluster's control-plane nodes.
fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(|node| node.address.clone()).collect()
}

/// The addresses of all control-plane nodes of both clusters.
fn all_addresses(topology: &Topology) -> Vec<String> {
    let mut all = addresses(&topology.primary);
    all.extend(addresses(&topology.standby));
    all
}

/// A host as it stands in a URL.
fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// Points the platform's domain at one of the clusters, by hand: nobody can guess whose DNS it is.
fn point_domain(id: &str, title: &str, topology: &Topology, cluster: &Cluster, why: &str) -> Step {
    let (domain, vip) = (&topology.platform.domain, &cluster.vip);
    Step::by_hand(id, title, why)
        .tell(format!("In your DNS, point {domain} at {vip}, the virtual IP of {}.", cluster.name))
        .type_in(format!("nslookup {domain}"))
        .after(
            format!("{domain} resolves to {vip}"),
            Probe::Resolves { name: domain.clone(), address: vip.clone(), from: Place::Here },
        )
        .undo(format!("Point {domain} back at the address it had before."))
}

/// An exact check that is made for this step.
fn exact_check(id: &str, title: &str, what: &str) -> Step {
    Step::automatic(id, title, super::Action::RunCheck, what)
        .after("a check that was begun for this step says in-sync", Probe::CheckedSinceBegun)
        .minutes(60)
}

/// The mirror's pods in the standby.
fn mirror_pods_ready(topology: &Topology) -> Probe {
    Probe::PodsReady {
        target: Side::Standby.into(),
        namespace: topology.mirror.namespace.clone(),
        selector: MIRROR_SELECTOR.to_owned(),
    }
}
