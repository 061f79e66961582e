//! Addresses and ports that a mirrored service and one of the standby's own both claim.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::Key;
use kube_meta::Meta;

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;
use crate::seen::{Held, Offered, is_of, named};

const RESOURCE: &[u8] = b"services/specs";

/// What only one service of a cluster can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Address(String),
    NodePort(u16),
}

/// Keeps what mirrored services claim.
#[derive(Debug)]
pub(crate) struct Services {
    /// Who claims it: the key.
    claimed: BTreeMap<Claim, Key>,
    findings: Findings,
}

impl Services {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self { claimed: BTreeMap::new(), findings: Findings::new(shown_max) }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>) {
        if seen.place.is_none() || !is_of(seen.object.as_ref(), RESOURCE) {
            return;
        }
        for claim in claims(&seen.meta) {
            self.claimed.insert(claim, seen.key.clone());
        }
    }

    pub(crate) fn hold(&mut self, seen: &Held<'_>) {
        let Some(object) = seen.object.as_ref().filter(|object| object.resource == RESOURCE) else {
            return;
        };
        if !seen.stays() {
            return;
        }
        for claim in claims(&seen.meta) {
            if let Some(theirs) = self.claimed.get(&claim) {
                self.findings.add(theirs, || match &claim {
                    Claim::Address(address) => {
                        format!("its address {address} is that of the local {}", named(object))
                    }
                    Claim::NodePort(port) => {
                        format!("its node port {port} is that of the local {}", named(object))
                    }
                });
            }
        }
    }

    pub(crate) fn judge(self) -> GateReport {
        if self.findings.count() == 0 {
            return GateReport::passed(
                Gate::ServiceAddresses,
                "no mirrored service has the address or node port of a local one",
            );
        }
        GateReport::found(
            Gate::ServiceAddresses,
            self.findings,
            "two services of the standby would have one address or port: which one is reached is \
             left to chance",
            "give the clusters disjoint service ranges, or one of the two services another address",
        )
    }
}

/// Each once: a port for two protocols is one port.
fn claims(meta: &Meta<'_>) -> BTreeSet<Claim> {
    let Some(service) = meta.service() else { return BTreeSet::new() };
    // A headless service says `None` where an address would stand.
    let addresses = service.cluster_ips().filter(|ip| !ip.is_empty() && *ip != "None");
    let addresses = addresses.map(|ip| Claim::Address(Key::from(ip).to_string()));
    addresses.chain(service.node_ports().map(Claim::NodePort)).collect()
}
