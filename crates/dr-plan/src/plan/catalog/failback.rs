//! The old primary becomes the standby.

use crate::plan::action::Action;
use crate::plan::gate::Confirmation;
use crate::plan::place::{Place, Side};
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::plan::{Check, Gate, Phase};
use crate::topology::Topology;

use super::{attested, enable, host, take_over};

/// Where the bundle is written, beside the topology file.
fn bundle(topology: &Topology) -> String {
    format!("unmirrored-writes-of-{}", topology.standby.name)
}

/// The topology is that of after the change of roles: its standby is the old primary.
pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Enrols the old primary as the new standby, and keeps what only it has.";
    let mut phases = vec![keep_away(topology), export(topology), give_up(topology)];
    phases.extend(enable::copy(topology));
    phases.push(clear(topology));
    phases.push(enable::settle(topology));
    (purpose, phases)
}

fn keep_away(topology: &Topology) -> Phase {
    let (primary, old) = (&topology.primary, &topology.standby);
    let domain = &topology.platform.domain;
    Phase::new("return", &format!("Let {} come back, and do nothing", old.name))
        .gate(
            Gate::new("domain-primary", "The roles in the file are those of the world.")
                .mend(
                    "Exchange the roles in the topology file if they have changed, or point the \
                     domain at the primary.",
                )
                .evidence(
                    format!("{domain} resolves to {}", primary.vip),
                    Probe::Resolves {
                        name: domain.clone(),
                        address: primary.vip.clone(),
                        from: Place::Here,
                    },
                )
                .firm(),
        )
        .step(
            Step::by_hand(
                "start-fenced",
                "Start it without its writers",
                "Its etcd is needed, its users are not: whatever it writes now would have to be \
                 thrown away.",
            )
            .tell(format!("Start the nodes of {}; leave {} unserved.", old.name, old.vip))
            .tell("If its API servers were taken away, put their manifests back now.")
            .after("its etcd is healthy", healthy()),
        )
        .step(
            Step::automatic(
                "fence-old",
                "Fence its writers",
                Action::RaiseShield { side: Side::Standby },
                "Its API refuses writes to what is mirrored until it is the standby.",
            )
            .after(
                "its API refuses, and its scope stands still",
                Probe::WritesRefused { side: Side::Standby },
            ),
        )
        .step(take_over::record_role("role-resigned", Side::Standby, "standby"))
}

fn healthy() -> Probe {
    Probe::EtcdHealthy { side: Side::Standby, quota_percent_max: 80 }
}

fn export(topology: &Topology) -> Phase {
    let (old, path) = (&topology.standby.name, bundle(topology));
    Phase::new("export", "Keep what only it has")
        .step(
            Step::automatic(
                "export-writes",
                "Export the writes that were not mirrored",
                Action::ExportWrites { side: Side::Standby, path: path.clone() },
                format!(
                    "Everything that {old} wrote after the checkpoint at which the roles changed: \
                     keys, and values as they are stored. The mirror overwrites them soon. The \
                     bundle holds secrets; guard it like the cluster.",
                ),
            )
            .after("the bundle is whole", Probe::BundleWritten { path: path.clone() })
            .minutes(60),
        )
        .step(
            Step::by_hand(
                "review-writes",
                "Decide about them",
                "Nothing is merged by itself: the same object may have gone on on both sides.",
            )
            .tell(format!("Read {path}/summary.txt; make again on the primary what is wanted."))
            .after("decided", attested("What was wanted of the bundle is on the primary.")),
        )
}

fn give_up(topology: &Topology) -> Phase {
    let (primary, old) = (&topology.primary.name, &topology.standby.name);
    let statement = format!(
        "{old} gives its own history up and becomes a copy of {primary}, below the bundle."
    );
    let path = bundle(topology);
    let facts = vec![Check::new(
        "the bundle and what is in it",
        Probe::BundleWritten { path: path.clone() },
    )];
    Phase::new("give-up", "Give the old history up")
        .gate(
            Gate::new("bundle", "What is overwritten is kept first.")
                .mend(
                    "Give this run up, `etcd-dr abandon --reason TEXT`, and begin again, `etcd-dr \
                     failback`: it passes over what is done and exports the writes anew. The bundle \
                     of before is kept beside the new one.",
                )
                .evidence("the bundle is whole", Probe::BundleWritten { path })
                .firm(),
        )
        .confirm(Confirmation { statement, facts, word: old.clone() })
        .step(
            Step::automatic(
                "lower-shield",
                "Let it be written again",
                Action::LowerShield { side: Side::Standby },
                "As a standby it needs its own controllers; the role that is recorded keeps them \
                 from acting on what is outside.",
            )
            .before(
                "the role that is recorded is standby",
                Probe::RoleRecorded { side: Side::Standby, role: "standby".to_owned() },
            )
            .after("the shield is gone", shield_gone()),
        )
        .step(
            Step::by_hand(
                "serve-vip",
                "Serve its virtual IP again",
                "The domain leads to the other cluster; by its virtual IP it is reached as the \
                 standby.",
            )
            .tell(format!("Let the load balancer serve {} again.", topology.standby.vip))
            .after(
                format!("{}:6443 answers", host(&topology.standby.vip)),
                Probe::Connects {
                    host: topology.standby.vip.clone(),
                    port: 6443,
                    from: Place::Here,
                },
            ),
        )
}

/// A first copy takes nothing away: it can't know whose keys it finds.
fn clear(topology: &Topology) -> Phase {
    let (primary, old) = (&topology.primary.name, &topology.standby.name);
    Phase::new("clear", "Clear away what only the old history has").step(
        Step::automatic(
            "remove-surplus",
            "Remove what the primary does not have",
            Action::RemoveSurplus,
            format!(
                "What {old} made on its own is in the bundle; what {primary} has deleted since is \
                 gone on purpose. The mirror deletes both, of what it mirrors, and nothing else.",
            ),
        )
        .before("the mirror follows", Probe::MirrorState { state: "following".to_owned() })
        .after("nothing is on the standby only", Probe::NoSurplus)
        .minutes(30),
    )
}

fn shield_gone() -> Probe {
    Probe::ShieldLowered { side: Side::Standby }
}
