//! Packages for both clusters.

use crate::plan::Phase;
use crate::plan::step::Step;
use crate::topology::{Cluster, RegistryKind, Topology};

use super::{attested, host};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Brings packages to where each cluster looks for them.";
    let phase = Phase::new("upload", "Upload packages");
    let phase = match topology.standby.registry.kind {
        RegistryKind::BuiltIn => phase.step(to_primary(topology)).step(to_standby(topology)),
        RegistryKind::External => phase.step(to_primary(topology)),
    };
    (purpose, vec![phase])
}

fn to_primary(topology: &Topology) -> Step {
    Step::by_hand(
        "push-primary",
        "Upload to the primary",
        "Without a named registry a package goes to the one behind the platform's domain: the \
         primary's.",
    )
    .type_in("violet push PACKAGE")
    .tell("`violet push --help`, and the platform's pages on uploading packages, have the rest.")
    .after("uploaded", attested(format!("{} has the packages.", topology.primary.name)))
}

fn to_standby(topology: &Topology) -> Step {
    let standby: &Cluster = &topology.standby;
    let vip = host(&standby.vip);
    Step::by_hand(
        "push-standby",
        "Upload to the standby's own registry",
        format!(
            "Always name the standby's registry. Without --dest-repo {vip} the package lands in \
             the primary's, and {} can neither install nor upgrade the extension.",
            standby.name
        ),
    )
    .tell(
        "Give the registry's credentials as `violet push --help` says; or, if it asks for none, \
         --no-auth. One of the two is needed.",
    )
    .type_in(format!("violet push PACKAGE --dest-repo {vip} --no-auth"))
    .after("uploaded", attested(format!("The registry of {} has the packages.", standby.name)))
}
