//! Lifts a cluster's revision above everything that the other one has ever handed out.

use crate::plan::Phase;
use crate::plan::check::Side;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Cluster, Topology};

use super::{REVISION_MARGIN, host};

/// What is stopped meanwhile, by its manifests.
const MANIFESTS: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml \
                         /etc/kubernetes/manifests/kube-controller-manager.yaml";

pub(super) fn phase(topology: &Topology) -> Phase {
    Phase::new("floor", &format!("Lift the revision of {}", topology.standby.name))
        .step(lift(&topology.standby))
}

fn lift(standby: &Cluster) -> Step {
    let members: Vec<String> = standby
        .nodes
        .iter()
        .map(|node| format!("{}=https://{}:2380", node.name, host(&node.address)))
        .collect();
    let members = members.join(",");
    let endpoint = standby.etcd.endpoints.first().map_or("", String::as_str);
    let mut step = Step::by_hand(
        "lift-revision",
        "Restore its etcd once with a higher revision",
        "Every revision that the primary has handed out becomes older than all that the standby \
         knows, so that after a change of roles a client is told to read anew instead of waiting \
         for events that it has missed. Done now it costs one restart; done in a failover it costs \
         the failover. A standby whose revision is above already is left alone.",
    )
    .tell(
        "On every control-plane node, stop the API server and the controller manager: both remember \
         the old revisions until they start anew.",
    )
    .type_in(for_each(standby, "mkdir -p /etc/kubernetes/stopped"))
    .type_in(for_each(standby, &format!("mv {MANIFESTS} /etc/kubernetes/stopped/")))
    .tell("Take one snapshot.")
    .type_in(format!(
        "etcdctl --endpoints {endpoint} --cacert {} --cert {} --key {} snapshot save floor.db",
        standby.etcd.cacert, standby.etcd.cert, standby.etcd.key
    ))
    .tell(
        "On every control-plane node, stop etcd in the same way, set its data folder aside, and \
         restore the snapshot. The names are those in each member's manifest.",
    );
    for node in &standby.nodes {
        step = step.type_in(format!(
            "scp floor.db {user}@{at}:/var/tmp/floor.db\n\
             ssh {user}@{at} etcdutl snapshot restore /var/tmp/floor.db \
             --bump-revision {REVISION_MARGIN} --mark-compacted \
             --name {name} --initial-cluster {members} \
             --initial-advertise-peer-urls https://{url}:2380 --data-dir /var/lib/etcd",
            user = standby.ssh_user,
            at = node.address,
            name = node.name,
            url = host(&node.address),
        ));
    }
    step.tell("Start etcd on all nodes, then the rest: move the manifests back.")
        .tell("etcdutl knows these flags from 3.4.27, 3.5.10 and 3.6 on.")
        .after(
            "the standby's revision is far above the primary's",
            Probe::RevisionFloor { margin: REVISION_MARGIN },
        )
        .after(
            "all members answer, no alarm",
            Probe::EtcdHealthy { side: Side::Standby, quota_percent_max: 80 },
        )
        .undo("Stop etcd on every node and put the data folders that were set aside back.")
}

/// One `ssh` line for every control-plane node.
pub(super) fn for_each(cluster: &Cluster, command: &str) -> String {
    let lines = cluster
        .nodes
        .iter()
        .map(|node| format!("ssh {}@{} sudo {command}", cluster.ssh_user, node.address));
    lines.collect::<Vec<_>>().join("\n")
}
