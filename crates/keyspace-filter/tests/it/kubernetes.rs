//! The preset `kubernetes`: what real keys, traps and rules beside it make of it. Row by row it is in
//! `table`.

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

#[test]
fn an_include_stands_inside_an_excluded_namespace() {
    let scope = with_rules(&[
        r#"{"action":"include","namespace":"cpaas-system","resource":"secrets","name":"plan-*"}"#,
        r#"{"action":"include","namespace":"cpaas-system","resource":"serviceaccounts","name":"baremetal-system-agent"}"#,
    ]);
    all(
        &scope,
        true,
        &["secrets/cpaas-system/plan-0", "serviceaccounts/cpaas-system/baremetal-system-agent"],
    );
    all(
        &scope,
        false,
        &[
            "secrets/cpaas-system/password",
            "secrets/kube-system/plan-0",
            "serviceaccounts/cpaas-system/default",
            // An object inside doesn't bring its namespace.
            "namespaces/cpaas-system",
        ],
    );
}

#[test]
fn one_object_can_be_left_local_whatever_its_resource() {
    let scope = with_rules(&[r#"{"action":"local","resource":"*/*","name":"global"}"#]);
    all(&scope, false, &["platform.tkestack.io/clusters/global", "infra.io/machines/team/global"]);
    all(&scope, true, &["platform.tkestack.io/clusters/team", "infra.io/machines/global/m"]);
    // Not a group's resource.
    all(&scope, true, &["storageclasses/global", "secrets/team/global"]);
    let scope = with_rules(&[r#"{"action":"local","name":"global"}"#]);
    all(
        &scope,
        false,
        &["storageclasses/global", "secrets/team/global", "infra.io/machines/a/global"],
    );
    all(&scope, true, &["storageclasses/globally", "secrets/global/s"]);
}

#[test]
fn three_segments_are_read_by_whether_the_first_has_a_dot() {
    let scope = with_rules(&[r#"{"action":"local","namespace":"plural"}"#]);
    all(&scope, false, &["configmaps/plural/n", "g.io/things/plural/n", "services/specs/plural/n"]);
    all(&scope, true, &["g.io/plural/n", "g.io/plural/team/n", "configmaps/team/plural"]);
}

#[test]
fn events_are_not_read_so_they_may_lie_in_another_etcd() {
    // Where the apiservers keep events in an etcd of their own, this one has none.
    let scope = kubernetes();
    let range = etcd_mvcc::KeyRange::prefix(b"/registry/events/");
    assert!(scope.primary_ranges().iter().all(|read| read.intersection(&range).is_empty()));
}
