//! What binds a built-in object to its cluster, by the numbers of its fields.
//!
//! Everything is borrowed from the value.

use crate::Malformed;
use crate::bound::{Claim, Kind};
use crate::wire::{Field, Fields};

/// The number of the spec in a PersistentVolume and in a Service.
const SPEC: u64 = 2;

/// The number of the type in a Secret.
const SECRET_TYPE: u64 = 3;

/// The number of the claim in the spec of a PersistentVolume.
const CLAIM_REF: u64 = 4;

/// Numbers of fields in `ObjectReference`.
mod object_reference {
    pub(super) const NAMESPACE: u64 = 2;
    pub(super) const NAME: u64 = 3;
    pub(super) const UID: u64 = 4;
}

/// Numbers of fields in `ServiceSpec`.
mod service_spec {
    pub(super) const PORTS: u64 = 1;
    pub(super) const CLUSTER_IP: u64 = 3;
    pub(super) const HEALTH_CHECK_NODE_PORT: u64 = 12;
    pub(super) const CLUSTER_IPS: u64 = 18;
}

/// The number of the port of the nodes in `ServicePort`.
const NODE_PORT: u64 = 5;

/// What an object of a kind that matters here tells; read through once and found sound.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'v> {
    Nothing,
    PersistentVolume(Option<Claim<'v>>),
    Secret(&'v str),
    Service(Service<'v>),
}

impl<'v> Bound<'v> {
    /// Reads an object; of all kinds but three not a byte is looked at.
    ///
    /// # Errors
    ///
    /// The object is not what its kind promises.
    pub(super) fn read(kind: Option<Kind>, object: &'v [u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            None => Self::Nothing,
            Some(Kind::PersistentVolume) => Self::PersistentVolume(claim_ref(spec(object)?)?),
            Some(Kind::Secret) => Self::Secret(secret_type(object)?),
            Some(Kind::Service) => Self::Service(Service::read(spec(object)?)?),
        })
    }
}

/// The spec of a Service.
#[derive(Clone, Copy)]
pub(crate) struct Service<'v> {
    cluster_ip: &'v str,
    spec: &'v [u8],
}

impl<'v> Service<'v> {
    fn read(spec: &'v [u8]) -> Result<Self, Malformed> {
        let mut cluster_ip = "";
        let mut fields = Fields::new(spec);
        while let Some(field) = fields.take()? {
            match field.number {
                service_spec::CLUSTER_IP => cluster_ip = field.text()?,
                service_spec::CLUSTER_IPS => drop(field.text()?),
                _ => drop(node_port(field)?),
            }
        }
        Ok(Self { cluster_ip, spec })
    }

    /// Returns the first address, empty where there is none.
    pub(crate) fn cluster_ip(&self) -> &'v str {
        self.cluster_ip
    }

    /// Returns the list of addresses, in its order.
    pub(crate) fn cluster_ips(&self) -> ClusterIps<'v> {
        ClusterIps(Fields::new(self.spec))
    }

    /// Returns the ports of the nodes.
    pub(crate) fn node_ports(&self) -> NodePorts<'v> {
        NodePorts(Fields::new(self.spec))
    }
}

/// The addresses that are left.
#[derive(Clone, Copy)]
pub(crate) struct ClusterIps<'v>(Fields<'v>);

impl<'v> Iterator for ClusterIps<'v> {
    type Item = &'v str;

    fn next(&mut self) -> Option<&'v str> {
        // `Service::read` found every field sound.
        while let Ok(Some(field)) = self.0.take() {
            if field.number == service_spec::CLUSTER_IPS {
                return field.text().ok();
            }
        }
        None
    }
}

/// The ports of the nodes that are left.
#[derive(Clone, Copy)]
pub(crate) struct NodePorts<'v>(Fields<'v>);

impl Iterator for NodePorts<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        // `Service::read` found every field sound.
        while let Ok(Some(field)) = self.0.take() {
            if let Ok(port @ 1..) = node_port(field) {
                return Some(port);
            }
        }
        None
    }
}

/// Finds the spec; one that is not there is an empty one.
fn spec(object: &[u8]) -> Result<&[u8], Malformed> {
    let mut found: &[u8] = b"";
    let mut fields = Fields::new(object);
    while let Some(field) = fields.take()? {
        if field.number == SPEC {
            found = field.bytes()?;
        }
    }
    Ok(found)
}

/// Finds the type of a Secret; its data is stepped over.
fn secret_type(object: &[u8]) -> Result<&str, Malformed> {
    let mut found = "";
    let mut fields = Fields::new(object);
    while let Some(field) = fields.take()? {
        if field.number == SECRET_TYPE {
            found = field.text()?;
        }
    }
    Ok(found)
}

fn claim_ref(spec: &[u8]) -> Result<Option<Claim<'_>>, Malformed> {
    let mut found = None;
    let mut fields = Fields::new(spec);
    while let Some(field) = fields.take()? {
        if field.number == CLAIM_REF {
            found = Some(claim(field.bytes()?)?);
        }
    }
    Ok(found)
}

fn claim(message: &[u8]) -> Result<Claim<'_>, Malformed> {
    let mut claim = Claim::default();
    let mut fields = Fields::new(message);
    while let Some(field) = fields.take()? {
        match field.number {
            object_reference::NAMESPACE => claim.namespace = field.text()?,
            object_reference::NAME => claim.name = field.text()?,
            object_reference::UID => claim.uid = field.text()?,
            _ => {}
        }
    }
    Ok(claim)
}

/// Reads the port of the nodes that a field of a Service's spec names; 0 if it names none.
fn node_port(field: Field<'_>) -> Result<u16, Malformed> {
    match field.number {
        service_spec::HEALTH_CHECK_NODE_PORT => port(field),
        service_spec::PORTS => {
            let mut found = 0;
            let mut fields = Fields::new(field.bytes()?);
            while let Some(field) = fields.take()? {
                if field.number == NODE_PORT {
                    found = port(field)?;
                }
            }
            Ok(found)
        }
        _ => Ok(0),
    }
}

fn port(field: Field<'_>) -> Result<u16, Malformed> {
    u16::try_from(field.integer()?).map_err(|_| Malformed)
}
