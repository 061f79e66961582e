//! What binds an object to the infrastructure of its cluster: a volume to its claim, a Service to
//! addresses and ports.

use std::fmt;
use std::iter::{Empty, once};

use crate::meta::Each;
use crate::{json, protobuf};

/// How many addresses a Service can have: one of each family.
const CLUSTER_IPS_MAX: usize = 2;

/// The claim that a PersistentVolume is bound to, or kept for.
///
/// A field that the reference lacks is empty. One without a uid was written by hand: the volume is
/// kept for whatever claim has that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim<'m> {
    /// The claim's namespace.
    pub namespace: &'m str,
    /// The claim's name.
    pub name: &'m str,
    /// The claim's uid. A volume whose claim has another uid is released, and then reclaimed.
    pub uid: &'m str,
}

/// What a Service was given from the pools of its cluster, where nobody else may have it.
#[derive(Clone, Copy)]
pub struct Service<'m> {
    content: Content<'m>,
}

#[derive(Clone, Copy)]
enum Content<'m> {
    Protobuf(protobuf::Service<'m>),
    Json(&'m json::Service<'m>),
}

impl<'m> Service<'m> {
    pub(crate) fn of_protobuf(service: protobuf::Service<'m>) -> Self {
        Self { content: Content::Protobuf(service) }
    }

    pub(crate) fn of_json(service: &'m json::Service<'m>) -> Self {
        Self { content: Content::Json(service) }
    }

    /// Returns the addresses within the cluster, each once. A headless Service has none.
    pub fn cluster_ips(&self) -> impl Iterator<Item = &'m str> {
        match self.content {
            Content::Protobuf(service) => Each::<_, _, Empty<&str>>::Protobuf(distinct(
                service.cluster_ip(),
                service.cluster_ips(),
            )),
            Content::Json(service) => {
                Each::Json(distinct(service.cluster_ip(), service.cluster_ips()))
            }
        }
    }

    /// Returns the ports that every node of the cluster opens for the Service, the one for health
    /// checks among them. A port for two protocols comes twice.
    pub fn node_ports(&self) -> impl Iterator<Item = u16> {
        match self.content {
            Content::Protobuf(service) => Each::<_, _, Empty<u16>>::Protobuf(service.node_ports()),
            Content::Json(service) => Each::Json(service.node_ports()),
        }
    }
}

impl fmt::Debug for Service<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// The kinds that have something to tell of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    PersistentVolume,
    Secret,
    Service,
}

impl Kind {
    /// Returns the kind of that name in the core API. Other groups may use the names as well.
    pub(crate) fn of(api_version: &str, kind: &str) -> Option<Self> {
        match (api_version, kind) {
            ("v1", "PersistentVolume") => Some(Self::PersistentVolume),
            ("v1", "Secret") => Some(Self::Secret),
            ("v1", "Service") => Some(Self::Service),
            _ => None,
        }
    }
}

/// Returns what is an address, each once. Kubernetes writes the first address in both fields, and
/// `None` for a Service that has none.
///
/// An address is compared with as many before it as a Service can have: with all, a value that was
/// made for it would take the square of its length.
fn distinct<'m>(
    first: &'m str,
    list: impl Iterator<Item = &'m str> + Clone,
) -> impl Iterator<Item = &'m str> {
    let before = list.clone().take(CLUSTER_IPS_MAX);
    let others = list.enumerate().filter(move |&(at, address)| {
        address != first && !before.clone().take(at).any(|other| other == address)
    });
    once(first)
        .chain(others.map(|(_, address)| address))
        .filter(|address| !matches!(*address, "" | "None"))
}
