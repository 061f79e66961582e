//! Built-in objects: `k8s\0`, then a `runtime.Unknown` around the object.
//!
//! Everything is borrowed from the value.

mod bound;

use self::bound::Bound;
pub(crate) use self::bound::Service;
use crate::bound::{Claim, Kind};
use crate::wire::Fields;
use crate::{Malformed, Owner};

/// What the value begins with.
pub(crate) const PREFIX: &[u8] = b"k8s\0";

/// The only content type of the object that is read here. The apiserver leaves it empty.
const CONTENT_TYPE: &[u8] = b"application/vnd.kubernetes.protobuf";

/// Numbers of fields in `runtime.Unknown`.
mod unknown {
    pub(super) const TYPE_META: u64 = 1;
    pub(super) const RAW: u64 = 2;
    pub(super) const CONTENT_ENCODING: u64 = 3;
    pub(super) const CONTENT_TYPE: u64 = 4;
}

/// Numbers of fields in its `TypeMeta`.
mod type_meta {
    pub(super) const API_VERSION: u64 = 1;
    pub(super) const KIND: u64 = 2;
}

/// The number of the metadata in every built-in object that has any.
const OBJECT_META: u64 = 1;

/// Numbers of fields in `ObjectMeta`.
mod object_meta {
    pub(super) const NAME: u64 = 1;
    pub(super) const NAMESPACE: u64 = 3;
    pub(super) const UID: u64 = 5;
    pub(super) const GENERATION: u64 = 7;
    pub(super) const DELETION_TIMESTAMP: u64 = 9;
    pub(super) const OWNER_REFERENCES: u64 = 13;
    pub(super) const FINALIZERS: u64 = 14;
}

/// Numbers of fields in `OwnerReference`.
mod owner_reference {
    pub(super) const KIND: u64 = 1;
    pub(super) const NAME: u64 = 3;
    pub(super) const UID: u64 = 4;
    pub(super) const API_VERSION: u64 = 5;
}

/// An object whose metadata was read through once and found sound.
#[derive(Clone, Copy)]
pub(crate) struct Object<'v> {
    pub(crate) api_version: &'v str,
    pub(crate) kind: &'v str,
    pub(crate) identity: Identity<'v>,
    bound: Bound<'v>,
    metadata: &'v [u8],
}

impl<'v> Object<'v> {
    /// Reads what follows [`PREFIX`].
    ///
    /// # Errors
    ///
    /// It is no object, or one in another encoding.
    pub(crate) fn read(body: &'v [u8]) -> Result<Self, Malformed> {
        let (mut api_version, mut kind, mut raw) = ("", "", None);
        let mut fields = Fields::new(body);
        while let Some(field) = fields.take()? {
            match field.number {
                unknown::TYPE_META => (api_version, kind) = api_version_and_kind(field.bytes()?)?,
                unknown::RAW => raw = Some(field.bytes()?),
                // The object is compressed, or is something else than protobuf.
                unknown::CONTENT_ENCODING if !field.bytes()?.is_empty() => return Err(Malformed),
                unknown::CONTENT_TYPE if !matches!(field.bytes()?, b"" | CONTENT_TYPE) => {
                    return Err(Malformed);
                }
                _ => {}
            }
        }
        let raw = raw.ok_or(Malformed)?;
        let metadata = metadata(raw)?;
        let identity = identity(metadata)?;
        let bound = Bound::read(Kind::of(api_version, kind), raw)?;
        Ok(Self { api_version, kind, identity, bound, metadata })
    }

    /// Returns the references to owners, in their order.
    pub(crate) fn owners(&self) -> Owners<'v> {
        Owners(Fields::new(self.metadata))
    }

    /// Returns the finalizers, in their order.
    pub(crate) fn finalizers(&self) -> Finalizers<'v> {
        Finalizers(Fields::new(self.metadata))
    }

    /// Returns the claim of a PersistentVolume.
    pub(crate) fn claim(&self) -> Option<Claim<'v>> {
        match self.bound {
            Bound::PersistentVolume(claim) => claim,
            Bound::Secret(_) | Bound::Service(_) | Bound::Nothing => None,
        }
    }

    /// Returns the type of a Secret.
    pub(crate) fn secret_type(&self) -> Option<&'v str> {
        match self.bound {
            Bound::Secret(of) => Some(of),
            Bound::PersistentVolume(_) | Bound::Service(_) | Bound::Nothing => None,
        }
    }

    /// Returns what a Service was given.
    pub(crate) fn service(&self) -> Option<Service<'v>> {
        match self.bound {
            Bound::Service(service) => Some(service),
            Bound::PersistentVolume(_) | Bound::Secret(_) | Bound::Nothing => None,
        }
    }
}

