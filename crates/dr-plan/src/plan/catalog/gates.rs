//! Gates that several plans have, each told once.

use crate::plan::gate::Gate;
use crate::plan::place::{Place, Side};
use crate::plan::probe::Probe;
use crate::topology::Topology;

use super::installed::certificate_names;
use super::{REVISION_MARGIN, addresses, attested};

/// A check that is older says too little about the minutes before a change of roles.
const CHECK_SECONDS_MAX: u64 = 900;
/// A standby above this has no room for what a change of roles makes it write.
const QUOTA_PERCENT_MAX: u8 = 80;

pub(super) fn standby_healthy() -> Gate {
    Gate::new("standby-healthy", "The standby's etcd has to carry the platform by itself.")
        .mend(
            "Start the members that are silent; compact, defragment and disarm where space or \
             an alarm is told.",
        )
        .evidence(
            "all members answer, no alarm, at most 80 % of the quota used",
            Probe::EtcdHealthy { side: Side::Standby, quota_percent_max: QUOTA_PERCENT_MAX },
        )
}

/// Looked at before anything relies on an endpoint, so that a port that is closed, or something that
/// speaks for etcd, is found by its address.
pub(super) fn etcd_answers(topology: &Topology) -> Gate {
    let mut gate = Gate::new(
        "etcd-answers",
        "Whatever looks into a connection to etcd, instead of passing it on, breaks it. So does a \
         port that nobody forwards.",
    )
    .mend(
        "Forward the port as plain TCP to the members, or correct the endpoint in the \
         topology file.",
    );
    for (side, cluster) in [(Side::Primary, &topology.primary), (Side::Standby, &topology.standby)]
    {
        for endpoint in &cluster.etcd.endpoints {
            let probe = Probe::SpeaksEtcd { endpoint: endpoint.clone(), side, from: Place::Here };
            gate = gate.evidence(format!("{endpoint} answers as etcd of {}", cluster.name), probe);
        }
    }
    gate
}

pub(super) fn certificate_served(topology: &Topology) -> Gate {
    let (primary, standby) = (&topology.primary, &topology.standby);
    let (domain, names) = (&topology.platform.domain, certificate_names(topology));
    let hosts = vec![primary.vip.clone(), standby.vip.clone()];
    Gate::new(
        "certificate-served",
        "Browsers and agents follow the name. Where it leads to another certificate than the one \
         that they know, or to one that lacks a name, they go no further.",
    )
    .mend(
        "Serve the certificate of the topology file on port 443 of both virtual IPs; if \
         it lacks a name, have one issued that has all.",
    )
    .evidence(
        format!("both virtual IPs serve the same certificate for {domain}"),
        Probe::SameCertificate { hosts, server_name: domain.clone() },
    )
    .evidence(
        format!("what {} serves names {}", standby.name, names.join(", ")),
        Probe::CertificateNames {
            host: standby.vip.clone(),
            port: 443,
            server_name: domain.clone(),
            names,
        },
    )
}

pub(super) fn checked_lately() -> Gate {
    Gate::new(
        "checked-lately",
        "Whoever takes over with objects missing makes controllers clean up after owners that they \
         can't find: a machine object that is collected so takes its machine with it.",
    )
    .mend(
        "Compare both clusters with `etcd-dr check`, and do what its answer says about \
         each key.",
    )
    .evidence(
        "the last conclusive check said in-sync, at most 15 minutes ago",
        Probe::CheckedWithin { seconds: CHECK_SECONDS_MAX },
    )
}

pub(super) fn lag(topology: &Topology) -> Gate {
    let seconds = topology.objectives.rpo_seconds;
    Gate::new("lag", "A mirror that lags makes the platform stand still while it catches up.")
        .mend(
            "Find out with `etcd-sync status` why the mirror is behind, and wait until it has \
             caught up.",
        )
        .evidence(format!("the standby lacks at most {seconds} s"), Probe::LagAtMost { seconds })
}

pub(super) fn mirror_sound() -> Vec<Gate> {
    vec![
        Gate::new("no-guard", "A guard that holds the mirror up has found what a person must see.")
            .mend("Do what the guard asks for, in its own words above.")
            .evidence("no guard holds the mirror up", Probe::NoGuard),
        Gate::new("history", "A primary with another history is another primary.")
            .mend(
                "Point the mirror at the primary that it copied; if it has really changed, accept \
                 that with `etcd-sync resync`.",
            )
            .evidence("the primary has the history of the checkpoint", Probe::HistoryProven),
        Gate::new(
            "one-leader",
            "Two mirrors that both believe to lead are a mistake to be found first.",
        )
        .mend("See that the mirror's pods run on the standby, and stop every other instance.")
        .evidence("one instance leads, under the stored epoch", Probe::OneLeader),
    ]
}

pub(super) fn headroom() -> Gate {
    Gate::new(
        "headroom",
        "What the primary compacts before it is mirrored has to be compared anew.",
    )
    .mend("Wait until the mirror has caught up, or have the primary compacted less often.")
    .evidence("compaction is further away than draining takes", Probe::Headroom)
}

pub(super) fn values_readable() -> Gate {
    Gate::new(
        "values-readable",
        "One secret that the standby's API can't decrypt makes it fail to list any.",
    )
    .mend("Give the standby's API servers the key that is named, and restart them.")
    .evidence("the standby's API reads a mirrored secret of every key", Probe::ValuesReadable)
}

pub(super) fn encryption_same(topology: &Topology) -> Gate {
    let path = &topology.platform.encryption_config;
    let mut nodes = addresses(&topology.primary);
    nodes.extend(addresses(&topology.standby));
    Gate::new(
        "encryption-same",
        "Secrets are copied as they are stored. A standby without the primary's keys can't read \
         them, and its API stops to list any.",
    )
    .mend(
        "Give every node the primary's file, as root's alone, and restart the API servers \
         that had another.",
    )
    .evidence(
        format!("{path} is the same on every control-plane node of both clusters"),
        Probe::SameFile { path: path.clone(), nodes, secret: true },
    )
}

pub(super) fn floor() -> Gate {
    Gate::new(
        "revision-floor",
        "A client that watched the primary and asks the standby for what came after gets no error \
         and no events, unless every revision of the primary is older than all the standby knows.",
    )
    .mend("Lift the standby's revision as the step `lift-revision` of `enable` says.")
    .evidence(
        "the standby's revision is far above the primary's",
        Probe::RevisionFloor { margin: REVISION_MARGIN },
    )
}

pub(super) fn backups() -> Gate {
    Gate::new(
        "local-backups",
        "What lies in the namespaces that stay local is not mirrored. Whoever made objects there \
         has to have a backup of them.",
    )
    .mend("Back up what is there, then say so.")
    .evidence(
        "backups of what users made in local namespaces are at hand, or there is none to keep",
        attested("I know how old the backups of the local namespaces are, and that is enough."),
    )
}

pub(super) fn dns_known(topology: &Topology) -> Gate {
    let domain = &topology.platform.domain;
    Gate::new("dns-known", "How long the old address is remembered decides how long users wait.")
        .mend("Find who may change the name and how long it is remembered, then say so.")
        .evidence(
            format!("somebody who may change {domain} is present, and its TTL is known"),
            attested(format!("I can change {domain}, and its TTL is short enough.")),
        )
}

pub(super) fn owners_live() -> Gate {
    Gate::new(
        "owners-live",
        "The standby's collector, once restarted, judges every object anew and deletes the ones \
         whose owners are gone.",
    )
    .mend("On the primary, bring the owner that is named back, or delete what waits for it.")
    .evidence("every object on the standby that has owners has one that lives", Probe::OwnersLive)
}
