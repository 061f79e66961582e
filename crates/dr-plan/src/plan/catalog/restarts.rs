//! Restarts of services that hold on to what they knew before.

use crate::plan::action::Action;
use crate::plan::place::{Side, Target};
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Component, Topology};

use super::PLATFORM_NAMESPACE;

/// Pods of Elasticsearch.
pub(super) const ELASTICSEARCH: &str = "service_name=cpaas-elasticsearch";
const VICTORIAMETRICS: &str = "service_name in (alertmanager,vmselect,vminsert)";
const CLUSTER_TRANSFORMER: &str = "service_name=cluster-transformer";
const WARLOCK: &str = "service_name=warlock";
const COREDNS: &str = "k8s-app=kube-dns";

/// Restarts pods and waits until all of them are new and ready.
pub(super) fn restart(
    id: &str,
    title: &str,
    target: impl Into<Target>,
    namespace: &str,
    selector: &str,
    what: &str,
) -> Step {
    let (target, namespace) = (target.into(), namespace.to_owned());
    let action = Action::RestartPods {
        target: target.clone(),
        namespace: namespace.clone(),
        selector: selector.to_owned(),
    };
    let says = format!("all pods with {selector} in {namespace} are new and ready");
    let selector = selector.to_owned();
    Step::automatic(id, title, action, what)
        .after(says, Probe::PodsRestarted { target, namespace, selector })
        .minutes(15)
}

/// The services of the standby whose data has come in beneath them, where they are installed.
pub(super) fn data_services(topology: &Topology) -> Vec<Step> {
    let mut steps = Vec::new();
    let own = |id, title, selector| {
        let what = "It reads its settings when it starts; they have been replaced since.";
        restart(id, title, Side::Standby, PLATFORM_NAMESPACE, selector, what)
    };
    if topology.has(Component::Elasticsearch) {
        steps.push(own("restart-elasticsearch", "Restart the log storage", ELASTICSEARCH));
    }
    if topology.has(Component::Victoriametrics) {
        steps.push(own("restart-victoriametrics", "Restart the monitoring", VICTORIAMETRICS));
    }
    steps
}

/// All services that have to learn of a change of roles, workload clusters included.
pub(super) fn after_change(topology: &Topology) -> Vec<Step> {
    let mut steps = data_services(topology);
    if topology.has(Component::ClusterTransformer) {
        steps.push(restart(
            "restart-cluster-transformer",
            "Restart the cluster transformer",
            Side::Standby,
            PLATFORM_NAMESPACE,
            CLUSTER_TRANSFORMER,
            "It reads its settings when it starts; they have been replaced since.",
        ));
    }
    for cluster in topology.workload_clusters.iter().filter(|cluster| cluster.sends_monitoring) {
        steps.push(restart(
            &format!("restart-warlock-{}", cluster.name),
            &format!("Restart warlock in {}", cluster.name),
            Target::Workload(cluster.name.clone()),
            PLATFORM_NAMESPACE,
            WARLOCK,
            "It sends the workload cluster's monitoring data to the platform and keeps the old \
             address until it starts anew.",
        ));
    }
    steps
}

/// The resolver of the standby forgets what it cached.
pub(super) fn coredns() -> Step {
    restart(
        "restart-coredns",
        "Restart the standby's resolver",
        Side::Standby,
        "kube-system",
        COREDNS,
        "Its cache may hold the old address for as long as its TTL; a new pod asks anew.",
    )
}
