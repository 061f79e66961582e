//! Lifts a cluster's revision above everything that the other one has ever handed out.

use crate::plan::Phase;
use crate::plan::on_nodes::{MANIFESTS, STOPPED, for_each};
use crate::plan::place::Side;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Cluster, Topology};

use super::{REVISION_LIFT, REVISION_MARGIN, host};

/// Where the data folder is set aside; behind it comes the number that the revision is lifted by.
const ASIDE: &str = "/var/lib/etcd.before";

pub(super) fn phase(topology: &Topology) -> Phase {
    Phase::new("floor", &format!("Lift the revision of {}", topology.standby.name))
        .step(lift(topology))
}

fn lift(topology: &Topology) -> Step {
    let standby = &topology.standby;
    let typed = |command: String| for_each(standby, &command);
    let stopped = MANIFESTS.map(|path| path.replace("/etc/kubernetes/manifests", STOPPED));
    let step = Step::by_hand(
        "lift-revision",
        "Restore its etcd once with a higher revision",
        "Every revision that the primary has handed out becomes older than all that the standby \
         knows, so that after a change of roles a client is told to read anew instead of waiting \
         for events that it has missed. Done now it costs one restart; done in a failover it costs \
         the failover. A standby whose revision is above already is left alone.",
    )
    .tell("In one shell, reckon from the primary's revision by how much to lift the standby's.")
    .type_in(format!(
        "FLOOR=$(( $({} endpoint status -w fields | sed -n 's/^\"Revision\" : //p' \
         | sort -n | tail -1) + {REVISION_LIFT} )); echo $FLOOR",
        etcdctl(&topology.primary),
    ))
    .tell(
        "On every control-plane node, stop the API server and the controller manager: both remember \
         the old revisions until they start anew.",
    )
    .type_in(typed(format!("mkdir -p {STOPPED}")))
    .type_in(typed(format!("mv {} {STOPPED}/", MANIFESTS.join(" "))))
    .tell("Take one snapshot.")
    .type_in(format!("{} snapshot save floor.db", etcdctl(standby)))
    .tell("On every control-plane node, stop etcd. It has ended when the second line prints nothing.")
    .type_in(typed(format!("mv /etc/kubernetes/manifests/etcd.yaml {STOPPED}/")))
    .type_in(typed("pgrep -x etcd".to_owned()))
    .tell(
        "Set its data folder aside, under a name that no earlier lift has used, and restore the \
         snapshot. The names are those in each member's manifest, and so is the folder.",
    )
    .type_in(typed(format!("mv -T /var/lib/etcd {ASIDE}.${{FLOOR:?}}")));
    restores(standby, step)
        .tell("Start etcd on all nodes, then the rest.")
        .type_in(typed(format!("mv {STOPPED}/etcd.yaml /etc/kubernetes/manifests/")))
        .type_in(typed(format!("mv {} /etc/kubernetes/manifests/", stopped.join(" "))))
        .tell("etcdutl knows these flags from 3.4.27, 3.5.10 and 3.6 on.")
        .tell(format!(
            "What was set aside, floor.db here and /var/tmp/floor.db on the nodes hold the cluster's \
             secrets. Once the plan is done, remove them; {ASIDE}.* of earlier lifts, too."
        ))
        .after(
            "the standby's revision is far above the primary's",
            Probe::RevisionFloor { margin: REVISION_MARGIN },
        )
        .after(
            "all members answer, no alarm",
            Probe::EtcdHealthy { side: Side::Standby, quota_percent_max: 80 },
        )
        .undo(format!(
            "Stop etcd on every node, and put back what was set aside in this lift: {ASIDE}.NUMBER, \
             with the number that was reckoned in it, which is the highest."
        ))
}

/// One member is restored on its node; all from the same snapshot, by the same number.
fn restores(standby: &Cluster, mut step: Step) -> Step {
    let members = standby
        .nodes
        .iter()
        .map(|node| format!("{}=https://{}:2380", node.name, host(&node.address)));
    let members = members.collect::<Vec<_>>().join(",");
    for node in &standby.nodes {
        step = step.type_in(format!(
            "scp floor.db {user}@{at}:/var/tmp/floor.db\n\
             ssh {user}@{at} sudo etcdutl snapshot restore /var/tmp/floor.db \
             --bump-revision $FLOOR --mark-compacted \
             --name {name} --initial-cluster {members} \
             --initial-advertise-peer-urls https://{url}:2380 --data-dir /var/lib/etcd",
            user = standby.ssh_user,
            at = node.address,
            name = node.name,
            url = host(&node.address),
        ));
    }
    step
}

/// The beginning of an `etcdctl` command line that speaks to the cluster's first member.
fn etcdctl(cluster: &Cluster) -> String {
    let etcd = &cluster.etcd;
    let mut line = "etcdctl".to_owned();
    for (flag, value) in [
        ("endpoints", etcd.endpoints.first().map_or("", String::as_str)),
        ("cacert", &etcd.cacert),
        ("cert", &etcd.cert),
        ("key", &etcd.key),
    ] {
        if !value.is_empty() {
            line.extend([" --", flag, " ", value]);
        }
    }
    line
}
