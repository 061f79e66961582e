//! Custom resources as an apiserver stores them: JSON, of which a few fields are kept.

mod bound;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use self::bound::Bound;
pub(crate) use self::bound::Service;
use crate::bound::{Claim, Kind};
use crate::{Malformed, Owner};

/// What the value begins with.
pub(crate) const PREFIX: &[u8] = b"{";

/// An object, read to its end.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Object<'v> {
    #[serde(borrow, default)]
    api_version: Option<Text<'v>>,
    #[serde(borrow, default)]
    kind: Option<Text<'v>>,
    #[serde(borrow)]
    metadata: Map<Metadata<'v>>,
    #[serde(skip)]
    bound: Bound<'v>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'v> {
    #[serde(borrow, default)]
    name: Option<Text<'v>>,
    #[serde(borrow, default)]
    namespace: Option<Text<'v>>,
    #[serde(borrow, default)]
    uid: Option<Text<'v>>,
    #[serde(default)]
    generation: Option<i64>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<Text<'v>>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<Map<Reference<'v>>>>,
    #[serde(borrow, default)]
    finalizers: Option<Vec<Text<'v>>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'v> {
    #[serde(borrow, default)]
    api_version: Option<Text<'v>>,
    #[serde(borrow, default)]
    kind: Option<Text<'v>>,
    #[serde(borrow, default)]
    name: Option<Text<'v>>,
    #[serde(borrow, default)]
    uid: Option<Text<'v>>,
}

impl<'v> Object<'v> {
    /// Reads a whole value.
    ///
    /// # Errors
    ///
    /// It is no JSON, or no object of Kubernetes.
    pub(crate) fn read(value: &'v [u8]) -> Result<Self, Malformed> {
        let mut object: Self = serde_json::from_slice(value).map_err(|_| Malformed)?;
        object.bound = Bound::read(Kind::of(object.api_version(), object.kind()), value)?;
        Ok(object)
    }

    pub(crate) fn api_version(&self) -> &str {
        shown(self.api_version.as_ref())
    }

    pub(crate) fn kind(&self) -> &str {
        shown(self.kind.as_ref())
    }

    pub(crate) fn name(&self) -> &str {
        shown(self.metadata.0.name.as_ref())
    }

    pub(crate) fn namespace(&self) -> &str {
        shown(self.metadata.0.namespace.as_ref())
    }

    pub(crate) fn uid(&self) -> &str {
        shown(self.metadata.0.uid.as_ref())
    }

    pub(crate) fn generation(&self) -> i64 {
        self.metadata.0.generation.unwrap_or(0)
    }

    pub(crate) fn deleting(&self) -> bool {
        self.metadata.0.deletion_timestamp.is_some()
    }

    /// Returns the references to owners, in their order.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner<'_>> {
        self.metadata.0.owner_references.iter().flatten().map(|Map(reference)| Owner {
            api_version: shown(reference.api_version.as_ref()),
            kind: shown(reference.kind.as_ref()),
            name: shown(reference.name.as_ref()),
            uid: shown(reference.uid.as_ref()),
        })
    }

    /// Returns the finalizers, in their order.
    pub(crate) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata.0.finalizers.iter().flatten().map(|Text(text)| &**text)
    }

    /// Returns the claim of a PersistentVolume.
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        match &self.bound {
            Bound::PersistentVolume(claim) => claim.as_ref().map(bound::ClaimRef::claim),
            Bound::Secret(_) | Bound::Service(_) | Bound::Nothing => None,
        }
    }

    /// Returns the type of a Secret.
    pub(crate) fn secret_type(&self) -> Option<&str> {
        match &self.bound {
            Bound::Secret(of) => Some(shown(of.as_ref())),
            Bound::PersistentVolume(_) | Bound::Service(_) | Bound::Nothing => None,
        }
    }

    /// Returns what a Service was given.
    pub(crate) fn service(&self) -> Option<&Service<'v>> {
        match &self.bound {
            Bound::Service(service) => Some(service),
            Bound::PersistentVolume(_) | Bound::Secret(_) | Bound::Nothing => None,
        }
    }
}

fn shown<'m>(text: Option<&'m Text<'_>>) -> &'m str {
    text.map_or("", |Text(text)| text)
}

/// A text, borrowed unless it has an escape in it. serde borrows a `Cow` only where it stands
/// alone, not within an `Option`: hence this type.
#[derive(Clone, Deserialize)]
struct Text<'v>(#[serde(borrow)] Cow<'v, str>);

/// A JSON object. What serde derives for a struct would take an array of its fields as well, which
/// Kubernetes never does.
#[derive(Clone)]
struct Map<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = Map<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Map<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_borrowed_unless_it_is_escaped() {
        let object = Object::read(br#"{"kind":"Pod","metadata":{"uid":"\u0061"}}"#).unwrap();
        assert!(matches!(object.kind, Some(Text(Cow::Borrowed("Pod")))));
        assert!(matches!(&object.metadata.0.uid, Some(Text(Cow::Owned(text))) if text == "a"));
    }
}
