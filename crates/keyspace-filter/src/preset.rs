//! What stays local in a Kubernetes cluster, as data.
//!
//! The table names what is left local and why, and the resources for which copying is a choice.
//! What it doesn't name is copied: custom resources, secrets, config maps, service accounts,
//! services, roles, quotas, policies, ingresses, namespaces, resource definitions.

use crate::glob::Glob;
use crate::rule::Traits;
use crate::spec::Action;

/// A cluster's own namespaces: what runs in them runs in both clusters.
pub(crate) const NAMESPACES: [&str; 14] = [
    "cpaas-system",
    "cert-manager",
    "default",
    "global-credentials",
    "cpaas-system-global-credentials",
    "kube-ovn",
    "kube-public",
    "kube-system",
    "nsx-system",
    "cpaas-solution",
    "kube-node-lease",
    "kubevirt",
    "nativestor-system",
    "operators",
];

/// Why the namespaces above stay local.
pub(crate) const NAMESPACES_WHY: &str = "a cluster's own namespaces";

/// What a row says of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Left local.
    Local,
    /// Left local, and there is so much of it that it isn't even read.
    Bulky,
    /// Left local; only a rule with `unsafe: true` admits it.
    Hard,
    /// Left local; a cluster may need it copied.
    LocalByChoice,
    /// Copied; a cluster may need it left local.
    CopiedByChoice,
}

/// One row: the resource as etcd spells it, the object's name (`*` for every one), what to do.
pub(crate) struct Row(pub(crate) &'static str, pub(crate) &'static str, Policy, &'static str);

impl Row {
    pub(crate) fn action(&self) -> Action {
        if self.2 == CopiedByChoice { Action::Include } else { Action::Local }
    }

    pub(crate) fn traits(&self) -> Traits {
        Traits {
            hard: self.2 == Hard,
            choice: matches!(self.2, LocalByChoice | CopiedByChoice),
            bulky: self.2 == Bulky,
            ..Traits::default()
        }
    }

    pub(crate) fn why(&self) -> &'static str {
        self.3
    }
}

/// Tells whether `resource` is one of which a row makes every object hard-local.
pub(crate) fn is_hard(resource: &Glob) -> bool {
    hard_resources().any(|hard| resource.matches(hard.as_bytes()))
}

/// The resources whose objects are all hard-local.
pub(crate) fn hard_resources() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|row| row.2 == Hard).map(|row| row.0)
}

const ALLOCATOR: &str = "the apiserver's own allocation: a wrong one keeps it from starting";
const ADDRESS: &str = "an apiserver's own address, which would be served to clients here";
const STORAGE: &str = "acts on real storage: a claim that is absent here gets the volume deleted";
const NODE: &str = "describes a machine of the other cluster";
const DERIVED: &str = "rebuilt by this cluster's own controllers";
const BOOTSTRAP: &str = "made and kept up to date by every apiserver itself";
const LEASE: &str = "a copied lease keeps controllers here passive, then makes them take over";
const WEBHOOK: &str = "calls the other cluster's service with its certificate: would block the API";
const SIGNING: &str = "would be signed with this cluster's authority";
const PER_CLUSTER: &str = "installed per cluster";
const WORKLOAD: &str = "this cluster's controllers run it unless they are shielded";
const DEVICE: &str = "bound to a pod";
const IDENTITY: &str = "may be a cluster's identity, or activate something";
const MIGRATION: &str = "an apiserver's own storage bookkeeping";
const SHIELD: &str = "the standby's own shield against its controllers";

use Policy::{Bulky, CopiedByChoice, Hard, Local, LocalByChoice};

