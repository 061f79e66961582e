//! What must be equal on both clusters, and what must not.

use crate::plan::Phase;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Component, Topology};

use super::{all_addresses, attested};

pub(super) fn phase(topology: &Topology) -> Phase {
    let mut phase = Phase::new("compare", "Compare the two clusters")
        .step(certificate(topology))
        .step(keys(topology))
        .step(tokens())
        .step(accounts())
        .step(different())
        .step(versions());
    if topology.has(Component::DevopsEventing) {
        phase = phase.step(eventing(topology));
    }
    phase
}

fn certificate(topology: &Topology) -> Step {
    let hosts = vec![topology.primary.vip.clone(), topology.standby.vip.clone()];
    let server_name = topology.platform.domain.clone();
    Step::watched(
        "certificate-same",
        "One certificate on both",
        "Browsers and agents meet the other cluster under the same name; it has to show them the \
         certificate that they know, whole: certificate, key and chain.",
    )
    .after(
        format!("both virtual IPs serve the same certificate for {server_name}"),
        Probe::SameCertificate { hosts, server_name },
    )
}

fn keys(topology: &Topology) -> Step {
    let path = topology.platform.encryption_config.clone();
    Step::watched(
        "encryption-verified",
        "One encryption configuration on all nodes",
        "Compared by digest: no key is shown. The installation may have replaced the file that was \
         copied, so it is looked at again. Where keys rotate by themselves, both clusters must \
         derive them from the same seed; a key that only one of them has is found by the check \
         before it does harm, as long as the mirror lags less than the time until a new key is \
         used.",
    )
    .after(
        format!("{path} is the same on every control-plane node of both clusters"),
        Probe::SameFile { path, nodes: all_addresses(topology), secret: true },
    )
}

fn tokens() -> Step {
    Step::watched(
        "tokens-same",
        "One set of service account keys, issuer and audiences",
        "Agents in workload clusters carry tokens that the primary has signed. A standby with \
         another key, another issuer or other audiences refuses them all.",
    )
    .after("both sides agree on keys, issuer and audiences", Probe::SameTokenSettings)
}

fn accounts() -> Step {
    Step::by_hand(
        "accounts-same",
        "The same administrator and registry credentials",
        "The administrator's account and the credentials of the image registry are used on \
         whichever cluster serves; the login's settings and signing keys belong to them.",
    )
    .tell("Log in to both clusters, each by its virtual IP, with the same administrator account.")
    .tell("Log in to both image registries with the same user and password.")
    .after(
        "the same credentials work on both",
        attested("The same administrator and registry credentials work on both clusters."),
    )
}

fn different() -> Step {
    Step::watched(
        "identities-differ",
        "Two identities",
        "Each cluster keeps its own identity: cluster ids, node names, virtual IPs, the authorities \
         of etcd and of the front proxy. Service addresses and node ports must not collide, since \
         the mirrored services keep the ones they were given.",
    )
    .after("the two are different clusters", Probe::DifferentClusters)
    .after("no mirrored service takes a local one's address", Probe::ServiceAddressesApart)
}

fn versions() -> Step {
    Step::watched(
        "versions-fit",
        "The standby is not older",
        "An object of a kind or version that the standby does not know can't be listed there.",
    )
    .after("the standby's version is not older than the primary's", Probe::VersionNotOlder)
}

fn eventing(topology: &Topology) -> Step {
    let standby = &topology.standby.name;
    Step::by_hand(
        "eventing-installed",
        "Install DevOps Eventing on the standby as well",
        "Its operator and its instances live in namespaces that stay local, so the mirror does not \
         bring them.",
    )
    .tell(format!("On {standby}, install knative-operator and the instances that the primary has."))
    .type_in(format!("{} get knativeeventings -A", topology.standby.kubernetes.kubectl()))
    .after(
        "operator and instances are there",
        attested(format!("knative-operator and its instances run on {standby} too.")),
    )
}
