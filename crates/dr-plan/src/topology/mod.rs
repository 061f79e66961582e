//! The two clusters and all that stands around them, as one file says it.
//!
//! `primary` is the cluster that serves the platform when the file is written, `standby` the other.
//! After a switchover or a failover [`Topology::swapped`] says the same with the roles exchanged.

mod answers;
mod cluster;
mod commented;
mod defaults;
mod fields;
mod mistake;
mod nearest;
mod read;
mod validate;

pub use answers::{Answers, ClusterAnswers};
pub use cluster::{Cluster, EtcdAccess, KubernetesAccess, Node, Registry, RegistryKind};
pub use mistake::{Mistake, Mistakes};

use schemars::JsonSchema;
use serde::Serialize;

use crate::digest::Digest;

/// What a plan is made from.
///
/// One that came from [`Topology::parse`] has passed every check that needs no network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Topology {
    /// How users reach the platform, whichever cluster serves it.
    pub platform: Platform,
    /// The cluster that serves the platform.
    pub primary: Cluster,
    /// The cluster that is to take over.
    pub standby: Cluster,
    /// The mirror, which runs in the standby cluster.
    #[schemars(default)]
    pub mirror: Mirror,
    /// What is installed on the platform and has to be told about a change of roles.
    #[schemars(default)]
    pub components: Vec<Component>,
    /// Clusters that the platform manages and whose agents report to it.
    #[schemars(default)]
    pub workload_clusters: Vec<WorkloadCluster>,
    /// What was promised to the platform's users.
    #[schemars(default)]
    pub objectives: Objectives,
}

/// How users reach the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Platform {
    /// The domain of the platform's address.
    pub domain: String,
    /// The file with the certificate for that domain, where the plans run.
    pub certificate: String,
    /// The port of the platform's address for HTTP.
    #[schemars(default = "defaults::http_port")]
    pub http_port: u16,
    /// The port of the platform's address for HTTPS.
    #[schemars(default = "defaults::https_port")]
    pub https_port: u16,
    /// The file with the configuration of encryption at rest, on every control-plane node.
    #[schemars(default = "defaults::encryption_config")]
    pub encryption_config: String,
}

/// The mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Mirror {
    /// Its name, as in `--mirror-name`.
    pub name: String,
    /// The namespace that it runs in.
    pub namespace: String,
    /// Where its monitor answers; whoever carries plans out compares by itself if empty.
    pub monitor: String,
}

/// A component whose pods have to be restarted, or whose presence has to be cared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Log storage in Elasticsearch.
    Elasticsearch,
    /// Monitoring with VictoriaMetrics.
    Victoriametrics,
    /// The service that turns cluster objects of one kind into another.
    ClusterTransformer,
    /// The events of DevOps pipelines, on Knative.
    DevopsEventing,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Elasticsearch,
        Self::Victoriametrics,
        Self::ClusterTransformer,
        Self::DevopsEventing,
    ];

    /// Returns the word for it in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Victoriametrics => "victoriametrics",
            Self::ClusterTransformer => "cluster-transformer",
            Self::DevopsEventing => "devops-eventing",
        }
    }
}

/// A cluster that the platform manages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WorkloadCluster {
    /// Its name.
    pub name: String,
    /// How to reach its API.
    pub kubernetes: KubernetesAccess,
    /// Whether it sends its monitoring data to the platform.
    #[schemars(default = "defaults::sends_monitoring")]
    pub sends_monitoring: bool,
}

/// What was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Objectives {
    /// How many seconds of writes may be lost at most.
    pub rpo_seconds: u64,
    /// How many seconds the platform may be away at most.
    pub rto_seconds: u64,
}

impl Topology {
    /// Returns the topology after a change of roles.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self { primary: self.standby.clone(), standby: self.primary.clone(), ..self.clone() }
    }

    /// Returns whether a component is installed.
    #[must_use]
    pub fn has(&self, component: Component) -> bool {
        self.components.contains(&component)
    }

    /// Returns the digest of everything in it: a plan that was begun with one topology is not gone
    /// on with under another.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Returns the JSON Schema of the file.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}
