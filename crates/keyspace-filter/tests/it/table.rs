//! The preset `kubernetes` as a table: one line for every kind of key, and what becomes of it.

use std::collections::BTreeSet;

use keyspace_filter::{Scope, Source};

use crate::kubernetes;

/// What the preset does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Mirrors it.
    Mirrored,
    /// Mirrors it; a cluster may need it left local, so whoever plans is told.
    MirroredByChoice,
    /// Leaves it local.
    Local,
    /// Leaves it local; a cluster may need it copied.
    LocalByChoice,
    /// Leaves it local, whatever a rule without `unsafe` says.
    Hard,
    /// Leaves it local: it is no Kubernetes object.
    NoObject,
    /// Leaves it local: it lies outside the scope's prefixes.
    Outside,
}

use Does::{Hard, Local, LocalByChoice, Mirrored, MirroredByChoice, NoObject, Outside};

/// Keys below `/registry/`.
#[rustfmt::skip]
const OBJECTS: &[(Does, &[&str])] = &[
    (Mirrored, &["namespaces/team", "namespaces/cpaas-system-extra"]),
    (Local, &["namespaces/cpaas-system", "namespaces/kube-system", "namespaces/default"]),
    (Mirrored, &["configmaps/team/app", "configmaps/team/kube-root-ca.crt.bak"]),
    (Local, &["configmaps/team/kube-root-ca.crt", "configmaps/team/openshift-service-ca.crt"]),
    (Mirrored, &["secrets/team/password", "secrets/team/default-token-x7k2p"]),
    (Mirrored, &["serviceaccounts/team/default", "services/specs/team/web"]),
    (Local, &["services/endpoints/team/web", "endpointslices/team/web-x7k2p"]),
    (Local, &["pods/team/web-5d4f-x7k2p"]),

    // Workloads.
    (MirroredByChoice, &["replicasets/team/web-5d4f", "controllerrevisions/team/db-1", "deployments/team/web"]),
    (MirroredByChoice, &["statefulsets/team/db", "daemonsets/team/agent", "controllers/team/rc", "podtemplates/team/t"]),
    (LocalByChoice, &["jobs/team/tick-29924407", "jobs/team/migrate"]),
    (MirroredByChoice, &["cronjobs/team/tick"]),
    (Mirrored, &["horizontalpodautoscalers/team/web", "poddisruptionbudgets/team/web", "resourcequotas/team/q"]),
    (Mirrored, &["limitranges/team/l", "networkpolicies/team/n", "ingress/team/web"]),
    (Mirrored, &["roles/team/r", "roles/team/system:controller", "rolebindings/team/r"]),
    (Local, &["csistoragecapacities/team/c"]),

    // What is renewed without end.
    (Local, &["events/team/web.17b2", "leases/team/operator", "leases/cpaas/operator", "leasecandidates/team/l"]),

    // Storage.
    (LocalByChoice, &["persistentvolumeclaims/team/data"]),
    (Hard, &["persistentvolumes/pv-1", "volumeattachments/csi-5f3a"]),
    (Hard, &["snapshot.storage.k8s.io/volumesnapshotcontents/c-1"]),
    (Mirrored, &["snapshot.storage.k8s.io/volumesnapshots/team/s", "snapshot.storage.k8s.io/volumesnapshotclasses/c"]),

    // Machines.
    (Local, &["minions/node-1", "csinodes/node-1", "resourceslices/s", "devicetaintrules/t", "resourcepoolstatusrequests/r"]),

    // Classes.
    (MirroredByChoice, &["storageclasses/fast", "storageclasses/default", "csidrivers/d"]),
    (Mirrored, &["volumeattributesclasses/gold", "ingressclasses/default", "runtimeclasses/kata", "deviceclasses/gpu"]),
    (Mirrored, &["priorityclasses/cpaas-critical"]),
    (Local, &["priorityclasses/system-node-critical", "priorityclasses/system-cluster-critical"]),

    // Roles.
    (Mirrored, &["clusterroles/cpaas:admin", "clusterroles/administrator", "clusterroles/default", "clusterrolebindings/team-admin"]),
    (Local, &["clusterroles/system:node", "clusterroles/kubeadm:get-nodes", "clusterroles/cluster-admin"]),
    (Local, &["clusterroles/admin", "clusterroles/edit", "clusterroles/view"]),
    (Local, &["clusterrolebindings/system:node", "clusterrolebindings/kubeadm:get-nodes", "clusterrolebindings/cluster-admin"]),
    (Local, &["clusterrolebindings/admin", "clusterrolebindings/edit", "clusterrolebindings/view"]),

    // Admission.
    (LocalByChoice, &["validatingwebhookconfigurations/w", "mutatingwebhookconfigurations/w"]),
    (Mirrored, &["validatingadmissionpolicies/p", "validatingadmissionpolicybindings/p"]),
    (Mirrored, &["mutatingadmissionpolicies/p", "mutatingadmissionpolicybindings/p"]),
    (Local, &["validatingadmissionpolicies/etcd-sync-shield", "validatingadmissionpolicybindings/etcd-sync-shield"]),

    // What an apiserver makes for itself.
    (Local, &["flowschemas/exempt", "prioritylevelconfigurations/exempt"]),
    (Local, &["certificatesigningrequests/csr-1", "podcertificaterequests/team/c"]),
    (Local, &["clustertrustbundles/kubernetes.io:kube-apiserver-serving:x"]),
    (MirroredByChoice, &["clustertrustbundles/team", "clustertrustbundles/example.org:ca:v1"]),
    (Hard, &["ranges/serviceips", "ranges/secondaryserviceips", "ranges/servicenodeports"]),
    (Hard, &["ipaddresses/10.96.0.1", "ipaddresses/fd00::1", "servicecidrs/kubernetes"]),
    (Hard, &["masterleases/10.0.0.1", "peerserverleases/apiserver-x7k2p"]),
    (Local, &["storageversions/s", "storageversionmigrations/s"]),
    (Local, &["apiregistration.k8s.io/apiservices/v1.apps", "apiregistration.k8s.io/apiservices/v1."]),
    (Mirrored, &["apiextensions.k8s.io/customresourcedefinitions/machines.cluster.x-k8s.io"]),

    // Custom resources.
    (Mirrored, &["auth.alauda.io/users/u", "cluster.x-k8s.io/machines/team/m", "auth.alauda.io/projects/kube-system"]),
    (Mirrored, &["operators.coreos.com/operators/o", "operators.coreos.com/subscriptions/team/s"]),
    (MirroredByChoice, &["platform.tkestack.io/clusters/global", "auth.alauda.io/settings/global", "infra.io/machines/team/global"]),
    (MirroredByChoice, &["cluster.alauda.io/etcdencryptionconfigs/default", "cluster.x-k8s.io/clusters/team/c"]),
    (Local, &["cluster.x-k8s.io/clusters/cpaas-system/global", "cluster.x-k8s.io/machines/cpaas-system/m"]),

    // What is bound to a pod.
    (Local, &["resourceclaims/team/c", "resourceclaimtemplates/team/c"]),
    (MirroredByChoice, &["workloads/team/w", "podgroups/team/g"]),

    // Spelt as no object is.
    (NoObject, &["secrets", "secrets/", "secrets//s", "secrets/team/", "secrets/team/a/b", "g.io", "g.io/plural"]),
    (NoObject, &["g.io/plural/team/n/x", "services/specs/s", "services/other/team/s", "ranges/a/b", "secrets/team/a%2fb"]),
    (NoObject, &["secrets/team/..", "secrets/./s", ""]),
];

