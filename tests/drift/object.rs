//! Objects as an API server stores them: custom resources in JSON.

use serde_json::{Value, json};

/// What an object is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Object(Value);

/// An object of this kind in the namespace `shop`. Its uid follows from kind and name.
pub(crate) fn object(kind: &str, name: &str) -> Object {
    let api_version = if matches!(kind, "Namespace" | "Secret") { "v1" } else { "example.io/v1" };
    let uid = format!("{kind}-{name}");
    let metadata = json!({"name": name, "namespace": "shop", "uid": uid});
    Object(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}))
}

impl Object {
    /// Gives it another uid.
    pub(crate) fn uid(mut self, uid: &str) -> Self {
        self.0["metadata"]["uid"] = uid.into();
        self
    }

    /// Makes it belong to an object of its own kind.
    pub(crate) fn owned_by(mut self, owner: &str) -> Self {
        let kind = self.0["kind"].as_str().unwrap().to_owned();
        self.0["metadata"]["ownerReferences"] = json!([{
            "apiVersion": self.0["apiVersion"], "kind": kind, "name": owner,
            "uid": format!("{kind}-{owner}"),
        }]);
        self
    }

    /// Marks it as being deleted; a finalizer keeps it.
    pub(crate) fn ending(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        self.0["metadata"]["finalizers"] = json!(["example.io/keep"]);
        self
    }

    /// Gives it a content.
    pub(crate) fn holding(mut self, content: &str) -> Self {
        self.0["spec"] = json!({"content": content});
        self
    }

    /// What is stored.
    pub(crate) fn stored(&self) -> String {
        self.0.to_string()
    }
}
