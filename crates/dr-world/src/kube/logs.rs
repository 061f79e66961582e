//! What pods have logged.

use super::client::{Call, encode};
use super::{Kube, KubeError, kubeconfig};

/// How much of a log is read, from its beginning: what one waits for is said when a pod starts.
const LOG_BYTES_MAX: u32 = 16 << 20;

impl Kube {
    /// Looks for a text in the logs of the pods that match, each from its beginning, and returns
    /// the first pod that has it.
    ///
    /// # Errors
    ///
    /// The API can't be reached or says no, also to a pod that has not started yet.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment: it only reads.
    pub async fn logged(
        &self,
        namespace: &str,
        selector: &str,
        text: &str,
    ) -> Result<Option<String>, KubeError> {
        let (pods, _) = self.pods(namespace, selector).await?;
        for pod in pods {
            let (within, name) = (encode(namespace), encode(&pod.name));
            let path =
                format!("/api/v1/namespaces/{within}/pods/{name}/log?limitBytes={LOG_BYTES_MAX}");
            let log = kubeconfig::read(&self.access)?.text(&Call::get(path), self.limit).await?;
            if log.contains(text) {
                return Ok(Some(pod.name));
            }
        }
        Ok(None)
    }
}
