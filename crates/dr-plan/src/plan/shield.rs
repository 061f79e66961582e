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

/// Writes the policy, for Kubernetes 1.30 or newer.
///
/// Whatever a cluster needs to stay alive goes on: its own namespaces, leases, events, nodes,
/// pods and their tokens. The API never applies such a policy to itself, so that it can always be
/// removed. What is written to etcd directly, as a mirror does, does not pass the API.
#[must_use]
pub fn write_shield() -> String {
    let mut namespaces = String::new();
    for namespace in LOCAL_NAMESPACES {
        // Writing to a String does not fail.
        let _ = writeln!(namespaces, "            - {namespace}");
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
        resources: [\"*\"]
    excludeResourceRules:
      - apiGroups: [coordination.k8s.io]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [leases]
      - apiGroups: [\"\", events.k8s.io]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [events]
      - apiGroups: [\"\"]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [nodes, nodes/*, pods, pods/*, bindings, endpoints, serviceaccounts/token]
      - apiGroups: [discovery.k8s.io]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [endpointslices]
      - apiGroups: [storage.k8s.io]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [csinodes]
      - apiGroups: [authentication.k8s.io, authorization.k8s.io]
        apiVersions: [\"*\"]
        operations: [\"*\"]
        resources: [\"*\"]
    namespaceSelector:
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
