//! What binds an object to its cluster, for the few kinds that tell it.

use serde::Deserialize;

use super::{Map, Text, shown};
use crate::Malformed;
use crate::bound::{Claim, Kind};

/// What an object of a kind that matters here tells.
#[derive(Clone, Default)]
pub(crate) enum Bound<'v> {
    #[default]
    Nothing,
    PersistentVolume(Option<ClaimRef<'v>>),
    Secret(Option<Text<'v>>),
    Service(Service<'v>),
}

impl<'v> Bound<'v> {
    /// Reads a whole value once more, for its spec: a custom resource, of which there are many,
    /// may have anything there, and pays nothing.
    ///
    /// # Errors
    ///
    /// The object is not what its kind promises.
    pub(super) fn read(kind: Option<Kind>, value: &'v [u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            None => Self::Nothing,
            Some(Kind::PersistentVolume) => {
                let spec: Option<Map<VolumeSpec<'_>>> = spec(value)?;
                Self::PersistentVolume(
                    spec.and_then(|Map(spec)| spec.claim_ref).map(|Map(claim)| claim),
                )
            }
            Some(Kind::Secret) => {
                let secret: Secret<'_> = serde_json::from_slice(value).map_err(|_| Malformed)?;
                Self::Secret(secret.of)
            }
            Some(Kind::Service) => {
                let spec: Option<Map<Service<'_>>> = spec(value)?;
                Self::Service(spec.map(|Map(spec)| spec).unwrap_or_default())
            }
        })
    }
}

fn spec<'v, S: Deserialize<'v>>(value: &'v [u8]) -> Result<Option<S>, Malformed> {
    let object: WithSpec<S> = serde_json::from_slice(value).map_err(|_| Malformed)?;
    Ok(object.spec)
}

/// What is kept of a Secret; its data is stepped over.
#[derive(Deserialize)]
struct Secret<'v> {
    #[serde(borrow, default, rename = "type")]
    of: Option<Text<'v>>,
}

#[derive(Deserialize)]
struct WithSpec<S> {
    spec: Option<S>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec<'v> {
    #[serde(borrow, default)]
    claim_ref: Option<Map<ClaimRef<'v>>>,
}

/// The claim of a PersistentVolume.
#[derive(Clone, Deserialize)]
pub(crate) struct ClaimRef<'v> {
    #[serde(borrow, default)]
    namespace: Option<Text<'v>>,
    #[serde(borrow, default)]
    name: Option<Text<'v>>,
    #[serde(borrow, default)]
    uid: Option<Text<'v>>,
}

impl ClaimRef<'_> {
    /// Returns the claim; what is not there is empty.
    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim {
            namespace: shown(self.namespace.as_ref()),
            name: shown(self.name.as_ref()),
            uid: shown(self.uid.as_ref()),
        }
    }
}

/// The spec of a Service.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service<'v> {
    #[serde(borrow, default, rename = "clusterIP")]
    cluster_ip: Option<Text<'v>>,
    #[serde(borrow, default, rename = "clusterIPs")]
    cluster_ips: Option<Vec<Text<'v>>>,
    #[serde(default)]
    ports: Option<Vec<Map<Port>>>,
    #[serde(default)]
    health_check_node_port: Option<u16>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default)]
    node_port: Option<u16>,
}

impl Service<'_> {
    /// Returns the first address, empty where there is none.
    pub(crate) fn cluster_ip(&self) -> &str {
        shown(self.cluster_ip.as_ref())
    }

    /// Returns the list of addresses, in its order.
    pub(crate) fn cluster_ips(&self) -> impl Iterator<Item = &str> + Clone {
        self.cluster_ips.iter().flatten().map(|Text(text)| &**text)
    }

    /// Returns the ports of the nodes.
    pub(crate) fn node_ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.ports.iter().flatten().map(|Map(port)| port.node_port);
        ports.chain([self.health_check_node_port]).flatten().filter(|port| *port != 0)
    }
}
