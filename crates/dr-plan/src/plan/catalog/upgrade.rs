//! A newer version of the platform, the standby first.

use crate::plan::Phase;
use crate::plan::action::Action;
use crate::plan::place::Side;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Cluster, Topology};

use super::{attested, exact_check, gates, restarts};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Upgrades both clusters; the standby first, so that it can read all it is given.";
    let phases = vec![pause(topology), upgrade(topology), resume(topology)];
    (purpose, phases)
}

fn pause(topology: &Topology) -> Phase {
    Phase::new("pause", "Pause the mirror")
        .gates([gates::checked_lately(), gates::owners_live(), gates::standby_healthy()])
        .gates([gates::lag(topology), gates::backups()])
        .step(
            Step::automatic(
                "pause-mirror",
                "Pause the mirror",
                Action::PauseMirror,
                "Upgrades write to what stays local and to what is mirrored; the two do not mix. \
                 The mirror keeps its checkpoint. Until it goes on, a failover loses everything \
                 since.",
            )
            .after("it is paused", Probe::MirrorState { state: "paused".to_owned() })
            .undo("Resume the mirror: `etcd-sync resume`."),
        )
}

fn upgrade(topology: &Topology) -> Phase {
    Phase::new("upgrade", "Upgrade")
        .step(
            Step::by_hand(
                "packages",
                "Upload the packages to both clusters",
                "Each takes its images from its own registry; the plan `upload` says how.",
            )
            .tell("Run the plan `upload` with the packages of the new version.")
            .after("uploaded", attested("Both registries have the packages of the new version.")),
        )
        .step(
            one("upgrade-standby", &topology.standby, "Nobody uses it, and it may be ahead.")
                .after("the standby is not older", Probe::VersionNotOlder)
                .after(
                    "its etcd is healthy",
                    Probe::EtcdHealthy { side: Side::Standby, quota_percent_max: 80 },
                ),
        )
        .step(
            one("upgrade-primary", &topology.primary, "The standby can read what it will write.")
                .before("the standby is not older", Probe::VersionNotOlder)
                .after("both run the same version", Probe::SameVersion),
        )
}

fn one(id: &str, cluster: &Cluster, why: &str) -> Step {
    Step::by_hand(id, &format!("Upgrade {}", cluster.name), why)
        .tell(format!("Upgrade {} as the platform's documentation says.", cluster.name))
        .type_in(format!("{} version", cluster.kubernetes.kubectl()))
        .after("it is upgraded", attested(format!("{} runs the new version.", cluster.name)))
}

fn resume(topology: &Topology) -> Phase {
    Phase::new("resume", "Let the mirror go on")
        .gate(gates::encryption_same(topology))
        .step(
            Step::automatic(
                "resume-mirror",
                "Resume the mirror",
                Action::ResumeMirror,
                "It goes on from its checkpoint; if the primary has compacted past it, it compares \
                 both sides and writes what differs.",
            )
            .after("it follows", Probe::MirrorState { state: "following".to_owned() })
            .minutes(120),
        )
        .step(exact_check("exact-check", "Compare both clusters", "As on any day."))
        .steps(restarts::data_services(topology))
}
