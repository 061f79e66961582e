//! Which cluster it is.

use dr_plan::Answer;

use super::error::untold;
use super::{Kube, KubeError, text};
use crate::words::{fails, holds, unknown};

impl Kube {
    /// The namespace `kube-system` is made once, with the cluster.
    async fn identity(&self) -> Result<String, KubeError> {
        Ok(text(&self.get("/api/v1/namespaces/kube-system").await?, "/metadata/uid").to_owned())
    }
}

/// Says whether these are two clusters.
pub(crate) async fn different(primary: &Kube, standby: &Kube) -> Answer {
    let (ours, theirs) = tokio::join!(primary.identity(), standby.identity());
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(error), _) => return untold(&primary.name, &error),
        (_, Err(error)) => return untold(&standby.name, &error),
    };
    if ours.is_empty() || theirs.is_empty() {
        return unknown("a kube-system without a uid");
    }
    let evidence = format!("kube-system is {ours} and {theirs}");
    if ours == theirs { fails(evidence) } else { holds(evidence) }
}
