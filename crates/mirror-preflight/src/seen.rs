//! An entry of either side, read once for every gate.

use etcd_mvcc::Key;
use keyspace_filter::Rule;
use keyspace_filter::grammar::ObjectKey;
use kube_meta::Meta;

/// An entry of the primary.
pub(crate) struct Offered<'e> {
    pub(crate) key: &'e Key,
    pub(crate) value: &'e [u8],
    pub(crate) object: Option<ObjectKey<'e>>,
    pub(crate) meta: Meta<'e>,
    /// The rule that decides about it.
    pub(crate) rule: &'e Rule,
    /// Where it goes on the standby; `None` if it is not in scope.
    pub(crate) place: Option<Place>,
}

/// A place on the standby.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The hash of the key there.
    pub(crate) hash: u64,
    /// It is another key than on the primary.
    pub(crate) moved: bool,
}

/// An entry of the standby.
pub(crate) struct Held<'e> {
    pub(crate) key: &'e Key,
    pub(crate) value: &'e [u8],
    pub(crate) object: Option<ObjectKey<'e>>,
    pub(crate) meta: Meta<'e>,
    /// The hash of the key.
    pub(crate) hash: u64,
    /// The uid of what the primary will put here; `None` if the mirror leaves the key alone.
    pub(crate) replaced_by: Option<u64>,
}

impl Held<'_> {
    /// Tells whether the mirror leaves the key alone.
    pub(crate) fn stays(&self) -> bool {
        self.replaced_by.is_none()
    }
}

/// Tells whether an object is of this resource, spelt as in etcd.
pub(crate) fn is_of(object: Option<&ObjectKey<'_>>, resource: &[u8]) -> bool {
    object.is_some_and(|object| object.resource == resource)
}

/// Tells whether an object is one that controllers make anew when it goes.
pub(crate) fn is_rebuilt(object: Option<&ObjectKey<'_>>) -> bool {
    [&b"pods"[..], b"endpointslices", b"services/endpoints", b"events"]
        .iter()
        .any(|resource| is_of(object, resource))
}

/// Names an object as people do: namespace and name.
pub(crate) fn named(object: &ObjectKey<'_>) -> String {
    let shown = |bytes: &[u8]| Key::new(bytes.to_vec()).to_string();
    match object.namespace {
        Some(namespace) => format!("{}/{}", shown(namespace), shown(object.name)),
        None => shown(object.name),
    }
}
