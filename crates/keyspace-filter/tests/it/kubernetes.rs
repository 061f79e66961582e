//! The preset `kubernetes`, row by row.

use keyspace_filter::{Scope, ScopeSpec};

use crate::{admitted, compiled, kubernetes, strings, with_rules};

const EXCLUDED: [&str; 14] = [
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

const HARD: [&str; 11] = [
    "persistentvolumes/pv-1",
    "volumeattachments/va-1",
    "snapshot.storage.k8s.io/volumesnapshotcontents/c-1",
    "ranges/serviceips",
    "ranges/secondaryserviceips",
    "ranges/servicenodeports",
    "ipaddresses/10.0.0.1",
    "ipaddresses/fd00::1",
    "servicecidrs/kubernetes",
    "masterleases/10.0.0.1",
    "peerserverleases/apiserver-x",
];

#[track_caller]
fn all(scope: &Scope, admitted: bool, paths: &[&str]) {
    for path in paths {
        let key = format!("/registry/{path}");
        let decision = scope.decide(key.as_bytes());
        assert_eq!(decision.admitted, admitted, "{key}: {}", decision.rule);
    }
}

#[test]
fn real_keys_are_decided_as_the_table_says() {
    let scope = kubernetes();
    let mut admitted = 0;
    for line in include_str!("real_keys.txt").lines() {
        let (wanted, key) = line.split_at(4);
        let decision = scope.decide(key.as_bytes());
        assert_eq!(decision.admitted, wanted.trim() == "in", "{key}: {}", decision.rule);
        admitted += usize::from(decision.admitted);
    }
    assert!(admitted > 100, "the list has lost its keys: {admitted}");
}

#[test]
fn copied_rows_are_copied() {
    all(
        &kubernetes(),
        true,
        &[
            "namespaces/team",
            "configmaps/team/app",
            "secrets/team/password",
            "serviceaccounts/team/default",
            "services/specs/team/web",
            "horizontalpodautoscalers/team/web",
            "poddisruptionbudgets/team/web",
            "resourcequotas/team/q",
            "limitranges/team/l",
            "networkpolicies/team/n",
            "roles/team/r",
            "rolebindings/team/r",
            "ingress/team/i",
            "volumeattributesclasses/gold",
            "ingressclasses/nginx",
            "runtimeclasses/kata",
            "deviceclasses/gpu",
            "priorityclasses/cpaas-critical",
            "clusterroles/cpaas:admin",
            "clusterrolebindings/team-admin",
            "validatingadmissionpolicies/p",
            "validatingadmissionpolicybindings/p",
            "mutatingadmissionpolicies/p",
            "mutatingadmissionpolicybindings/p",
            "apiextensions.k8s.io/customresourcedefinitions/machines.cluster.x-k8s.io",
            "auth.alauda.io/users/u",
            "cluster.x-k8s.io/machines/team/m",
        ],
    );
}

#[test]
fn local_rows_stay_local() {
    all(
        &kubernetes(),
        false,
        &[
            "configmaps/team/kube-root-ca.crt",
            "configmaps/team/openshift-service-ca.crt",
            "services/endpoints/team/web",
            "endpointslices/team/web-abc",
            "pods/team/web-0",
            "csistoragecapacities/team/c",
            "events/team/e",
            "leases/team/l",
            "leasecandidates/team/l",
            "persistentvolumeclaims/team/data",
            "minions/node-1",
            "csinodes/node-1",
            "resourceslices/s",
            "devicetaintrules/t",
            "resourcepoolstatusrequests/r",
            "priorityclasses/system-node-critical",
            "validatingwebhookconfigurations/w",
            "mutatingwebhookconfigurations/w",
            "flowschemas/f",
            "prioritylevelconfigurations/p",
            "certificatesigningrequests/c",
            "podcertificaterequests/team/c",
            "storageversions/s",
            "storageversionmigrations/s",
            "apiregistration.k8s.io/apiservices/v1.apps",
            "resourceclaims/team/c",
            "resourceclaimtemplates/team/c",
            "jobs/team/tick-29924407",
            "validatingadmissionpolicies/etcd-sync-shield",
            "validatingadmissionpolicybindings/etcd-sync-shield",
            "clustertrustbundles/kubernetes.io:kube-apiserver-serving:abc",
        ],
    );
    for kind in ["clusterroles", "clusterrolebindings"] {
        for name in ["system:node", "kubeadm:get-nodes", "cluster-admin", "admin", "edit", "view"] {
            all(&kubernetes(), false, &[&format!("{kind}/{name}")]);
        }
    }
}

#[test]
fn what_is_a_choice_is_copied_and_says_so() {
    let scope = kubernetes();
    for path in [
        "deployments/team/web",
        "statefulsets/team/db",
        "daemonsets/team/agent",
        "replicasets/team/web-abc",
        "controllerrevisions/team/db-1",
        "controllers/team/rc",
        "podtemplates/team/t",
        "cronjobs/team/tick",
        "storageclasses/fast",
        "csidrivers/d",
        "workloads/team/w",
        "podgroups/team/g",
        "clustertrustbundles/team",
        "platform.tkestack.io/clusters/global",
        "auth.alauda.io/settings/global",
        "cluster.alauda.io/etcdencryptionconfigs/default",
        "cluster.x-k8s.io/clusters/team/c",
    ] {
        let key = format!("/registry/{path}");
        let decision = scope.decide(key.as_bytes());
        assert!(decision.admitted && decision.rule.is_choice(), "{key}: {}", decision.rule);
    }
}

#[test]
fn hard_rows_are_hard() {
    let scope = kubernetes();
    for path in HARD {
        let key = format!("/registry/{path}");
        let decision = scope.decide(key.as_bytes());
        assert!(!decision.admitted && decision.rule.is_hard(), "{key}: {}", decision.rule);
    }
}

#[test]
fn only_an_unsafe_rule_admits_what_is_hard_local() {
    let tame = with_rules(&[
        r#"{"action":"include","resource":"*"}"#,
        r#"{"action":"include","prefix":"/registry/"}"#,
    ]);
    all(&tame, false, &HARD);
    all(&tame, false, &["persistentvolumes/of/unknown/shape"]);
    all(&tame, true, &["pods/team/web-0"]);

    let named = with_rules(&[r#"{"action":"include","resource":"persistentvolumes"}"#]);
    all(&named, false, &HARD);

    let bold = with_rules(&[
        r#"{"action":"include","resource":"persistentvolumes","name":"nfs-*","unsafe":true}"#,
    ]);
    all(&bold, false, &HARD);
    all(&bold, true, &["persistentvolumes/nfs-1"]);
}

#[test]
fn an_excluded_namespace_is_excluded_with_its_object() {
    for namespace in EXCLUDED {
        all(
            &kubernetes(),
            false,
            &[
                &format!("namespaces/{namespace}"),
                &format!("secrets/{namespace}/s"),
                &format!("services/specs/{namespace}/s"),
                &format!("cluster.x-k8s.io/machines/{namespace}/m"),
            ],
        );
    }
}

#[test]
fn an_object_named_like_an_excluded_namespace_is_in_scope() {
    for name in EXCLUDED {
        all(
            &kubernetes(),
            true,
            &[
                &format!("storageclasses/{name}"),
                &format!("clusterroles/{name}"),
                &format!("ingressclasses/{name}"),
                &format!("auth.alauda.io/projects/{name}"),
                &format!("cluster.alauda.io/etcdencryptionconfigs/{name}"),
                &format!("secrets/team/{name}"),
                &format!("cluster.x-k8s.io/machines/team/{name}"),
            ],
        );
    }
}

#[test]
fn a_namespace_that_only_begins_like_an_excluded_one_is_in_scope() {
    for namespace in ["cpaas-system-extra", "defaults", "x-default", "kube-system2", "default-x"] {
        all(
            &kubernetes(),
            true,
            &[&format!("namespaces/{namespace}"), &format!("secrets/{namespace}/s")],
        );
    }
}

#[test]
fn a_group_named_like_an_excluded_namespace_is_in_scope() {
    all(
        &kubernetes(),
        true,
        &["operators.coreos.com/operators/o", "operators.coreos.com/subscriptions/team/s"],
    );
}

#[test]
fn what_lies_outside_the_etcd_prefix_is_never_in_scope() {
    let keys = ["compact_rev_key", "/bootstrap/x", "/calico/x", "health", "/registryX/secrets/a/b"];
    let scope = with_rules(&[r#"{"action":"include","prefix":""}"#]);
    assert!(admitted(&scope, &keys).is_empty());
}

#[test]
fn this_softwares_own_keys_are_never_in_scope() {
    let scope = crate::bare(ScopeSpec {
        rules: vec![crate::rule(r#"{"action":"include","prefix":"/etcd-sync/","unsafe":true}"#)],
        ..ScopeSpec::default()
    });
    for key in ["/etcd-sync/", "/etcd-sync/default/checkpoint"] {
        assert!(!scope.admits(key.as_bytes()) && !scope.admits_standby(key.as_bytes()));
    }
    assert!(scope.admits(b"/etcd-synchronised"));
}

#[test]
fn a_key_of_unknown_shape_stays_local_and_has_a_rule_to_count_by() {
    let scope = kubernetes();
    let decision = scope.decide(b"/registry/secrets/team/a/b/c");
    assert!(!decision.admitted);
    assert!(decision.rule.to_string().contains("spelt as no Kubernetes object"));
}

#[test]
fn another_etcd_prefix_moves_the_whole_preset() {
    let scope =
        compiled(ScopeSpec { etcd_prefix: "/kubernetes.io".into(), ..ScopeSpec::default() });
    assert!(scope.admits(b"/kubernetes.io/secrets/team/s"));
    assert!(!scope.admits(b"/kubernetes.io/secrets/kube-system/s"));
    assert!(!scope.admits(b"/registry/secrets/team/s"));
}

#[test]
fn an_included_namespace_keeps_the_presets_other_rules() {
    let include_namespaces = strings(&["cpaas-system"]);
    let scope = compiled(ScopeSpec { include_namespaces, ..ScopeSpec::default() });
    all(&scope, true, &["secrets/cpaas-system/s", "namespaces/cpaas-system", "secrets/team/s"]);
    all(&scope, false, &["pods/cpaas-system/p", "secrets/kube-system/s"]);
}