/// Whole keys that lie elsewhere.
const ELSEWHERE: &[&str] = &[
    "compact_rev_key",
    "/bootstrap/5eed",
    "/calico/ipam/v2/x",
    "health",
    "/registry",
    "/registryX/secrets/team/s",
    "/Registry/secrets/team/s",
    "registry/secrets/team/s",
    "/kubernetes.io/secrets/team/s",
];

fn does(scope: &Scope, key: &str) -> Does {
    let decision = scope.decide(key.as_bytes());
    let rule = decision.rule;
    match (decision.admitted, rule.source()) {
        (false, Source::BuiltIn) if rule.to_string().contains("no Kubernetes object") => NoObject,
        (false, Source::BuiltIn) => Outside,
        (false, _) if rule.is_hard() => Hard,
        (false, _) if rule.is_choice() => LocalByChoice,
        (false, _) => Local,
        (true, _) if rule.is_choice() => MirroredByChoice,
        (true, _) => Mirrored,
    }
}

fn keys() -> impl Iterator<Item = (Does, String)> {
    let within = OBJECTS.iter().flat_map(|(does, paths)| {
        paths.iter().map(move |path| (*does, format!("/registry/{path}")))
    });
    within.chain(ELSEWHERE.iter().map(|key| (Outside, (*key).to_owned())))
}

#[test]
fn every_kind_of_key_is_treated_as_the_table_says() {
    let scope = kubernetes();
    for (wanted, key) in keys() {
        assert_eq!(does(&scope, &key), wanted, "{key}: {}", scope.decide(key.as_bytes()).rule);
    }
}

#[test]
fn every_rule_of_the_preset_has_a_key_in_the_table() {
    let scope = kubernetes();
    let met: BTreeSet<usize> =
        keys().map(|(_, key)| scope.decide(key.as_bytes()).rule.index()).collect();
    // Own keys have tests of their own; they are the first rule.
    for rule in scope.rules().skip(1) {
        assert!(met.contains(&rule.index()), "no key for {rule}");
    }
}

#[test]
fn every_choice_and_every_hard_rule_says_why() {
    for rule in kubernetes().rules().filter(|rule| rule.source() == Source::Preset) {
        assert!(!rule.why().is_empty() && !rule.to_string().contains('\n'), "{rule}");
        assert!(!(rule.is_hard() && (rule.admits() || rule.is_choice())), "{rule}");
    }
}

#[test]
fn the_own_namespaces_hold_whatever_the_resource() {
    let scope = kubernetes();
    let namespaced = keys().filter(|(does, _)| matches!(does, Mirrored | MirroredByChoice));
    for (_, key) in namespaced.filter(|(_, key)| key.contains("/team/")) {
        let moved = key.replace("/team/", "/kube-system/");
        assert_eq!(does(&scope, &moved), Local, "{moved}");
        let near = key.replace("/team/", "/kube-system2/");
        assert!(scope.admits(near.as_bytes()), "{near}");
    }
}
