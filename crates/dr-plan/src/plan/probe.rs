//! What can be found out about the world.

use serde::Serialize;

use super::place::{Place, Side, Target};

/// A question that is answered without changing anything.
///
/// It holds, it does not hold, it is on the way, or nobody could tell; with evidence in words. An
/// answer never contains a secret: files and keys are compared by digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// The name resolves to the address, and to no other.
    Resolves {
        /// The name.
        name: String,
        /// The address.
        address: String,
        /// Who asks.
        from: Place,
    },
    /// A TCP connection is accepted.
    Connects {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
        /// Who connects.
        from: Place,
    },
    /// An etcd of this cluster answers itself: its TLS is its own, and so is its cluster id. A
    /// proxy that speaks HTTP in between would show another certificate.
    SpeaksEtcd {
        /// The URL.
        endpoint: String,
        /// Whose etcd it must be.
        side: Side,
        /// Who connects.
        from: Place,
    },
    /// The certificate that is served has all these names.
    CertificateNames {
        /// Where it is served.
        host: String,
        /// The port.
        port: u16,
        /// The name that is asked for.
        server_name: String,
        /// The names.
        names: Vec<String>,
    },
    /// The certificate in a file has all these names and has not expired.
    CertificateFile {
        /// The file, where the plan runs.
        file: String,
        /// The names.
        names: Vec<String>,
    },
    /// Both hosts serve the same certificate for the name.
    SameCertificate {
        /// The hosts.
        hosts: Vec<String>,
        /// The name that is asked for.
        server_name: String,
    },
    /// The platform's page is served at the address, under the name.
    PageServed {
        /// The page.
        url: String,
        /// The address that must serve it.
        address: String,
    },
    /// The file is the same on all these nodes, by its digest, which is the only thing that is
    /// read; owned by root and readable by nobody else if it is secret.
    SameFile {
        /// Its path.
        path: String,
        /// Addresses of the nodes.
        nodes: Vec<String>,
        /// Whether nobody else may read it.
        secret: bool,
    },
    /// All members answer, there is a leader, no alarm, and at most this share of the quota used.
    EtcdHealthy {
        /// Whose etcd.
        side: Side,
        /// Percent of the quota.
        quota_percent_max: u8,
    },
    /// The two etcds have different cluster ids, and the two clusters different identities.
    DifferentClusters,
    /// The standby's revision is above the primary's by at least this.
    RevisionFloor {
        /// In revisions.
        margin: u64,
    },
    /// Nobody writes into the scope: the API refuses, and the revision of the scope stands still.
    WritesRefused {
        /// Which cluster.
        side: Side,
    },
    /// No policy refuses writes there any more.
    ShieldLowered {
        /// Which cluster.
        side: Side,
    },
    /// Nothing answers: neither the API nor any etcd member, however often one asks.
    Unreachable {
        /// Which cluster.
        side: Side,
        /// What is asked.
        signal: Signal,
    },
    /// At least one pod matches, and all that match are ready.
    PodsReady {
        /// Where.
        target: Target,
        /// The namespace.
        namespace: String,
        /// The label selector.
        selector: String,
    },
    /// All pods that match are ready and were created after the step was begun for the first time;
    /// on its way while some are.
    PodsRestarted {
        /// Where.
        target: Target,
        /// The namespace.
        namespace: String,
        /// The label selector.
        selector: String,
    },
    /// No pod matches.
    PodsGone {
        /// Where.
        target: Target,
        /// The namespace.
        namespace: String,
        /// The label selector.
        selector: String,
    },
    /// The controller manager and the API servers were started after the step was begun.
    ControllersRestarted {
        /// Which cluster.
        side: Side,
    },
    /// The standby's version of Kubernetes and of the platform is not older than the primary's.
    VersionNotOlder,
    /// Both sides run this same version.
    SameVersion,
    /// Both sides verify each other's service account tokens: keys, issuer and audiences agree.
    SameTokenSettings,
    /// A service account token that the primary signed is accepted by the standby's API.
    TokenAccepted,
    /// No address or node port of a mirrored service is taken by a local one of the standby.
    ServiceAddressesApart,
    /// `etcd-sync preflight` finds nothing that has to be mended first.
    Preflight,
    /// The mirror is in this state.
    MirrorState {
        /// As in its status.
        state: String,
    },
    /// A line of the mirror's log, since its pods were started.
    MirrorLogged {
        /// What the line contains.
        text: String,
    },
    /// The standby lacks at most this many seconds of the primary.
    LagAtMost {
        /// Seconds.
        seconds: u64,
    },
    /// The checkpoint is at the primary's newest revision.
    Drained,
    /// The last conclusive check said in-sync, and is no older than this.
    CheckedWithin {
        /// Seconds.
        seconds: u64,
    },
    /// A check that was begun after the step was begun says in-sync.
    CheckedSinceBegun,
    /// No guard holds the mirror up.
    NoGuard,
    /// The history of the primary is the one of the checkpoint.
    HistoryProven,
    /// One instance leads, under the stored epoch.
    OneLeader,
    /// The primary's compaction is further away than draining takes.
    Headroom,
    /// The standby's API can read mirrored secrets: a sample of every key that encrypts them.
    ValuesReadable,
    /// Every object on the standby that has owners has one that lives.
    OwnersLive,
    /// The mirror is fenced for ever: promoted, under an epoch of the operator.
    MirrorFenced,
    /// Whatever a rule of the mirror held until promotion is in its own place, but for what the
    /// standby has there of its own and what would have no owner.
    Released,
    /// The standby has no mirrored key that the primary lacks.
    NoSurplus,
    /// The standby carries no mark of a promotion: a mirror may write there.
    MirrorAdmitted,
    /// The role that is recorded in the cluster, where controllers look it up.
    RoleRecorded {
        /// Where.
        side: Side,
        /// `primary` or `standby`.
        role: String,
    },
    /// The bundle of writes that only this cluster has is written, whole.
    BundleWritten {
        /// Its folder.
        path: String,
    },
    /// Says what a failover at this moment loses, in revisions and seconds. It holds if that could
    /// be told at all.
    LossKnown,
    /// What the standby lacks is within the objective.
    LossWithin {
        /// Seconds.
        seconds: u64,
    },
    /// A person says so.
    Attested {
        /// What is said.
        statement: String,
    },
}

/// One of the independent ways to see that a cluster is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Its Kubernetes API.
    Api,
    /// Its etcd members.
    Etcd,
}

impl Probe {
    /// Returns whether a person answers it.
    #[must_use]
    pub const fn asks_a_person(&self) -> bool {
        matches!(self, Self::Attested { .. })
    }
}
