//! The mirror between the two clusters.

use crate::plan::action::Action;
use crate::plan::gate::Confirmation;
use crate::plan::place::{Place, Side};
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::plan::{Gate, Phase};
use crate::topology::{Cluster, Topology};

use super::{exact_check, floor, gates, host, mirror_pods_ready, restarts, take_over};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Starts the mirror from the primary's etcd into the standby's.";
    let mut phases = copy(topology);
    phases.push(settle(topology));
    (purpose, phases)
}

/// From two clusters to a first copy; also how an old primary becomes the new standby.
pub(super) fn copy(topology: &Topology) -> Vec<Phase> {
    vec![reach(topology), floor::phase(topology), mirror(topology)]
}

fn reach(topology: &Topology) -> Phase {
    let phase = Phase::new("reach", "Reach the primary's etcd")
        .gate(
            Gate::new("different-clusters", "A cluster that mirrors itself overwrites itself.")
                .mend("Correct the endpoints and kubeconfigs in the topology file.")
                .evidence("the two are different clusters", Probe::DifferentClusters)
                .firm(),
        )
        .gate(gates::etcd_answers(topology))
        .gate(gates::standby_healthy().firm())
        .gate(gates::certificate_served(topology))
        .gate(gates::encryption_same(topology))
        .gate(
            Gate::new("tokens-same", "Without it every agent is refused after a change of roles.")
                .mend(
                    "Give the standby the primary's service account keys, issuer and audiences, as \
                     the step `copy-token-keys` of `install` says.",
                )
                .evidence("both sides agree on token keys and issuer", Probe::SameTokenSettings),
        )
        .gate(
            Gate::new("versions-fit", "A standby that is older can't read what it is given.")
                .mend("Upgrade the standby first.")
                .evidence("the standby is not older than the primary", Probe::VersionNotOlder),
        );
    let primary = &topology.primary;
    if !primary.etcd_through_vip {
        let mut direct = Step::watched(
            "etcd-direct",
            "The standby reaches the primary's etcd directly",
            "No port has to be forwarded where the standby reaches the members themselves: their \
             addresses are the mirror's endpoints.",
        );
        for endpoint in &primary.etcd.endpoints {
            direct = direct.after(format!("{endpoint} answers as etcd"), speaks(endpoint));
        }
        return phase.step(direct);
    }
    let endpoint = vip_endpoint(primary);
    phase.step(
        Step::by_hand(
            "forward-etcd",
            "Forward port 2379 as plain TCP",
            "etcd's clients prove who they are with certificates; a load balancer that looks into \
             the connection, instead of passing it on, can't carry that.",
        )
        .tell(format!(
            "Forward TCP 2379 of {} to 2379 of its control-plane nodes, and that of {} to its own.",
            primary.vip, topology.standby.vip
        ))
        .tell("Choose the load balancer's TCP mode, never one for HTTP or for TLS.")
        .after(format!("{endpoint} answers as etcd itself"), speaks(&endpoint))
        .undo("Stop forwarding 2379."),
    )
}

/// etcd as the virtual IP forwards it, with TLS if its members have it.
fn vip_endpoint(cluster: &Cluster) -> String {
    let plain = cluster.etcd.endpoints.iter().any(|endpoint| endpoint.starts_with("http://"));
    format!("{}://{}:2379", if plain { "http" } else { "https" }, host(&cluster.vip))
}

fn speaks(endpoint: &str) -> Probe {
    let endpoint = endpoint.to_owned();
    Probe::SpeaksEtcd { endpoint, side: Side::Primary, from: Place::Inside(Side::Standby) }
}

fn mirror(topology: &Topology) -> Phase {
    let (primary, standby) = (&topology.primary, &topology.standby);
    let statement = format!(
        "From here on {} is overwritten with what {} holds, except for what stays local.",
        standby.name, primary.name
    );
    Phase::new("mirror", "Start the mirror")
        .gate(gates::floor())
        .gate(
            Gate::new("preflight", "What would go wrong with the first copy is found before it.")
                .mend("Do what `etcd-dr preflight` says about each of its findings.")
                .evidence("the mirror's preflight finds nothing to mend", Probe::Preflight),
        )
        .confirm(Confirmation { statement, facts: Vec::new(), word: standby.name.clone() })
        .step(take_over::record_role("role-standby", Side::Standby, "standby"))
        .step(admit())
        .step(install(topology))
        .step(
            Step::watched(
                "leader",
                "One instance leads",
                "Several instances may run; the one that holds the lease mirrors.",
            )
            .after("the log says so", logged("Acquired leader lease"))
            .after("one instance leads, under the stored epoch", Probe::OneLeader),
        )
        .step(
            Step::watched(
                "following",
                "The first copy is whole",
                "Owners are written before what they own, so one pass is enough: nothing has to be \
                 started a second time for the sake of owners.",
            )
            .after("the log says so", logged("Start Sync update"))
            .after("the mirror follows", Probe::MirrorState { state: "following".to_owned() })
            .minutes(120),
        )
}

