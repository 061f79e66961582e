//! Where something is looked for, or done.

use serde::Serialize;

/// One of the two clusters, by the role it has in the topology of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The cluster that serves the platform when the plan begins.
    Primary,
    /// The other.
    Standby,
}

/// A Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// One of the pair.
    Side(Side),
    /// A workload cluster, by its name.
    Workload(String),
}

impl From<Side> for Target {
    fn from(side: Side) -> Self {
        Self::Side(side)
    }
}

/// From where something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The machine that runs the plan.
    Here,
    /// A pod in that cluster.
    Inside(Side),
}
