//! One of the two clusters.

use schemars::JsonSchema;
use serde::Serialize;

use super::defaults;

/// One of the two clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cluster {
    /// Its name; typed by hand to confirm what can't be undone.
    pub name: String,
    /// Its virtual IP address, served by a load balancer that you provide.
    pub vip: String,
    /// Whether the load balancer forwards port 2379 of the virtual IP to etcd.
    #[schemars(default)]
    pub etcd_through_vip: bool,
    /// The other addresses under which the platform answers; its own virtual IP is one of them.
    pub other_addresses: Vec<String>,
    /// The user for `ssh` on its nodes.
    #[schemars(default = "defaults::ssh_user")]
    pub ssh_user: String,
    /// Its control-plane nodes.
    pub nodes: Vec<Node>,
    /// How to reach its etcd.
    pub etcd: EtcdAccess,
    /// How to reach its API.
    pub kubernetes: KubernetesAccess,
    /// Where its container images come from.
    pub registry: Registry,
}

/// A control-plane node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Node {
    /// Its name in Kubernetes.
    pub name: String,
    /// Its IP address.
    pub address: String,
}

/// How to reach an etcd. Files only: what is in them is nobody's business here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EtcdAccess {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// The file with the certificate authority; empty without TLS.
    #[schemars(default)]
    pub cacert: String,
    /// The file with the client's certificate.
    #[schemars(default)]
    pub cert: String,
    /// The file with the client's key.
    #[schemars(default)]
    pub key: String,
}

/// How to reach a Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KubernetesAccess {
    /// The kubeconfig file.
    pub kubeconfig: String,
    /// The context in it; the current one if empty.
    #[schemars(default)]
    pub context: String,
}

impl KubernetesAccess {
    /// Returns the beginning of a `kubectl` command line that speaks to this cluster.
    #[must_use]
    pub fn kubectl(&self) -> String {
        let context = if self.context.is_empty() {
            String::new()
        } else {
            format!(" --context {}", self.context)
        };
        format!("kubectl --kubeconfig {}{context}", self.kubeconfig)
    }
}

/// Where container images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Registry {
    /// Who runs it.
    pub kind: RegistryKind,
    /// Its address, as it was set when the cluster was installed.
    pub address: String,
    /// Whether a user name was set.
    #[schemars(default)]
    pub user_set: bool,
    /// Whether a password was set. The password itself has no place here.
    #[schemars(default)]
    pub password_set: bool,
}

/// Who runs a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKind {
    /// The platform deploys one in each cluster.
    BuiltIn,
    /// One outside of both clusters.
    External,
}

impl RegistryKind {
    /// Returns the word for it in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::External => "external",
        }
    }
}