/// First match wins.
#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    // Identity of the control plane, and what reaches real infrastructure.
    Row("ranges", "*", Hard, ALLOCATOR),
    Row("ipaddresses", "*", Hard, ALLOCATOR),
    Row("servicecidrs", "*", Hard, ALLOCATOR),
    Row("masterleases", "*", Hard, ADDRESS),
    Row("peerserverleases", "*", Hard, ADDRESS),
    Row("persistentvolumes", "*", Hard, STORAGE),
    Row("volumeattachments", "*", Hard, STORAGE),
    Row("snapshot.storage.k8s.io/volumesnapshotcontents", "*", Hard, STORAGE),
    Row("persistentvolumeclaims", "*", LocalByChoice, "its volume stays local, so it would be lost or get a new one"),
    Row("csistoragecapacities", "*", Local, DERIVED),

    // Machines, and what runs on them.
    Row("minions", "*", Bulky, NODE),
    Row("csinodes", "*", Local, NODE),
    Row("resourceslices", "*", Bulky, NODE),
    Row("devicetaintrules", "*", Local, NODE),
    Row("resourcepoolstatusrequests", "*", Local, NODE),
    Row("pods", "*", Bulky, "bound to a machine that is unknown here: would be deleted or run twice"),
    Row("resourceclaims", "*", Local, DEVICE),
    Row("resourceclaimtemplates", "*", Local, DEVICE),
    Row("workloads", "*", CopiedByChoice, DEVICE),
    Row("podgroups", "*", CopiedByChoice, DEVICE),

    // What controllers derive or renew without end.
    Row("events", "*", Bulky, "expires by its etcd lease only, which a copy lacks"),
    Row("leases", "*", Bulky, LEASE),
    Row("leasecandidates", "*", Local, LEASE),
    Row("endpointslices", "*", Bulky, DERIVED),
    Row("services/endpoints", "*", Bulky, DERIVED),
    Row("configmaps", "kube-root-ca.crt", Local, "every cluster publishes its own authority in every namespace"),
    Row("configmaps", "openshift-service-ca.crt", Local, "every cluster publishes its own authority in every namespace"),

    // Workloads. A key doesn't tell which job a cron job has started, so all jobs stay.
    Row("jobs", "*", LocalByChoice, "would run twice; a cron job here starts its own"),
    Row("cronjobs", "*", CopiedByChoice, "runs in both clusters unless shielded"),
    Row("deployments", "*", CopiedByChoice, WORKLOAD),
    Row("statefulsets", "*", CopiedByChoice, WORKLOAD),
    Row("daemonsets", "*", CopiedByChoice, WORKLOAD),
    Row("replicasets", "*", CopiedByChoice, WORKLOAD),
    Row("controllerrevisions", "*", CopiedByChoice, WORKLOAD),
    Row("controllers", "*", CopiedByChoice, WORKLOAD),
    Row("podtemplates", "*", CopiedByChoice, WORKLOAD),

    // What every control plane makes for itself.
    Row("apiregistration.k8s.io/apiservices", "*", Local, "registered per cluster, with its own certificates"),
    Row("flowschemas", "*", Local, BOOTSTRAP),
    Row("prioritylevelconfigurations", "*", Local, BOOTSTRAP),
    Row("priorityclasses", "system-*", Local, BOOTSTRAP),
    Row("clusterroles", "system:*", Local, BOOTSTRAP),
    Row("clusterroles", "kubeadm:*", Local, BOOTSTRAP),
    Row("clusterroles", "cluster-admin", Local, BOOTSTRAP),
    Row("clusterroles", "admin", Local, BOOTSTRAP),
    Row("clusterroles", "edit", Local, BOOTSTRAP),
    Row("clusterroles", "view", Local, BOOTSTRAP),
    Row("clusterrolebindings", "system:*", Local, BOOTSTRAP),
    Row("clusterrolebindings", "kubeadm:*", Local, BOOTSTRAP),
    Row("clusterrolebindings", "cluster-admin", Local, BOOTSTRAP),
    Row("clusterrolebindings", "admin", Local, BOOTSTRAP),
    Row("clusterrolebindings", "edit", Local, BOOTSTRAP),
    Row("clusterrolebindings", "view", Local, BOOTSTRAP),
    Row("storageversions", "*", Local, MIGRATION),
    Row("storageversionmigrations", "*", Local, MIGRATION),
    Row("certificatesigningrequests", "*", Local, SIGNING),
    Row("podcertificaterequests", "*", Local, SIGNING),
    Row("clustertrustbundles", "kubernetes.io:*", Local, "every cluster publishes its own authority"),
    Row("clustertrustbundles", "*", CopiedByChoice, "may hold the authority of one cluster"),

    // Admission.
    Row("validatingwebhookconfigurations", "*", LocalByChoice, WEBHOOK),
    Row("mutatingwebhookconfigurations", "*", LocalByChoice, WEBHOOK),
    Row("validatingadmissionpolicies", "etcd-sync-*", Local, SHIELD),
    Row("validatingadmissionpolicybindings", "etcd-sync-*", Local, SHIELD),

    // Installed per cluster, or a cluster's identity.
    Row("storageclasses", "*", CopiedByChoice, PER_CLUSTER),
    Row("csidrivers", "*", CopiedByChoice, PER_CLUSTER),
    Row("*.*/*", "global", CopiedByChoice, IDENTITY),
    Row("*.*/etcdencryptionconfigs", "*", CopiedByChoice, IDENTITY),
    Row("*.*/clusters", "*", CopiedByChoice, IDENTITY),
];
