//! Made-up Kubernetes objects.

use std::fmt::Write as _;

use end_to_end::kin::veil;
use serde_json::json;

/// A kind, and where its objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) resource: &'static str,
}

const fn kind(api_version: &'static str, kind: &'static str, resource: &'static str) -> Kind {
    Kind { api_version, kind, resource }
}

pub(crate) const CONFIG_MAP: Kind = kind("v1", "ConfigMap", "configmaps");
pub(crate) const DEPLOYMENT: Kind = kind("apps/v1", "Deployment", "deployments");
pub(crate) const JOB: Kind = kind("batch/v1", "Job", "jobs");
pub(crate) const SECRET: Kind = kind("v1", "Secret", "secrets");
pub(crate) const SERVICE_ACCOUNT: Kind = kind("v1", "ServiceAccount", "serviceaccounts");
/// In namespaces; see [`definition`].
pub(crate) const PART: Kind = kind("parts.example.io/v1", "Part", "parts.example.io/parts");
/// In no namespace; see [`definition`].
pub(crate) const PLANT: Kind = kind("parts.example.io/v1", "Plant", "parts.example.io/plants");

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) owners: Vec<serde_json::Value>,
    pub(crate) data: String,
    pub(crate) veiled: bool,
}

impl Object {
    /// An object in a namespace.
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        let uid = format!("uid-{}-{namespace}-{name}", kind.kind.to_lowercase());
        Self { namespace: Some(namespace.to_owned()), ..Self::global(kind, name).with_uid(&uid) }
    }

    /// An object in no namespace.
    pub(crate) fn global(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            namespace: None,
            name: name.to_owned(),
            uid: format!("uid-{}-{name}", kind.kind.to_lowercase()),
            owners: Vec::new(),
            data: String::new(),
            veiled: false,
        }
    }

    pub(crate) fn with_uid(self, uid: &str) -> Self {
        Self { uid: uid.to_owned(), ..self }
    }

    /// Named as an owner, whether it is there or not.
    pub(crate) fn owned_by(self, owner: &Self) -> Self {
        let version = owner.kind.api_version;
        self.owned_as(version, owner)
    }

    /// As [`Object::owned_by`], with a version of its kind that it is perhaps not stored with.
    pub(crate) fn owned_as(mut self, api_version: &str, owner: &Self) -> Self {
        self.owners.push(json!({
            "apiVersion": api_version,
            "kind": owner.kind.kind,
            "name": owner.name,
            "uid": owner.uid,
        }));
        self
    }

    /// With so many bytes of data.
    pub(crate) fn of_bytes(self, bytes: usize) -> Self {
        Self { data: "d".repeat(bytes), ..self }
    }

    /// As a mirror sees one that is encrypted at rest.
    pub(crate) fn encrypted(self) -> Self {
        Self { veiled: true, ..self }
    }

    pub(crate) fn key(&self) -> String {
        let mut key = format!("/registry/{}/", self.kind.resource);
        if let Some(namespace) = &self.namespace {
            let _ = write!(key, "{namespace}/");
        }
        key + &self.name
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        let mut metadata = json!({"name": self.name, "uid": self.uid});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        if !self.owners.is_empty() {
            metadata["ownerReferences"] = json!(self.owners);
        }
        let Kind { api_version, kind, .. } = self.kind;
        let object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": metadata,
            "data": {"text": self.data},
        });
        let object = object.to_string().into_bytes();
        if self.veiled { veil(&object) } else { object }
    }
}

/// The definition of a custom kind, as a cluster holds it that serves the kind.
pub(crate) fn definition(kind: &str, resource: &str, namespaced: bool) -> (String, Vec<u8>) {
    let (group, plural) = resource.split_once('/').expect("a group and a plural");
    let name = format!("{plural}.{group}");
    let scope = if namespaced { "Namespaced" } else { "Cluster" };
    let value = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "uid": format!("uid-definition-{name}")},
        "spec": {"group": group, "scope": scope, "names": {"kind": kind, "plural": plural}},
    });
    let key = format!("/registry/apiextensions.k8s.io/customresourcedefinitions/{name}");
    (key, value.to_string().into_bytes())
}

/// The definitions of the custom kinds that are made up here, and of those in the fixture: with them
/// on a standby from the start, its collector judges every kind at once.
pub(crate) fn definitions() -> Vec<(String, Vec<u8>)> {
    [
        (PART.kind, PART.resource, true),
        (PLANT.kind, PLANT.resource, false),
        ("Application", "app.k8s.io/applications", true),
        ("Cluster", "cluster.x-k8s.io/clusters", true),
        ("Cluster", "platform.tkestack.io/clusters", false),
        ("ClusterModule", "cluster.alauda.io/clustermodules", false),
        ("Machine", "cluster.x-k8s.io/machines", true),
        ("MachineDeployment", "cluster.x-k8s.io/machinedeployments", true),
        ("MachineSet", "cluster.x-k8s.io/machinesets", true),
        ("ModuleInfo", "cluster.alauda.io/moduleinfoes", false),
        ("Project", "auth.alauda.io/projects", false),
        ("User", "auth.alauda.io/users", false),
        ("UserBinding", "auth.alauda.io/userbindings", false),
    ]
    .map(|(kind, resource, namespaced)| definition(kind, resource, namespaced))
    .to_vec()
}
