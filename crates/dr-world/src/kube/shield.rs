//! The policy that makes an API refuse writes to what is mirrored.

use dr_plan::Answer;
use dr_plan::plan::write_shield;
use hyper::Method;
use serde_json::json;

use super::error::untold;
use super::{Kube, KubeError, client::Call};
use crate::words::{NotDone, fails, holds, pending, unknown};

/// The name of the policy and of its binding.
const SHIELD: &str = "etcd-sync-write-shield";
/// Policies and bindings, in the order in which they are made.
const KINDS: [&str; 2] = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"];

/// What an API says about a write that it is only asked to try.
enum Tried {
    Accepted,
    /// The shield refused it.
    Shielded,
    /// Something else did, or nobody knows.
    Untold(Answer),
}

impl Kube {
    /// Raises the shield, or leaves it raised.
    ///
    /// # Errors
    ///
    /// The API refuses, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may leave a policy that is not bound, which does nothing; to be
    /// called again.
    pub async fn raise_shield(&self) -> Result<String, NotDone> {
        let text = write_shield();
        for (kind, document) in KINDS.into_iter().zip(text.split("\n---\n")) {
            let made = self.call(&Call::apply(&path(kind), document)).await;
            made.map_err(|error| match error {
                error if error.is_absent() => NotDone::Refused(format!(
                    "the API of {} knows no such policies, which Kubernetes has from 1.30 on; stop \
                     its writers by hand",
                    self.name
                )),
                error => error.into(),
            })?;
        }
        Ok(format!("the shield of {} is raised", self.name))
    }

    /// Lowers the shield, or leaves it lowered. The binding goes first: without it the policy does
    /// nothing.
    ///
    /// # Errors
    ///
    /// The API refuses, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may leave a policy that is not bound; to be called again.
    pub async fn lower_shield(&self) -> Result<String, NotDone> {
        for kind in KINDS.into_iter().rev() {
            match self.call(&Call::new(Method::DELETE, path(kind))).await {
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(format!("the shield of {} is lowered", self.name))
    }

    /// Says whether the API refuses a write to what is mirrored, because of the shield. That nothing
    /// is written in fact, only the etcd can tell.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn writes_refused(&self) -> Answer {
        match self.try_write().await {
            Tried::Shielded => holds(format!("the API of {} refuses: the shield", self.name)),
            Tried::Accepted => {
                fails(format!("the API of {} would accept a new namespace", self.name))
            }
            Tried::Untold(answer) => answer,
        }
    }

    /// Says whether the shield is gone, and the API accepts writes again.
    ///
    /// # Cancel safety
    ///
    /// See [`Kube::pods_ready`].
    pub async fn shield_lowered(&self) -> Answer {
        for kind in KINDS {
            match self.get(&path(kind)).await {
                Ok(_) => return fails(format!("{kind}/{SHIELD} is there on {}", self.name)),
                Err(error) if error.is_absent() => {}
                Err(error) => return untold(&self.name, &error),
            }
        }
        match self.try_write().await {
            Tried::Accepted => holds(format!("the API of {} accepts writes", self.name)),
            // An API server learns of it a moment later.
            Tried::Shielded => {
                pending(format!("the shield of {} is gone, and still works", self.name))
            }
            Tried::Untold(answer) => answer,
        }
    }

    /// Tries to make a namespace, which is never made: one that belongs to what is mirrored.
    async fn try_write(&self) -> Tried {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "generateName": "etcd-sync-write-probe-" },
        });
        match self.call(&Call::post("/api/v1/namespaces?dryRun=All", &namespace)).await {
            Ok(_) => Tried::Accepted,
            Err(KubeError::Refused { message, .. }) if message.contains(SHIELD) => Tried::Shielded,
            Err(error @ KubeError::Refused { status: 401..=499, .. }) => {
                let why = "refused a trial write for another reason";
                Tried::Untold(unknown(format!("the API of {} {why}: {error}", self.name)))
            }
            Err(error) => Tried::Untold(untold(&self.name, &error)),
        }
    }
}

fn path(kind: &str) -> String {
    format!("/apis/admissionregistration.k8s.io/v1/{kind}/{SHIELD}")
}