fn admit() -> Step {
    Step::automatic(
        "admit-mirror",
        "Let a mirror write here",
        Action::AdmitMirror,
        "A cluster that has been promoted once keeps every mirror out. When it becomes a standby \
         again, that mark goes; mirrors of before stay fenced, since the epoch only grows. A \
         cluster that never was a standby has none.",
    )
    .before(
        "the role that is recorded is standby",
        Probe::RoleRecorded { side: Side::Standby, role: "standby".to_owned() },
    )
    .after("there is no mark of a promotion", Probe::MirrorAdmitted)
    .minutes(5)
}

fn logged(text: &str) -> Probe {
    Probe::MirrorLogged { text: text.to_owned() }
}

/// The mirror's settings, as its file wants them.
fn settings(topology: &Topology) -> String {
    let primary = &topology.primary;
    let endpoints = if primary.etcd_through_vip {
        vip_endpoint(primary)
    } else {
        primary.etcd.endpoints.join(", ")
    };
    format!(
        "mirror_name: {}\nprimary: {{endpoints: [{endpoints}]}}\n\
         standby: {{endpoints: [{}]}}\nscope: {{preset: kubernetes}}",
        topology.mirror.name,
        topology.standby.etcd.endpoints.join(", "),
    )
}

fn install(topology: &Topology) -> Step {
    let (standby, namespace) = (&topology.standby, &topology.mirror.namespace);
    let kubectl = standby.kubernetes.kubectl();
    Step::by_hand(
        "install-mirror",
        "Install etcd-sync in the standby",
        "It runs in the cluster that it writes, and only reads the other.",
    )
    .tell(format!(
        "Reach {} by its virtual IP, https://{}/, as administrator: the domain leads to the other \
         cluster. Where etcd-sync is offered as a cluster plugin, install it on the cluster \
         `global`; else apply its manifests to the namespace {namespace}.",
        standby.name,
        host(&standby.vip)
    ))
    .tell("Settings, besides the files for TLS:")
    .type_in(settings(topology))
    .tell("Leave the check interval at its default, 5 minutes.")
    .tell("Leave detailed logs off, unless you are looking for a fault.")
    .type_in(format!("{kubectl} get pods -n {namespace} -l app=etcd-sync"))
    .after("its pods are ready", mirror_pods_ready(topology))
    .undo(format!("`{kubectl} scale deployment etcd-sync -n {namespace} --replicas=0`"))
}

/// What is done once the copy is whole.
pub(super) fn settle(topology: &Topology) -> Phase {
    Phase::new("settle", "Settle, and prove it")
        .gate(gates::owners_live())
        .step(
            Step::automatic(
                "restart-controllers",
                "Restart the standby's controllers",
                Action::RestartControllers { side: Side::Standby },
                "A copy writes many objects at once, beneath the API. Whoever watched meanwhile \
                 may have missed some; whoever starts anew reads all.",
            )
            .after(
                "API servers and controller manager are new and ready",
                Probe::ControllersRestarted { side: Side::Standby },
            )
            .minutes(30),
        )
        .step(first_check())
        .steps(restarts::data_services(topology))
        .step(
            Step::watched(
                "readable",
                "Secrets and tokens are good on the standby",
                "Read through the standby's own API: the proof that it has the keys.",
            )
            .after("it reads a mirrored secret of every key", Probe::ValuesReadable)
            .after("it accepts a token that the primary signed", Probe::TokenAccepted),
        )
}

fn first_check() -> Step {
    exact_check(
        "first-check",
        "The first check is clean",
        "Compares every mirrored key at one pair of revisions. Missed keys are on the primary \
         only: something on the standby removed them, most often its collector, for want of an \
         owner; `etcd-sync repair` puts them back. Surplus keys are on the standby only: find \
         out who made them before `etcd-sync repair --kind surplus` deletes them.",
    )
}
