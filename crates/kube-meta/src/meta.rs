//! What a stored value tells about the object in it.

use std::fmt;

use crate::{Claim, Envelope, Service, cbor, json, protobuf};

/// Reads what a stored value tells. Never fails: what is not understood is opaque.
///
/// The work is bounded by the length of the value. Protobuf and CBOR allocate nothing.
#[must_use]
pub fn skim(value: &[u8]) -> Meta<'_> {
    let content = if let Some(body) = value.strip_prefix(protobuf::PREFIX) {
        protobuf::Object::read(body).map(Content::Protobuf).ok()
    } else if let Some(body) = value.strip_prefix(cbor::PREFIX) {
        cbor::Object::read(body).map(Content::Cbor).ok()
    } else if value.starts_with(json::PREFIX) {
        json::Object::read(value).map(Content::Json).ok()
    } else {
        Envelope::read(value).map(Content::Encrypted)
    };
    Meta { content: content.unwrap_or(Content::Opaque) }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format<'v> {
    /// An object in protobuf, as built-in kinds are written.
    Protobuf,
    /// An object in JSON, as custom resources are written.
    Json,
    /// An object in CBOR, as custom resources are written where the apiserver is told to.
    Cbor,
    /// Encrypted at rest. What is in it can't be known here, its owners included.
    Encrypted(Envelope<'v>),
    /// Anything else, including what begins like an object and can't be read as one.
    Opaque,
}

/// An object that another one names as its owner.
///
/// A field that the reference lacks is empty; Kubernetes admits no such reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner<'m> {
    /// The group and version under which the owner was referred to: `apps/v1`, `v1`.
    pub api_version: &'m str,
    /// The owner's kind.
    pub kind: &'m str,
    /// The owner's name. It is in the namespace of the dependent, or in none.
    pub name: &'m str,
    /// The owner's uid, which alone decides whether an object of that name is the owner.
    pub uid: &'m str,
}

/// What a stored value tells about the object in it.
///
/// Of a value that is encrypted or opaque nothing is known: there is no uid, which does not mean
/// that the object has none, and there are no owners, which does not mean that nothing owns it. Ask
/// [`Meta::is_readable`] where that makes a difference.
#[derive(Clone)]
pub struct Meta<'v> {
    content: Content<'v>,
}

