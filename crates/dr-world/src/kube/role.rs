//! The role of a cluster, written down in it.

use dr_plan::Answer;
use dr_plan::plan::ROLE_RECORD;
use serde_json::json;

use super::client::{Call, encode};
use super::error::untold;
use super::{Kube, text};
use crate::words::{NotDone, fails, holds};

impl Kube {
    /// Writes the role down, in a namespace that is not mirrored: in one that is, the other
    /// cluster's role would come over it.
    ///
    /// # Errors
    ///
    /// The API refuses, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may or may not be done; to be called again.
    pub async fn record_role(&self, namespace: &str, role: &str) -> Result<String, NotDone> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": ROLE_RECORD, "namespace": namespace },
            "data": { "role": role },
        });
        self.call(&Call::apply(&path(namespace), object.to_string())).await?;
        Ok(format!("{} is recorded as {role}", self.name))
    }

    /// Says whether this is the role that is written down.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn role_recorded(&self, namespace: &str, role: &str) -> Answer {
        let found = match self.get(&path(namespace)).await {
            Ok(found) => found,
            Err(error) if error.is_absent() => return fails("no role is recorded"),
            Err(error) => return untold(&self.name, &error),
        };
        let recorded = text(&found, "/data/role");
        let evidence = format!("the role of {} is recorded as {recorded:?}", self.name);
        if recorded == role { holds(evidence) } else { fails(evidence) }
    }
}

fn path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{}/configmaps/{ROLE_RECORD}", encode(namespace))
}
