//! What is typed to have something done on every control-plane node.

use crate::topology::Cluster;

/// What starts the API server and the controller manager, as long as it lies there.
pub(super) const MANIFESTS: [&str; 2] = [
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
];
/// Where manifests lie meanwhile.
pub(super) const STOPPED: &str = "/etc/kubernetes/stopped";

/// Returns one `ssh` line for every node, with a command of plain words.
pub(super) fn for_each(cluster: &Cluster, command: &str) -> String {
    let lines = cluster
        .nodes
        .iter()
        .map(|node| format!("ssh {}@{} sudo {command}", cluster.ssh_user, node.address));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns one `ssh` line for every node, with a script for a shell of root's. `ssh` hands its words
/// over as one line, to another shell: the quotes around the script have to survive the first one.
/// The script has neither quotes nor anything that a shell fills in.
fn for_each_in_a_shell(cluster: &Cluster, script: &str) -> String {
    let lines = cluster
        .nodes
        .iter()
        .map(|node| format!("ssh {}@{} \"sudo sh -c '{script}'\"", cluster.ssh_user, node.address));
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn restart_controllers_everywhere(cluster: &Cluster) -> String {
    for_each_in_a_shell(cluster, &restart_controllers())
}

/// Returns what restarts the API server and the controller manager of the node on which root runs
/// it in a shell. It has no quotes, and nothing that a shell fills in but names of files.
///
/// The kubelet stops what has no manifest and starts what has one; half a minute is longer than it
/// takes to look. Interrupted and run again, it ends with the manifests in their place.
#[must_use]
pub fn restart_controllers() -> String {
    let manifests = MANIFESTS.join(" ");
    format!(
        "mkdir -p {STOPPED} && mv {manifests} {STOPPED}/ && sleep 30; \
         mv {STOPPED}/* /etc/kubernetes/manifests/"
    )
}
