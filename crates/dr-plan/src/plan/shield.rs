//! A policy that makes a cluster's API refuse writes to mirrored objects.

use std::fmt::Write as _;

/// Namespaces that stay local to each cluster.
pub const LOCAL_NAMESPACES: [&str; 14] = [
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

/// What the shield lets pass wherever it lies, subresources included: what a cluster needs to stay
/// alive, and what its own API and controllers keep for themselves. The mirror leaves all of it
/// local.
///
/// One `*` stands for every resource, and not for what is below one; `*/*` stands for both.
const LET_PASS: [(&str, &str); 14] = [
    ("coordination.k8s.io", "leases, leasecandidates"),
    ("\"\", events.k8s.io", "events"),
    (
        "\"\"",
        "nodes, nodes/*, pods, pods/*, bindings, endpoints, serviceaccounts/token, \
         persistentvolumes, persistentvolumes/status",
    ),
    ("discovery.k8s.io", "endpointslices"),
    (
        "storage.k8s.io",
        "csinodes, csistoragecapacities, volumeattachments, volumeattachments/status",
    ),
    ("snapshot.storage.k8s.io", "volumesnapshotcontents, volumesnapshotcontents/status"),
    ("resource.k8s.io", "resourceslices"),
    ("networking.k8s.io", "ipaddresses, servicecidrs, servicecidrs/status"),
    (
        "certificates.k8s.io",
        "certificatesigningrequests, certificatesigningrequests/*, podcertificaterequests, \
         podcertificaterequests/*",
    ),
    ("apiregistration.k8s.io", "apiservices, apiservices/status"),
    ("flowcontrol.apiserver.k8s.io", "\"*/*\""),
    ("internal.apiserver.k8s.io", "\"*/*\""),
    ("authentication.k8s.io", "\"*/*\""),
    ("authorization.k8s.io", "\"*/*\""),
];

/// Writes the policy, for Kubernetes 1.30 or newer.
///
/// Whatever a cluster needs to stay alive goes on: its own namespaces, leases, events, nodes,
/// pods and their tokens, volumes, certificates. All else is refused with its subresources: who
/// scales a deployment or reports into its status writes what is mirrored. The API never applies
/// such a policy to itself, so that it can always be removed. What is written to etcd directly, as
/// a mirror does, does not pass the API.
#[must_use]
pub fn write_shield() -> String {
    let mut namespaces = String::new();
    for namespace in LOCAL_NAMESPACES {
        // Writing to a String does not fail.
        let _ = writeln!(namespaces, "            - {namespace}");
    }
    let mut let_pass = String::new();
    for (groups, resources) in LET_PASS {
        let _ = writeln!(
            let_pass,
            "      - apiGroups: [{groups}]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [{resources}]"
        );
    }
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: etcd-sync-write-shield
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [\"*\"]
        apiVersions: [\"*\"]
        operations: [CREATE, UPDATE, DELETE]
        resources: [\"*/*\"]
    excludeResourceRules:
{let_pass}    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: NotIn
          values:
{namespaces}  validations:
    - expression: \"false\"
      message: this cluster takes no writes to what is mirrored; see etcd-dr
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: etcd-sync-write-shield
spec:
  policyName: etcd-sync-write-shield
  validationActions: [Deny]
"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Tells whether a rule is about a resource, or what is below one, by the words that an API
    /// server goes by.
    fn matches(rule: &Value, group: &str, resource: &str) -> bool {
        let any = |field: &str, fits: &dyn Fn(&str) -> bool| {
            let items = rule.get(field).and_then(Value::as_array).unwrap();
            items.iter().any(|item| fits(item.as_str().unwrap()))
        };
        let (of, below) = resource.split_once('/').unwrap_or((resource, ""));
        any("apiGroups", &|one| one == "*" || one == group)
            && any("resources", &|one| match one.split_once('/') {
                None => below.is_empty() && (one == "*" || one == of),
                Some((one_of, one_below)) => {
                    (one_of == "*" || one_of == of)
                        && (one_below == "*" || !below.is_empty() && one_below == below)
                }
            })
    }

    fn is_refused(group: &str, resource: &str) -> bool {
        let text = write_shield();
        let policy: Value = serde_saphyr::from_str(text.split("---").next().unwrap()).unwrap();
        let any = |field: &str| {
            let rules = policy.pointer(&format!("/spec/matchConstraints/{field}")).unwrap();
            rules.as_array().unwrap().iter().any(|rule| matches(rule, group, resource))
        };
        any("resourceRules") && !any("excludeResourceRules")
    }

    #[test]
    fn what_is_below_a_mirrored_object_is_refused_with_it() {
        for (group, resource) in [
            ("", "configmaps"),
            ("", "namespaces"),
            ("", "namespaces/finalize"),
            ("", "serviceaccounts"),
            ("", "persistentvolumeclaims"),
            ("apps", "deployments"),
            ("apps", "deployments/scale"),
            ("apps", "deployments/status"),
            ("apps", "replicasets/scale"),
            ("batch", "cronjobs/status"),
            ("example.com", "widgets"),
            ("example.com", "widgets/status"),
            ("example.com", "widgets/scale"),
            ("apiextensions.k8s.io", "customresourcedefinitions/status"),
        ] {
            assert!(is_refused(group, resource), "{group} {resource}");
        }
    }

    #[test]
    fn what_keeps_a_cluster_alive_passes() {
        for (group, resource) in [
            ("coordination.k8s.io", "leases"),
            ("", "events"),
            ("events.k8s.io", "events"),
            ("", "nodes/status"),
            ("", "pods"),
            ("", "pods/status"),
            ("", "pods/eviction"),
            ("", "pods/binding"),
            ("", "serviceaccounts/token"),
            ("", "persistentvolumes"),
            ("", "persistentvolumes/status"),
            ("storage.k8s.io", "volumeattachments/status"),
            ("certificates.k8s.io", "certificatesigningrequests"),
            ("certificates.k8s.io", "certificatesigningrequests/approval"),
            ("authentication.k8s.io", "tokenreviews"),
            ("authorization.k8s.io", "subjectaccessreviews"),
            ("apiregistration.k8s.io", "apiservices/status"),
        ] {
            assert!(!is_refused(group, resource), "{group} {resource}");
        }
    }
}