#[derive(Clone)]
enum Content<'v> {
    Protobuf(protobuf::Object<'v>),
    Json(json::Object<'v>),
    Cbor(cbor::Object<'v>),
    Encrypted(Envelope<'v>),
    Opaque,
}

impl<'v> Meta<'v> {
    /// Returns how the value is written.
    #[must_use]
    pub fn format(&self) -> Format<'v> {
        match self.content {
            Content::Protobuf(_) => Format::Protobuf,
            Content::Json(_) => Format::Json,
            Content::Cbor(_) => Format::Cbor,
            Content::Encrypted(envelope) => Format::Encrypted(envelope),
            Content::Opaque => Format::Opaque,
        }
    }

    /// Tells whether the value is an object whose metadata could be read, so that what is absent
    /// here is absent there.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !matches!(self.content, Content::Encrypted(_) | Content::Opaque)
    }

    /// Returns the group and version of the object's kind: `apps/v1`, `v1`.
    #[must_use]
    pub fn api_version(&self) -> Option<&str> {
        known(match &self.content {
            Content::Protobuf(object) => object.api_version,
            Content::Json(object) => object.api_version(),
            Content::Cbor(object) => object.api_version,
            Content::Encrypted(_) | Content::Opaque => "",
        })
    }

    /// Returns the object's kind.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        known(match &self.content {
            Content::Protobuf(object) => object.kind,
            Content::Json(object) => object.kind(),
            Content::Cbor(object) => object.kind,
            Content::Encrypted(_) | Content::Opaque => "",
        })
    }

    /// Returns the object's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        known(match &self.content {
            Content::Protobuf(object) => object.identity.name,
            Content::Json(object) => object.name(),
            Content::Cbor(object) => object.name,
            Content::Encrypted(_) | Content::Opaque => "",
        })
    }

    /// Returns the object's namespace. One that belongs to the whole cluster has none.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        known(match &self.content {
            Content::Protobuf(object) => object.identity.namespace,
            Content::Json(object) => object.namespace(),
            Content::Cbor(object) => object.namespace,
            Content::Encrypted(_) | Content::Opaque => "",
        })
    }

    /// Returns the object's uid. A few objects that an apiserver keeps for itself have none.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        known(match &self.content {
            Content::Protobuf(object) => object.identity.uid,
            Content::Json(object) => object.uid(),
            Content::Cbor(object) => object.uid,
            Content::Encrypted(_) | Content::Opaque => "",
        })
    }

    /// Returns how often what the object is to be was changed, as its API counts: what controllers
    /// report of it leaves the number alone. Many kinds don't count.
    ///
    /// Not read from CBOR, in which no apiserver writes a built-in kind.
    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        let generation = match &self.content {
            Content::Protobuf(object) => object.identity.generation,
            Content::Json(object) => object.generation(),
            Content::Cbor(_) | Content::Encrypted(_) | Content::Opaque => 0,
        };
        (generation != 0).then_some(generation)
    }

    /// Tells whether the object is marked as being deleted: it goes as soon as its finalizers do.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        match &self.content {
            Content::Protobuf(object) => object.identity.deleting,
            Content::Json(object) => object.deleting(),
            Content::Cbor(object) => object.deleting,
            Content::Encrypted(_) | Content::Opaque => false,
        }
    }

    /// Returns the objects that this one names as its owners, in its order.
    pub fn owners(&self) -> impl Iterator<Item = Owner<'_>> {
        match &self.content {
            Content::Protobuf(object) => Each::Protobuf(object.owners()),
            Content::Json(object) => Each::Json(object.owners()),
            Content::Cbor(object) => Each::Cbor(object.owners()),
            Content::Encrypted(_) | Content::Opaque => Each::Nothing,
        }
    }

    /// Returns the finalizers that keep the object from going, in its order.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        match &self.content {
            Content::Protobuf(object) => Each::Protobuf(object.finalizers()),
            Content::Json(object) => Each::Json(object.finalizers()),
            Content::Cbor(object) => Each::Cbor(object.finalizers()),
            Content::Encrypted(_) | Content::Opaque => Each::Nothing,
        }
    }

    /// Returns the claim that a PersistentVolume is bound to, or kept for; `None` if it is free, or
    /// the object no PersistentVolume.
    ///
    /// Not read from CBOR, in which no apiserver writes a built-in kind.
    #[must_use]
    pub fn claim(&self) -> Option<Claim<'_>> {
        match &self.content {
            Content::Protobuf(object) => object.claim(),
            Content::Json(object) => object.claim(),
            Content::Cbor(_) | Content::Encrypted(_) | Content::Opaque => None,
        }
    }

    /// Returns the type of a Secret; `None` if the object is none, or has none.
    ///
    /// Not read from CBOR, in which no apiserver writes a built-in kind.
    #[must_use]
    pub fn secret_type(&self) -> Option<&str> {
        match &self.content {
            Content::Protobuf(object) => object.secret_type(),
            Content::Json(object) => object.secret_type(),
            Content::Cbor(_) | Content::Encrypted(_) | Content::Opaque => None,
        }
        .and_then(known)
    }

    /// Returns the addresses and ports of a Service; `None` if the object is none.
    ///
    /// Not read from CBOR, in which no apiserver writes a built-in kind.
    #[must_use]
    pub fn service(&self) -> Option<Service<'_>> {
        match &self.content {
            Content::Protobuf(object) => object.service().map(Service::of_protobuf),
            Content::Json(object) => object.service().map(Service::of_json),
            Content::Cbor(_) | Content::Encrypted(_) | Content::Opaque => None,
        }
    }
}

/// Shows no byte of the value but the names above: annotations may hold secrets.
impl fmt::Debug for Meta<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("format", &self.format())
            .field("api_version", &self.api_version())
            .field("kind", &self.kind())
            .field("uid", &self.uid())
            .field("deleting", &self.is_deleting())
            .finish_non_exhaustive()
    }
}

/// Every format writes a text that it lacks as an empty one, or may.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The same list, as each format keeps it.
pub(crate) enum Each<P, J, C> {
    Protobuf(P),
    Json(J),
    Cbor(C),
    Nothing,
}

impl<T, P, J, C> Iterator for Each<P, J, C>
where
    P: Iterator<Item = T>,
    J: Iterator<Item = T>,
    C: Iterator<Item = T>,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Self::Protobuf(list) => list.next(),
            Self::Json(list) => list.next(),
            Self::Cbor(list) => list.next(),
            Self::Nothing => None,
        }
    }
}
