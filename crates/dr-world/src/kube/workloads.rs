//! How many pods there ought to be.

use serde_json::Value;

use super::client::encode;
use super::selector::Selector;
use super::{Kube, KubeError};

impl Kube {
    /// Counts the pods that those who make pods want, of all pods that would match.
    ///
    /// Without it a pod that is deleted and not yet made again would be missed by nobody.
    pub(super) async fn wanted(&self, namespace: &str, selector: &str) -> Result<u64, KubeError> {
        let unread = || KubeError::Setup(format!("`{selector}` is no label selector"));
        let parsed = Selector::parse(selector).ok_or_else(unread)?;
        let mut wanted = 0;
        for (kind, number) in [
            ("deployments", "/spec/replicas"),
            ("statefulsets", "/spec/replicas"),
            ("daemonsets", "/status/desiredNumberScheduled"),
        ] {
            let path = format!("/apis/apps/v1/namespaces/{}/{kind}?watch=false", encode(namespace));
            let (items, _) = self.list(&path).await?;
            let matching = items.iter().filter(|item| {
                let labels = item.pointer("/spec/template/metadata/labels");
                parsed.fits(labels.and_then(Value::as_object))
            });
            let numbers = matching.map(|item| item.pointer(number).and_then(Value::as_u64));
            wanted += numbers.map(Option::unwrap_or_default).sum::<u64>();
        }
        Ok(wanted)
    }
}
