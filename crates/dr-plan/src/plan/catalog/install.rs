//! Two clusters that can stand in for each other.

use crate::plan::Phase;
use crate::plan::place::Side;
use crate::plan::probe::Probe;
use crate::plan::shield::LOCAL_NAMESPACES;
use crate::plan::step::Step;
use crate::topology::{Cluster, RegistryKind, Topology};

use super::installed::{VIP_PORTS, certificate_names, installed};
use super::{attested, install_standby, point_domain, same};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Installs two clusters of which either can serve the platform.";
    let phases = vec![
        know(topology),
        prepare(topology),
        primary(topology),
        install_standby::phase(topology),
        same::phase(topology),
    ];
    (purpose, phases)
}

fn know(topology: &Topology) -> Phase {
    let local = LOCAL_NAMESPACES.join(", ");
    Phase::new("know", "Know what you will have")
        .step(
            Step::by_hand(
                "what-is-covered",
                "What a pair survives, and what it does not",
                "One cluster serves the platform: the primary, at which the domain points. The \
                 other, the standby, holds a copy of the primary's etcd as it changes, and can take \
                 over. The roles change with the domain, not with the machines. The platform \
                 manages all other clusters from here, so that it matters that it stays.",
            )
            .tell(
                "Covered: the primary is broken beyond repair; its machines are lost or out of \
                 reach; its site is cut off.",
            )
            .tell(
                "Not covered: failures of applications in these clusters; data that a storage \
                 system loses, and application data in general. Only what is in etcd is copied.",
            )
            .after("read", attested("I know what is covered and what is not.")),
        )
        .step(
            Step::by_hand(
                "what-stays-local",
                "What is never copied",
                "Image registries, chart repositories and other components keep their data to \
                 themselves. So does everything in the namespaces that stay local.",
            )
            .tell(format!("Local namespaces: {local}."))
            .tell("Back up by yourself what users make in one of them.")
            .tell(registries(topology))
            .after(
                "arranged for",
                attested("Somebody backs up what users make in the local namespaces."),
            ),
        )
}

fn registries(topology: &Topology) -> String {
    match topology.primary.registry.kind {
        RegistryKind::BuiltIn => {
            "Each cluster has an image registry of its own: every image is uploaded to both, with \
             the plan `upload`."
        }
        RegistryKind::External => "Both clusters take their images from one registry outside.",
    }
    .to_owned()
}

fn prepare(topology: &Topology) -> Phase {
    let names = certificate_names(topology);
    let listed = names.join(", ");
    let domain = &topology.platform.domain;
    Phase::new("prepare", "Prepare names, addresses and load balancers")
        .step(
            Step::by_hand(
                "platform-domain",
                "A domain and its certificate",
                "The platform's address is a domain: only a name can be pointed at another \
                 cluster. Both clusters get the same existing certificate; one that a cluster \
                 signs for itself is known to nobody on the other.",
            )
            .tell(format!("Reserve {domain}."))
            .tell(format!("Have a certificate issued, with its key, for: {listed}."))
            .tell(format!("Put the certificate at {}.", topology.platform.certificate))
            .after(
                format!("the certificate names {listed}"),
                Probe::CertificateFile { file: topology.platform.certificate.clone(), names },
            ),
        )
        .step(vips(topology))
        .step(load_balancers(topology))
        .step(
            Step::by_hand(
                "link",
                "A stable link",
                "The mirror goes on by itself after any interruption, but what it has not copied \
                 when the primary is lost is lost.",
            )
            .tell("Provide a stable network between the two clusters.")
            .after("there is one", attested("The two clusters have a stable link.")),
        )
        .step(nodes_named(topology))
        .step(
            Step::by_hand(
                "architectures",
                "The right package",
                "Clusters of different processor architectures need images for both.",
            )
            .tell("If one cluster is x86 and the other ARM, get the dual-architecture package.")
            .after("it fits", attested("The installation package fits both clusters' machines.")),
        )
}

fn vips(topology: &Topology) -> Step {
    let (primary, standby) = (&topology.primary, &topology.standby);
    Step::by_hand(
        "vips",
        "One virtual IP each",
        "Users and agents reach a cluster by its virtual IP, whichever node answers.",
    )
    .tell(format!("Reserve {} for {}.", primary.vip, primary.name))
    .tell(format!("Reserve {} for {}.", standby.vip, standby.name))
    .after("both are reserved", attested("Both virtual IPs belong to nobody else."))
}

fn load_balancers(topology: &Topology) -> Step {
    let ports = VIP_PORTS.map(|port| port.to_string()).join(", ");
    let mut step = Step::by_hand(
        "load-balancers",
        "Load balancers of your own",
        "The virtual IPs are served by load balancers that you provide; the one that an \
         installation can build by itself does not do for a pair.",
    )
    .tell(format!("Forward TCP ports {ports} as plain TCP."));
    for cluster in [&topology.primary, &topology.standby] {
        let nodes: Vec<&str> = cluster.nodes.iter().map(|node| node.address.as_str()).collect();
        step = step.tell(format!("{} goes to {}.", cluster.vip, nodes.join(", ")));
    }
    step.after(
        "the ports are forwarded",
        attested(format!("TCP {ports} of both virtual IPs go to the control-plane nodes.")),
    )
}

fn nodes_named(topology: &Topology) -> Step {
    let names = |cluster: &Cluster| {
        cluster.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (primary, standby) = (&topology.primary, &topology.standby);
    Step::by_hand(
        "node-names",
        "Names that tell where a node belongs",
        "On the day of a failover nobody should have to look up which cluster a node is of.",
    )
    .tell(format!("{}: {}.", primary.name, names(primary)))
    .tell(format!("{}: {}.", standby.name, names(standby)))
    .after("they tell", attested("A node's name tells which cluster it is of."))
}

fn primary(topology: &Topology) -> Phase {
    let cluster = &topology.primary;
    Phase::new("primary", &format!("Install {}, the primary", cluster.name))
        .step(point_domain(
            "dns-primary",
            "Point the domain at the primary",
            topology,
            cluster,
            "An installation reaches itself by the platform's address.",
        ))
        .step(
            Step::by_hand(
                "write-down",
                "Write every parameter down",
                "Many must be the same when the standby is installed, and the installer does not \
                 show them again.",
            )
            .tell("While you go through the installer's pages, note every value that you set.")
            .after("noted", attested("Every parameter of the installation is written down.")),
        )
        .step(installed("install-primary", topology, cluster, Side::Primary))
}
