//! Files on nodes, which no API shows.

use dr_plan::Answer;
use dr_plan::topology::Topology;

use crate::words::unknown;

/// Says how to compare a file on these nodes. It prints digests and owners, not what is in it.
pub(crate) fn by_hand(topology: &Topology, path: &str, nodes: &[String], secret: bool) -> Answer {
    let mut lines = Vec::new();
    for cluster in [&topology.primary, &topology.standby] {
        let own = cluster.nodes.iter().map(|node| node.address.as_str());
        let own: Vec<&str> = own.filter(|own| nodes.iter().any(|node| node == own)).collect();
        if own.is_empty() {
            continue;
        }
        lines.push(format!(
            "for i in {}; do ssh {}@$i \"sudo sha256sum {path}; sudo stat -c '%U %a' {path}\"; done",
            own.join(" "),
            cluster.ssh_user
        ));
    }
    let also = if secret { ", and say `root 600`" } else { "" };
    unknown(format!(
        "files on nodes are not looked at from here; the digests must be the same{also}: {}",
        lines.join("; ")
    ))
}
