//! The role of a cluster, written down in it.

use dr_plan::Answer;
use serde_json::json;

use super::client::Call;
use super::{Kube, text};
use crate::words::{NotDone, fails, holds, untold};

/// Where the role stands: the config map `etcd-sync-role` in `kube-public`. That namespace is in
/// every cluster, is never mirrored, and no shield covers it.
const ROLE: &str = "/api/v1/namespaces/kube-public/configmaps/etcd-sync-role";

impl Kube {
    /// Writes the role down.
    ///
    /// # Errors
    ///
    /// The API refuses, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may or may not be done; to be called again.
    pub async fn record_role(&self, role: &str) -> Result<String, NotDone> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "etcd-sync-role", "namespace": "kube-public" },
            "data": { "cluster": self.name, "role": role },
        });
        self.call(&Call::apply(ROLE, object.to_string())).await?;
        Ok(format!("{} is recorded as {role}", self.name))
    }

    /// Says whether this is the role that is written down.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn role_recorded(&self, role: &str) -> Answer {
        let found = match self.get(ROLE).await {
            Ok(found) => found,
            Err(error) if error.is_absent() => return fails("no role is recorded"),
            Err(error) => return untold(&self.name, &error),
        };
        let recorded = text(&found, "/data/role");
        let evidence = format!("the role of {} is recorded as {recorded:?}", self.name);
        if recorded == role { holds(evidence) } else { fails(evidence) }
    }
}
