//! Resource definitions whose objects are converted by a service that stays local.

use keyspace_filter::Scope;
use kube_meta::Format;
use serde::Deserialize;

use crate::Gate;
use crate::findings::Findings;
use crate::hard_local::admits_namespace;
use crate::report::GateReport;
use crate::seen::{Offered, is_of};

/// Finds such definitions.
#[derive(Debug)]
pub(crate) struct Webhooks {
    findings: Findings,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Definition {
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    conversion: Conversion,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conversion {
    webhook: Option<Webhook>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Webhook {
    client_config: ClientConfig,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClientConfig {
    service: Option<Service>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Service {
    namespace: String,
    name: String,
}

impl Webhooks {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self { findings: Findings::new(shown_max) }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>, scope: &Scope) {
        let definition =
            is_of(seen.object.as_ref(), b"apiextensions.k8s.io/customresourcedefinitions");
        if seen.place.is_none() || !definition || seen.meta.format() != Format::Json {
            return;
        }
        let read = serde_json::from_slice::<Definition>(seen.value).ok();
        let webhook = read.and_then(|definition| definition.spec.conversion.webhook);
        let Some(service) = webhook.and_then(|webhook| webhook.client_config.service) else {
            return;
        };
        if !admits_namespace(scope, &service.namespace) {
            self.findings.add(seen.key, || {
                let name = format!("{}/{}", service.namespace, service.name);
                format!("converted by the service {}", etcd_mvcc::Key::from(name))
            });
        }
    }

    pub(crate) fn judge(self) -> GateReport {
        if self.findings.count() == 0 {
            return GateReport::passed(
                Gate::ConversionWebhooks,
                "no definition in scope is converted by a service that stays local",
            );
        }
        GateReport::found(
            Gate::ConversionWebhooks,
            self.findings,
            "these definitions bring the primary's certificate for a service that is the standby's \
             own: its resources can't be listed until it has been replaced",
            "leave these definitions local (--rules) where the standby has them by itself",
        )
    }
}
