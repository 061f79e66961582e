//! How many pods a deployment has.

use hyper::Method;
use serde_json::json;

use super::Kube;
use super::client::{Call, MERGE, encode};
use crate::words::NotDone;

impl Kube {
    /// Sets the number of a deployment's pods. One that is gone has none.
    ///
    /// # Errors
    ///
    /// The API refuses, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may or may not be done; to be called again.
    pub async fn scale(
        &self,
        namespace: &str,
        deployment: &str,
        replicas: u32,
    ) -> Result<String, NotDone> {
        let (at, name) = (encode(namespace), encode(deployment));
        let path = format!("/apis/apps/v1/namespaces/{at}/deployments/{name}/scale");
        let patch = json!({ "spec": { "replicas": replicas } }).to_string();
        match self.call(&Call::new(Method::PATCH, path).with(MERGE, patch)).await {
            Ok(_) => Ok(format!("deployment {namespace}/{deployment} is to have {replicas} pods")),
            Err(error) if error.is_absent() && replicas == 0 => {
                Ok(format!("there is no deployment {namespace}/{deployment}"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
