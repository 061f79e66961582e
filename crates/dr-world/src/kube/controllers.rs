//! The API servers and the controller manager: have they been started anew?

use dr_plan::{Answer, Timestamp};
use serde_json::Value;

use super::error::untold;
use super::pods::Since;
use super::{Kube, text};
use crate::words::{fails, holds, pending, unknown};

/// Where the control plane's pods are, by the labels that kubeadm gives them.
const PODS: &str = "/api/v1/namespaces/kube-system/pods?labelSelector=\
                    component%20in%20%28kube-apiserver%2Ckube-controller-manager%29";
/// The containers that are restarted.
const CONTAINERS: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];

impl Kube {
    /// Says whether the containers of the API servers and of the controller managers on all nodes
    /// were started after a moment, and are ready.
    ///
    /// Not the pods: those of a control plane are shadows of files on the nodes, and stay the same
    /// when what they show is started anew.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn controllers_restarted(&self, nodes: usize, begun: Option<Timestamp>) -> Answer {
        let Some(begun) = begun else { return fails("nobody began to restart them") };
        let (pods, ahead_ms) = match self.list(PODS).await {
            Ok(found) => found,
            Err(error) => return untold(&self.name, &error),
        };
        let since = Since::new(begun, ahead_ms);
        let (mut new, mut expected) = (0, 0);
        let mut words = Vec::new();
        for container in CONTAINERS {
            let mut of_it = 0;
            for status in pods.iter().filter_map(|pod| status(pod, container)) {
                of_it += 1;
                let started = text(status, "/state/running/startedAt");
                let ready = status.get("ready") == Some(&Value::Bool(true));
                new += usize::from(ready && since.is_before(started));
            }
            if of_it == 0 {
                return unknown(format!(
                    "{} shows no pod of {container} in kube-system; look on the nodes",
                    self.name
                ));
            }
            words.push(format!("{of_it} of {container}"));
            expected += nodes.max(of_it);
        }
        let evidence = format!("{new} of {expected} are new and ready; {}", words.join(", "));
        match new {
            0 => fails(evidence),
            all if all == expected => holds(evidence),
            _ => pending(evidence),
        }
    }
}

/// Returns the status of a container in a pod, if it is one of that component.
fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let statuses = pod.pointer("/status/containerStatuses")?.as_array()?;
    statuses.iter().find(|status| text(status, "/name") == container)
}
