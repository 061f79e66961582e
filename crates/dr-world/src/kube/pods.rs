//! Pods: are they there, are they ready, are they new; and how they are made new.

use dr_plan::{Answer, Timestamp};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Call, JSON, encode};
use super::error::untold;
use super::{Kube, KubeError, text};
use crate::words::{NotDone, fails, holds, pending};

/// What matters of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    uid: String,
    created: Timestamp,
    pub(super) ready: bool,
    /// It has run to its end, or was evicted: it does nothing any more, and nobody waits for it.
    finished: bool,
    /// It is being deleted.
    leaving: bool,
    /// Somebody makes another one if this one goes.
    owned: bool,
}

impl Pod {
    fn read(object: &Value) -> Self {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.is_some_and(|conditions| {
            conditions
                .iter()
                .any(|one| text(one, "/type") == "Ready" && text(one, "/status") == "True")
        });
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        Self {
            name: text(object, "/metadata/name").to_owned(),
            uid: text(object, "/metadata/uid").to_owned(),
            created: moment(text(object, "/metadata/creationTimestamp")),
            ready,
            finished: matches!(text(object, "/status/phase"), "Succeeded" | "Failed"),
            leaving: object.pointer("/metadata/deletionTimestamp").is_some(),
            owned: owners.is_some_and(|owners| !owners.is_empty()),
        }
    }

    /// Says whether it was made after a moment of our clock.
    fn is_new(&self, since: Since) -> bool {
        self.created >= since.0
    }
}

/// A moment of our clock, as the API's clock would put it into an object: in whole seconds. A pod
/// that was made within the very second counts as new.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(Timestamp);

impl Since {
    pub(super) fn new(begun: Timestamp, ahead_ms: i64) -> Self {
        let ms = begun.ms().saturating_add_signed(ahead_ms);
        Self(Timestamp::from_ms(ms / 1000 * 1000))
    }

    /// Says whether something that an object dates so came after.
    pub(super) fn is_before(self, dated: &str) -> bool {
        moment(dated) >= self.0
    }
}

/// Reads a moment; the beginning of time if it is none, so that nothing unknown counts as new.
fn moment(text: &str) -> Timestamp {
    humantime::parse_rfc3339(text).map(Timestamp::from).unwrap_or_default()
}

impl Kube {
    /// Reads the pods that match, and by how much the API's clock is ahead of ours.
    pub(super) async fn pods(
        &self,
        namespace: &str,
        selector: &str,
    ) -> Result<(Vec<Pod>, i64), KubeError> {
        let (namespace, selector) = (encode(namespace), encode(selector));
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
        let (items, ahead_ms) = self.list(&path).await?;
        Ok((items.iter().map(Pod::read).filter(|pod| !pod.finished).collect(), ahead_ms))
    }

    /// Says whether there are pods that match, and all of them are ready.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment, as all probes here: they only look.
    pub async fn pods_ready(&self, namespace: &str, selector: &str) -> Answer {
        let pods = match self.pods(namespace, selector).await {
            Ok((pods, _)) => pods,
            Err(error) => return untold(&self.name, &error),
        };
        let ready = pods.iter().filter(|pod| pod.ready && !pod.leaving).count();
        let evidence = format!("{ready} of {} pods are ready", pods.len());
        if ready > 0 && ready == pods.len() {
            return holds(evidence);
        }
        fails(if pods.is_empty() { "there is no such pod".to_owned() } else { evidence })
    }

    /// Says whether all pods that match are ready and were made after a moment, and are as many as
    /// whoever makes them wants; on its way if some are.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn pods_restarted(
        &self,
        namespace: &str,
        selector: &str,
        begun: Option<Timestamp>,
    ) -> Answer {
        let Some(begun) = begun else { return fails("nobody began to restart them") };
        let found =
            tokio::try_join!(self.pods(namespace, selector), self.wanted(namespace, selector));
        let ((pods, ahead_ms), wanted) = match found {
            Ok(found) => found,
            Err(error) => return untold(&self.name, &error),
        };
        let since = Since::new(begun, ahead_ms);
        let new = pods.iter().filter(|pod| pod.is_new(since) && !pod.leaving).count();
        let ready =
            pods.iter().filter(|pod| pod.is_new(since) && !pod.leaving && pod.ready).count();
        let leaving = pods.iter().filter(|pod| pod.leaving).count();
        // One that is gone and not yet made again counts too.
        let all = pods.len().max(usize::try_from(wanted).unwrap_or(usize::MAX));
        let clock = if ahead_ms == 0 {
            String::new()
        } else {
            format!(", by its clock, which differs from this one by {} s", ahead_ms / 1000)
        };
        let evidence = format!("{new} of {all} pods are new, {ready} of them ready{clock}");
        if all > 0 && ready == all {
            return holds(evidence);
        }
        // One that leaves, or is gone, was told to; by whom does not matter.
        let going = leaving > 0 || pods.len() < all;
        if new > 0 || going { pending(evidence) } else { fails(evidence) }
    }

    /// Says whether no pod matches that still does something.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn pods_gone(&self, namespace: &str, selector: &str) -> Answer {
        let pods = match self.pods(namespace, selector).await {
            Ok((pods, _)) => pods,
            Err(error) => return untold(&self.name, &error),
        };
        if pods.is_empty() {
            return holds("there is no such pod");
        }
        let evidence = format!("{} pods are left", pods.len());
        if pods.iter().all(|pod| pod.leaving) { pending(evidence) } else { fails(evidence) }
    }

    /// Deletes the pods that match and were made before a moment, each by its identity, so that a
    /// new one of the same name stays.
    ///
    /// # Errors
    ///
    /// A pod that nobody would make again is not deleted, nor is any other then.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it leaves some pods deleted and some not; to be called again with the
    /// same moment.
    pub async fn restart_pods(
        &self,
        namespace: &str,
        selector: &str,
        begun: Timestamp,
    ) -> Result<String, NotDone> {
        let (pods, ahead_ms) = self.pods(namespace, selector).await?;
        let since = Since::new(begun, ahead_ms);
        let old: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_new(since) && !pod.leaving).collect();
        if let Some(alone) = old.iter().find(|pod| !pod.owned) {
            let why = "has no owner that would make it again";
            return Err(NotDone::Refused(format!("pod {namespace}/{} {why}", alone.name)));
        }
        if pods.is_empty() {
            return Err(NotDone::Refused(format!("no pod with {selector} in {namespace}")));
        }
        let mut deleted = 0;
        for pod in &old {
            match self.delete_pod(namespace, pod).await {
                Ok(()) => deleted += 1,
                // It went by itself, or another one has its name by now.
                Err(KubeError::Refused { status: 404 | 409, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(format!("{deleted} of {} pods deleted", pods.len()))
    }

    async fn delete_pod(&self, namespace: &str, pod: &Pod) -> Result<(), KubeError> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", encode(namespace), encode(&pod.name));
        let only_this = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": pod.uid },
        });
        let call = Call::new(Method::DELETE, path).with(JSON, only_this.to_string());
        self.call(&call).await.map(|_| ())
    }
}
