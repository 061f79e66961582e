//! The second cluster, with the keys of the first.

use std::fmt::Write as _;

use crate::plan::Phase;
use crate::plan::place::Side;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::Topology;

use super::installed::{certificate_gate, installed};
use super::{all_addresses, point_domain};

/// The keys with which service account tokens are signed and verified.
const TOKEN_KEYS: [&str; 2] = ["/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"];

pub(super) fn phase(topology: &Topology) -> Phase {
    let (primary, standby) = (&topology.primary, &topology.standby);
    Phase::new("standby", &format!("Install {}, the standby", standby.name))
        .gate(certificate_gate(topology))
        .step(point_domain(
            "dns-standby",
            "Point the domain at the standby for a while",
            topology,
            standby,
            "Its installation reaches itself by the platform's address. Users of the primary are \
             cut off meanwhile: choose the time.",
        ))
        .step(encryption(topology))
        .step(token_keys(topology))
        .step(
            installed("install-standby", topology, standby, Side::Standby)
                .tell(
                    "Take from your notes, unchanged: the platform's address, all of the \
                     certificate, all of the image repository.",
                )
                .tell(
                    "The credentials of the image repository and of the administrator are those \
                     of the primary.",
                ),
        )
        .step(point_domain(
            "dns-back",
            "Point the domain back at the primary",
            topology,
            primary,
            "The standby is installed; the primary serves.",
        ))
}

fn encryption(topology: &Topology) -> Step {
    let path = &topology.platform.encryption_config;
    Step::by_hand(
        "copy-encryption",
        "Give the standby the primary's encryption configuration",
        "Secrets are mirrored as they are stored, encrypted. The nodes that will be the standby's \
         control plane get the file before the cluster is installed on them. Nothing of it is \
         printed on the way; that it arrived is seen by its digest.",
    )
    .tell("On the machine that reaches the nodes of both clusters:")
    .type_in(copy(topology, path))
    .after(
        format!("{path} is the same on every control-plane node, and root's alone"),
        Probe::SameFile { path: path.clone(), nodes: all_addresses(topology), secret: true },
    )
    .undo(format!("Remove {path} from the standby's nodes."))
}

fn token_keys(topology: &Topology) -> Step {
    let mut step = Step::by_hand(
        "copy-token-keys",
        "Give the standby the primary's service account keys",
        "A token that the primary has signed is good on the standby only if it verifies with the \
         same key, and both name the same issuer and audiences.",
    );
    for path in TOKEN_KEYS {
        step = step.type_in(copy(topology, path)).after(
            format!("{path} is the same on every control-plane node"),
            Probe::SameFile {
                path: path.to_owned(),
                nodes: all_addresses(topology),
                secret: path.ends_with(".key"),
            },
        );
    }
    step.tell(
        "Install with the primary's --service-account-issuer and --api-audiences; look them up in \
         the manifest of its API server.",
    )
}

/// Copies a file of the primary's first node to all nodes of the standby, through a pipe: it is
/// never written to this machine, nor to a place that others may read.
fn copy(topology: &Topology, path: &str) -> String {
    let (primary, standby) = (&topology.primary, &topology.standby);
    let Some(first) = primary.nodes.first() else { return String::new() };
    let mut lines = String::new();
    for node in &standby.nodes {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        // Writing to a String does not fail.
        let _ = writeln!(
            lines,
            "ssh {}@{} sudo cat {path} | ssh {}@{} 'sudo mkdir -p {folder} && \
             sudo install -o root -g root -m 600 /dev/stdin {path}'",
            primary.ssh_user, first.address, standby.ssh_user, node.address,
        );
    }
    lines.trim_end().to_owned()
}
