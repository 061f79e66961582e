//! From YAML to a topology.

use serde_json::Value;

use super::cluster::{Cluster, EtcdAccess, KubernetesAccess, Node, Registry, RegistryKind};
use super::defaults;
use super::fields::{Fields, Found};
use super::mistake::{Mistake, Mistakes};
use super::nearest::nearest;
use super::validate::validate;
use super::{Component, Mirror, Objectives, Platform, Topology, WorkloadCluster};

impl Topology {
    /// Reads the YAML of a topology file and checks all that can be checked without a network.
    ///
    /// # Errors
    ///
    /// Every mistake at once: fields that are missing, unknown or of the wrong kind, and values
    /// that can't be meant.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let options = serde_saphyr::options! { with_snippet: false };
        let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let why = error.to_string().lines().collect::<Vec<_>>().join(" ");
            let why = why.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            Mistakes(vec![Mistake::new("the file", why, "write YAML")])
        })?;
        let found = Found::default();
        let topology = topology(Fields::root(&value, &found));
        let mut mistakes = found.into_inner();
        validate(&topology, &mut mistakes);
        if mistakes.is_empty() { Ok(topology) } else { Err(Mistakes(mistakes)) }
    }
}

fn topology(mut fields: Fields<'_>) -> Topology {
    let topology = Topology {
        platform: platform(fields.group("platform", "say how users reach the platform")),
        primary: cluster(fields.group("primary", "describe the cluster that serves the platform")),
        standby: cluster(fields.group("standby", "describe the cluster that is to take over")),
        mirror: mirror(fields.group_or_empty("mirror")),
        components: components(&mut fields),
        workload_clusters: fields.groups("workload_clusters").into_iter().map(workload).collect(),
        objectives: objectives(fields.group_or_empty("objectives")),
    };
    fields.finish();
    topology
}

fn platform(mut fields: Fields<'_>) -> Platform {
    let mut port = |name, default: u16| {
        let number = fields.number(name, default.into());
        u16::try_from(number).unwrap_or_else(|_| {
            fields.wrong(name, format!("{number} is no port"), format!("write {default}"));
            default
        })
    };
    let (http_port, https_port) =
        (port("http_port", defaults::http_port()), port("https_port", defaults::https_port()));
    let platform = Platform {
        domain: fields.text("domain", "name the domain of the platform's address"),
        certificate: fields.text("certificate", "name the file with the domain's certificate"),
        http_port,
        https_port,
        encryption_config: fields.text_or("encryption_config", &defaults::encryption_config()),
    };
    fields.finish();
    platform
}

fn cluster(mut fields: Fields<'_>) -> Cluster {
    let cluster = Cluster {
        name: fields.text("name", "give it a name, such as `east`"),
        vip: fields.text("vip", "write its virtual IP address"),
        etcd_through_vip: fields.flag("etcd_through_vip", false),
        other_addresses: fields.texts("other_addresses"),
        ssh_user: fields.text_or("ssh_user", &defaults::ssh_user()),
        nodes: fields.groups("nodes").into_iter().map(node).collect(),
        etcd: etcd(fields.group("etcd", "say how to reach its etcd")),
        kubernetes: kubernetes(fields.group("kubernetes", "say how to reach its API")),
        registry: registry(fields.group("registry", "say where its images come from")),
    };
    fields.finish();
    cluster
}

fn node(mut fields: Fields<'_>) -> Node {
    let node = Node {
        name: fields.text("name", "write the node's name"),
        address: fields.text("address", "write the node's IP address"),
    };
    fields.finish();
    node
}

fn etcd(mut fields: Fields<'_>) -> EtcdAccess {
    let etcd = EtcdAccess {
        endpoints: fields.texts("endpoints"),
        cacert: fields.text_or("cacert", ""),
        cert: fields.text_or("cert", ""),
        key: fields.text_or("key", ""),
    };
    fields.finish();
    etcd
}

fn kubernetes(mut fields: Fields<'_>) -> KubernetesAccess {
    let kubernetes = KubernetesAccess {
        kubeconfig: fields.text("kubeconfig", "name a kubeconfig file"),
        context: fields.text_or("context", ""),
    };
    fields.finish();
    kubernetes
}

fn registry(mut fields: Fields<'_>) -> Registry {
    let kind = match fields.text("kind", "write `built-in` or `external`").as_str() {
        "external" => RegistryKind::External,
        "built-in" | "" => RegistryKind::BuiltIn,
        other => {
            let wrong = format!("`{other}` is no kind of registry");
            fields.wrong("kind", wrong, "write `built-in` or `external`");
            RegistryKind::BuiltIn
        }
    };
    let registry = Registry {
        kind,
        address: fields.text("address", "write the address that was set at installation"),
        user_set: fields.flag("user_set", false),
        password_set: fields.flag("password_set", false),
    };
    fields.finish();
    registry
}

fn mirror(fields: Option<Fields<'_>>) -> Mirror {
    let default = Mirror::default();
    let Some(mut fields) = fields else { return default };
    let mirror = Mirror {
        name: fields.text_or("name", &default.name),
        namespace: fields.text_or("namespace", &default.namespace),
        monitor: fields.text_or("monitor", &default.monitor),
    };
    fields.finish();
    mirror
}

fn components(fields: &mut Fields<'_>) -> Vec<Component> {
    let mut components = Vec::new();
    for name in fields.texts("components") {
        if let Some(component) = Component::ALL.into_iter().find(|known| known.as_str() == name) {
            components.push(component);
            continue;
        }
        let known = Component::ALL.map(Component::as_str);
        let mend = match nearest(&name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        fields.wrong("components", format!("`{name}` is no component that a plan knows"), mend);
    }
    components.sort_unstable();
    components.dedup();
    components
}

fn workload(mut fields: Fields<'_>) -> WorkloadCluster {
    let workload = WorkloadCluster {
        name: fields.text("name", "give it a name"),
        kubernetes: kubernetes(fields.group("kubernetes", "say how to reach its API")),
        sends_monitoring: fields.flag("sends_monitoring", defaults::sends_monitoring()),
    };
    fields.finish();
    workload
}

fn objectives(fields: Option<Fields<'_>>) -> Objectives {
    let default = Objectives::default();
    let Some(mut fields) = fields else { return default };
    let objectives = Objectives {
        rpo_seconds: fields.number("rpo_seconds", default.rpo_seconds),
        rto_seconds: fields.number("rto_seconds", default.rto_seconds),
    };
    fields.finish();
    objectives
}
