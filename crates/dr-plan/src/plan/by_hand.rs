//! What a person types who does an action that a program would do.

use super::action::Action;
use super::on_nodes::restart_controllers_everywhere;
use super::place::{Side, Target};
use super::shield::write_shield;
use crate::topology::{Cluster, Topology};

/// The config map in which a cluster's role is recorded.
pub const ROLE_RECORD: &str = "etcd-sync-role";

impl Action {
    /// Returns lines for a shell that come to the same; `None` if only this software can do it.
    #[must_use]
    pub fn by_hand(&self, topology: &Topology) -> Option<String> {
        let namespace = &topology.mirror.namespace;
        let kubectl = |target: &Target| kubectl(topology, target);
        let own = |side: &Side| of(topology, *side).kubernetes.kubectl();
        Some(match self {
            Self::FenceMirror
            | Self::AdmitMirror
            | Self::ReleaseParked
            | Self::ExportWrites { .. } => return None,
            Self::RemoveSurplus => remove_surplus(topology),
            Self::RunCheck => check(topology),
            Self::PauseMirror => order("pause", topology),
            Self::ResumeMirror => order("resume", topology),
            Self::RaiseShield { side } => {
                format!("{} apply -f - <<'END'\n{}END", own(side), write_shield())
            }
            Self::LowerShield { side } => format!(
                "{} delete --ignore-not-found \
                 validatingadmissionpolicybinding,validatingadmissionpolicy etcd-sync-write-shield",
                own(side)
            ),
            Self::RestartPods { target, namespace, selector } => {
                format!("{} delete pods -n {namespace} -l '{selector}'", kubectl(target)?)
            }
            Self::Scale { target, namespace, deployment, replicas } => format!(
                "{} scale deployment {deployment} -n {namespace} --replicas={replicas}",
                kubectl(target)?
            ),
            Self::RecordRole { side, role } => format!(
                "{kubectl} create configmap {ROLE_RECORD} -n {namespace} \
                 --from-literal=role={role} --dry-run=client -o yaml | {kubectl} apply -f -",
                kubectl = own(side)
            ),
            Self::RestartControllers { side } => {
                restart_controllers_everywhere(of(topology, *side))
            }
        })
    }
}

const fn of(topology: &Topology, side: Side) -> &Cluster {
    match side {
        Side::Primary => &topology.primary,
        Side::Standby => &topology.standby,
    }
}

fn kubectl(topology: &Topology, target: &Target) -> Option<String> {
    match target {
        Target::Side(side) => Some(of(topology, *side).kubernetes.kubectl()),
        Target::Workload(name) => {
            let mut clusters = topology.workload_clusters.iter();
            clusters.find(|cluster| cluster.name == *name).map(|found| found.kubernetes.kubectl())
        }
    }
}

/// Asks the monitor; without an address of its own, on a node of the standby.
fn check(topology: &Topology) -> String {
    let monitor = topology.mirror.monitor.trim_end_matches('/');
    if !monitor.is_empty() {
        return format!("curl {monitor}/check");
    }
    let kubectl = topology.standby.kubernetes.kubectl();
    let namespace = &topology.mirror.namespace;
    format!(
        "curl http://$({kubectl} get svc -n {namespace} etcd-sync-monitor \
         -o jsonpath='{{.spec.clusterIP}}')/check"
    )
}

/// An order to the mirror, which goes through the standby's etcd.
fn order(verb: &str, topology: &Topology) -> String {
    let name = &topology.mirror.name;
    format!("etcd-sync {verb} --mirror-name {name}{}", flags("standby", &topology.standby))
}

/// Orders exactly what the plan shows at this moment.
fn remove_surplus(topology: &Topology) -> String {
    let primary = flags("primary", &topology.primary);
    let repair = format!("{}{primary} --kind surplus", order("repair", topology));
    format!(
        "{repair} --execute --accept \
         \"$({repair} -o json | sed -n 's/.*\"digest\": *\"\\([^\"]*\\)\".*/\\1/p')\""
    )
}

/// How `etcd-sync` is told where a cluster's etcd is.
fn flags(side: &str, cluster: &Cluster) -> String {
    let etcd = &cluster.etcd;
    let mut flags = format!(" --{side}-endpoints {}", etcd.endpoints.join(","));
    for (flag, value) in [("cacert", &etcd.cacert), ("cert", &etcd.cert), ("key", &etcd.key)] {
        if !value.is_empty() {
            flags.extend([" --", side, "-", flag, " ", value]);
        }
    }
    flags
}
