//! Which kinds a cluster serves, and where it keeps their objects.

use std::collections::BTreeMap;

use kube_meta::Meta;
use serde_json::Value;

use super::graph::Reference;

/// Kinds that every cluster serves: group, kind, where its objects are, whether they are in
/// namespaces.
#[rustfmt::skip]
const BUILT_IN: &[(&str, &str, &str, bool)] = &[
    ("", "ConfigMap", "configmaps", true),
    ("", "Endpoints", "services/endpoints", true),
    ("", "LimitRange", "limitranges", true),
    ("", "Namespace", "namespaces", false),
    ("", "Node", "minions", false),
    ("", "PersistentVolume", "persistentvolumes", false),
    ("", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("", "Pod", "pods", true),
    ("", "ReplicationController", "controllers", true),
    ("", "ResourceQuota", "resourcequotas", true),
    ("", "Secret", "secrets", true),
    ("", "Service", "services/specs", true),
    ("", "ServiceAccount", "serviceaccounts", true),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "apiextensions.k8s.io/customresourcedefinitions", false),
    ("apps", "ControllerRevision", "controllerrevisions", true),
    ("apps", "DaemonSet", "daemonsets", true),
    ("apps", "Deployment", "deployments", true),
    ("apps", "ReplicaSet", "replicasets", true),
    ("apps", "StatefulSet", "statefulsets", true),
    ("batch", "CronJob", "cronjobs", true),
    ("batch", "Job", "jobs", true),
    ("discovery.k8s.io", "EndpointSlice", "endpointslices", true),
    ("networking.k8s.io", "Ingress", "ingress", true),
    ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true),
    ("storage.k8s.io", "StorageClass", "storageclasses", false),
];

const DEFINITIONS: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

/// Where an owner has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// At this key, or it is not there.
    At(Vec<u8>),
    /// Its kind is not served: nobody can tell.
    NotServed,
    /// An object without a namespace refers to one that has to be in one: that is left alone.
    Nowhere,
}

#[derive(Clone, Debug)]
struct Kind {
    resource: String,
    namespaced: bool,
}

/// The kinds that are served, by group and kind.
#[derive(Debug)]
pub(super) struct Kinds(BTreeMap<(String, String), Kind>);

impl Default for Kinds {
    fn default() -> Self {
        let row = |(group, kind, resource, namespaced): &(&str, &str, &str, bool)| {
            let kind_of = Kind { resource: (*resource).to_owned(), namespaced: *namespaced };
            (((*group).to_owned(), (*kind).to_owned()), kind_of)
        };
        Self(BTreeMap::from_iter(BUILT_IN.iter().map(row)))
    }
}

impl Kinds {
    /// Notes a definition of a kind. Returns where its objects are, if it was not served before.
    pub(super) fn note(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<String> {
        if !key.starts_with(DEFINITIONS.as_bytes()) {
            return None;
        }
        let definition: Value = serde_json::from_slice(value?).ok()?;
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let group = text(&spec["group"])?;
        let kind = text(&spec["names"]["kind"])?;
        let resource = format!("{group}/{}", text(&spec["names"]["plural"])?);
        let namespaced = spec["scope"] == "Namespaced";
        let known = self.0.insert((group, kind), Kind { resource: resource.clone(), namespaced });
        known.is_none().then_some(resource)
    }

    fn get(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.0.get(&(group.to_owned(), kind.to_owned()))
    }

    /// Tells whether an object is of a kind that is served.
    pub(super) fn serves(&self, meta: &Meta<'_>) -> bool {
        let version = meta.api_version().unwrap_or_default();
        self.get(version, meta.kind().unwrap_or_default()).is_some()
    }

    /// Says where an owner has to be.
    pub(super) fn locate(&self, owner: &Reference) -> Located {
        let Some(kind) = self.get(&owner.api_version, &owner.kind) else {
            return Located::NotServed;
        };
        let Reference { name, namespace, .. } = owner;
        let key = match (kind.namespaced, namespace.as_str()) {
            (true, "") => return Located::Nowhere,
            (true, namespace) => format!("/registry/{}/{namespace}/{name}", kind.resource),
            (false, _) => format!("/registry/{}/{name}", kind.resource),
        };
        Located::At(key.into_bytes())
    }
}

/// Returns the part of a key that names its resource: what one informer watches.
pub(super) fn resource_of(key: &[u8]) -> &[u8] {
    let rest = key.strip_prefix(b"/registry/").unwrap_or(key);
    let end = |from: usize| {
        let found = rest.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'/'));
        found.map_or(rest.len(), |place| from + place)
    };
    let first = &rest[..end(0)];
    let two = first.contains(&b'.') || first == b"services";
    if two { &rest[..end((first.len() + 1).min(rest.len()))] } else { first }
}