/// Which object it is, and whether it is going.
#[derive(Clone, Copy, Default)]
pub(crate) struct Identity<'v> {
    pub(crate) name: &'v str,
    pub(crate) namespace: &'v str,
    pub(crate) uid: &'v str,
    pub(crate) generation: i64,
    pub(crate) deleting: bool,
}

/// The references to owners that are left.
#[derive(Clone, Copy)]
pub(crate) struct Owners<'v>(Fields<'v>);

impl<'v> Iterator for Owners<'v> {
    type Item = Owner<'v>;

    fn next(&mut self) -> Option<Owner<'v>> {
        // `Object::read` found every field sound.
        while let Ok(Some(field)) = self.0.take() {
            if field.number == object_meta::OWNER_REFERENCES {
                return field.bytes().and_then(owner).ok();
            }
        }
        None
    }
}

/// The finalizers that are left.
#[derive(Clone, Copy)]
pub(crate) struct Finalizers<'v>(Fields<'v>);

impl<'v> Iterator for Finalizers<'v> {
    type Item = &'v str;

    fn next(&mut self) -> Option<&'v str> {
        // `Object::read` found every field sound.
        while let Ok(Some(field)) = self.0.take() {
            if field.number == object_meta::FINALIZERS {
                return field.text().ok();
            }
        }
        None
    }
}

fn api_version_and_kind(message: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut api_version, mut kind) = ("", "");
    let mut fields = Fields::new(message);
    while let Some(field) = fields.take()? {
        match field.number {
            type_meta::API_VERSION => api_version = field.text()?,
            type_meta::KIND => kind = field.text()?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

/// Finds the metadata, which an apiserver writes first: what follows is left alone here.
fn metadata(object: &[u8]) -> Result<&[u8], Malformed> {
    let mut fields = Fields::new(object);
    while let Some(field) = fields.take()? {
        if field.number == OBJECT_META {
            return field.bytes();
        }
    }
    Err(Malformed)
}

/// Reads which object it is, and makes sure that all else that may be asked of the metadata can be
/// read as well.
fn identity(metadata: &[u8]) -> Result<Identity<'_>, Malformed> {
    let mut identity = Identity::default();
    let mut fields = Fields::new(metadata);
    while let Some(field) = fields.take()? {
        match field.number {
            object_meta::NAME => identity.name = field.text()?,
            object_meta::NAMESPACE => identity.namespace = field.text()?,
            object_meta::UID => identity.uid = field.text()?,
            object_meta::GENERATION => identity.generation = field.integer()?.cast_signed(),
            object_meta::DELETION_TIMESTAMP => identity.deleting = field.bytes().map(|_| true)?,
            object_meta::OWNER_REFERENCES => drop(owner(field.bytes()?)?),
            object_meta::FINALIZERS => drop(field.text()?),
            _ => {}
        }
    }
    Ok(identity)
}

fn owner(message: &[u8]) -> Result<Owner<'_>, Malformed> {
    let mut owner = Owner::default();
    let mut fields = Fields::new(message);
    while let Some(field) = fields.take()? {
        match field.number {
            owner_reference::KIND => owner.kind = field.text()?,
            owner_reference::NAME => owner.name = field.text()?,
            owner_reference::UID => owner.uid = field.text()?,
            owner_reference::API_VERSION => owner.api_version = field.text()?,
            _ => {}
        }
    }
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is `Copy` can't own memory, so that the compiler keeps this claim.
    #[test]
    fn reading_keeps_nothing_that_was_allocated() {
        fn copied<T: Copy>() {}
        copied::<Object<'_>>();
        copied::<Owners<'_>>();
        copied::<Finalizers<'_>>();
        copied::<Owner<'_>>();
        copied::<Service<'_>>();
    }
}
