//! What both installations have in common: the settings, and the cluster that comes of them.

use crate::plan::Gate;
use crate::plan::place::{Place, Side};
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Cluster, RegistryKind, Topology};

use super::{host, page};

/// The ports that a virtual IP forwards to the control-plane nodes.
pub(super) const VIP_PORTS: [u16; 5] = [80, 443, 6443, 2379, 11_443];

/// The step that installs a cluster.
pub(super) fn installed(id: &str, topology: &Topology, cluster: &Cluster, side: Side) -> Step {
    let domain = &topology.platform.domain;
    let mut step = Step::by_hand(
        id,
        &format!("Install {}", cluster.name),
        "Prepare and install as the platform's documentation says, with these settings.",
    )
    .tell(format!("Platform address: {domain}, a domain; HTTP port 80, HTTPS port 443."))
    .tell(format!("Cluster endpoint: {}, the virtual IP.", cluster.vip))
    .tell("Load balancer: the one you provide; not a self-built virtual IP.")
    .tell("Certificate: the existing one, the same for both clusters; not a self-signed one.");
    step = match cluster.registry.kind {
        RegistryKind::BuiltIn => step.tell(format!(
            "Image repository: deployed by the platform, at {domain}, with both user and password.",
        )),
        RegistryKind::External => {
            step.tell(format!("Image repository: {}.", cluster.registry.address))
        }
    };
    step = step.tell(format!(
        "On the page of advanced settings, other platform addresses: {}; {} among them.",
        cluster.other_addresses.join(", "),
        cluster.vip
    ));
    for port in VIP_PORTS.into_iter().filter(|port| *port != 2379 || cluster.etcd_through_vip) {
        let probe = Probe::Connects { host: cluster.vip.clone(), port, from: Place::Here };
        step = step.after(format!("{}:{port} answers", host(&cluster.vip)), probe);
    }
    let names = certificate_names(topology);
    step.after(
        format!("the certificate that is served names {}", names.join(", ")),
        Probe::CertificateNames {
            host: cluster.vip.clone(),
            port: 443,
            server_name: domain.clone(),
            names,
        },
    )
    .after(
        "the platform's page is served",
        Probe::PageServed { url: page(topology), address: cluster.vip.clone() },
    )
    .after("its etcd is healthy", Probe::EtcdHealthy { side, quota_percent_max: 80 })
}

/// What the platform's certificate has to name.
pub(super) fn certificate_names(topology: &Topology) -> Vec<String> {
    let (primary, standby) = (&topology.primary.vip, &topology.standby.vip);
    vec![topology.platform.domain.clone(), primary.clone(), standby.clone()]
}

/// The certificate is looked at before anything is installed with it.
pub(super) fn certificate_gate(topology: &Topology) -> Gate {
    let names = certificate_names(topology);
    Gate::new("certificate", "A certificate is replaced on two clusters only with an outage.")
        .mend("Have a certificate issued that has all these names, and put it at that path.")
        .evidence(
            format!("it names {}", names.join(", ")),
            Probe::CertificateFile { file: topology.platform.certificate.clone(), names },
        )
        .firm()
}
