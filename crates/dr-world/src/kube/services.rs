//! Whether mirrored services bring addresses along that are taken.

use std::collections::BTreeMap;

use dr_plan::Answer;
use dr_plan::plan::LOCAL_NAMESPACES;
use serde_json::Value;

use super::error::untold;
use super::{Kube, KubeError, text};
use crate::words::{fails, holds};

/// How many collisions are named.
const NAMED_MAX: usize = 5;

/// Addresses and node ports, and the service that has each.
type Taken = BTreeMap<String, String>;

impl Kube {
    /// Reads what services take, of the namespaces that are local or of those that are not.
    async fn taken(&self, local: bool) -> Result<Taken, KubeError> {
        let (services, _) = self.list("/api/v1/services?watch=false").await?;
        let mut taken = Taken::new();
        for service in &services {
            let namespace = text(service, "/metadata/namespace");
            if LOCAL_NAMESPACES.contains(&namespace) != local {
                continue;
            }
            let name = format!("{namespace}/{}", text(service, "/metadata/name"));
            for what in takes(service) {
                taken.insert(what, name.clone());
            }
        }
        Ok(taken)
    }
}

fn takes(service: &Value) -> Vec<String> {
    let mut takes = Vec::new();
    let spec = service.get("spec").unwrap_or(&Value::Null);
    let many = spec.get("clusterIPs").and_then(Value::as_array).into_iter().flatten();
    let one = spec.get("clusterIP").into_iter();
    for address in many.chain(one).filter_map(Value::as_str) {
        if !matches!(address, "" | "None") {
            takes.push(format!("address {address}"));
        }
    }
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
    let node_ports = ports.filter_map(|port| {
        let number = port.get("nodePort")?.as_u64().filter(|port| *port > 0)?;
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        Some(format!("node port {number}/{protocol}"))
    });
    takes.extend(node_ports);
    let check = spec.get("healthCheckNodePort").and_then(Value::as_u64).filter(|port| *port > 0);
    takes.extend(check.map(|port| format!("node port {port}/TCP")));
    takes
}

/// Says whether no service that is mirrored from the primary has an address or a node port of a
/// service that stays local to the standby.
pub(crate) async fn addresses_apart(primary: &Kube, standby: &Kube) -> Answer {
    let (mirrored, local) = tokio::join!(primary.taken(false), standby.taken(true));
    let (mirrored, local) = match (mirrored, local) {
        (Ok(mirrored), Ok(local)) => (mirrored, local),
        (Err(error), _) => return untold(&primary.name, &error),
        (_, Err(error)) => return untold(&standby.name, &error),
    };
    let collisions: Vec<String> = mirrored
        .iter()
        .filter_map(|(what, service)| {
            Some(format!("{what} of {service} belongs to {} there", local.get(what)?))
        })
        .collect();
    if collisions.is_empty() {
        let (ours, theirs) = (mirrored.len(), local.len());
        return holds(format!("{ours} addresses and ports, none of {theirs} that are taken"));
    }
    let more = collisions.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = collisions.into_iter().take(NAMED_MAX).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    fails(named.join("; "))
}
