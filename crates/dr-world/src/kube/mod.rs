//! One Kubernetes API: what it says, and what it is told to do.
//!
//! The client is as small as what it is for: one connection for each request, the kubeconfig read
//! anew each time, since tokens and certificates are renewed while a plan runs.

mod client;
mod controllers;
mod error;
mod exec;
mod identity;
mod kubeconfig;
mod logs;
mod pods;
mod role;
mod scale;
mod selector;
mod services;
mod shield;
mod tokens;
mod unreachable;
mod version;
mod workloads;

pub use error::KubeError;

pub(crate) use exec::Ran;
pub(crate) use identity::different;
pub(crate) use services::addresses_apart;
pub(crate) use tokens::{same_settings, token_accepted};
pub(crate) use unreachable::unreachable;
pub(crate) use version::{not_older, same};

use std::time::Duration;

use dr_plan::topology::KubernetesAccess;
use serde_json::Value;

use client::{Call, Found};

/// The API of one cluster.
#[derive(Clone, Debug)]
pub struct Kube {
    name: String,
    access: KubernetesAccess,
    limit: Duration,
}

impl Kube {
    /// Prepares to speak to the API of the cluster of this name. The kubeconfig is read with each
    /// request; each may take as long as `limit`.
    #[must_use]
    pub fn new(name: impl Into<String>, access: KubernetesAccess, limit: Duration) -> Self {
        Self { name: name.into(), access, limit }
    }

    /// Returns the cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the beginning of a `kubectl` command line that speaks to this API.
    #[must_use]
    pub fn kubectl(&self) -> String {
        self.access.kubectl()
    }

    /// Reads what is at a path, such as `/api/v1/namespaces/kube-system`.
    ///
    /// # Errors
    ///
    /// The API can't be reached or says no.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment: it only reads.
    pub async fn get(&self, path: &str) -> Result<Value, KubeError> {
        Ok(self.call(&Call::get(path)).await?.body)
    }

    /// Makes one request.
    async fn call(&self, call: &Call) -> Result<Found, KubeError> {
        kubeconfig::read(&self.access)?.call(call, self.limit).await
    }

    /// Reads a list to its end, page by page. The path has a query.
    async fn list(&self, path: &str) -> Result<(Vec<Value>, i64), KubeError> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let page = format!("{path}&limit={PAGE_ITEMS}{next}");
            let Found { mut body, ahead_ms } = self.call(&Call::get(page)).await?;
            if let Some(Value::Array(found)) = body.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            let token = body.pointer("/metadata/continue").and_then(Value::as_str);
            match token.filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", client::encode(token)),
                None => return Ok((items, ahead_ms)),
            }
        }
    }
}

/// How many objects are read at once.
const PAGE_ITEMS: u32 = 500;

/// Reads a text in an object; empty if it is not there.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
