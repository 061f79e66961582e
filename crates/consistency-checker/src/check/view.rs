//! What a check looks at: a scope, or a part of it.

use std::collections::BTreeSet;

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::grammar::Shape;
use keyspace_filter::{Scope, Stretch};

use super::Landmarks;

/// A scope, or a part of it. What lies outside is neither read, where that can be spared, nor
/// compared.
#[derive(Clone, Debug)]
pub struct View {
    scope: Scope,
    /// Keys begin with one of these, as the primary spells them; empty for no such condition.
    prefixes: Vec<Key>,
    /// Objects are of one of these namespaces; empty for no such condition.
    namespaces: BTreeSet<Vec<u8>>,
}

/// A stretch of keys that is compared in one go, as each side spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) primary: KeyRange,
    pub(crate) standby: KeyRange,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.primary.is_empty() && self.standby.is_empty()
    }

    /// Tells whether the place of a key lies in this part.
    pub(crate) fn holds(&self, place: &Key) -> bool {
        self.standby.contains(place.as_bytes())
    }
}

impl View {
    /// Looks at everything in scope.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self { scope, prefixes: Vec::new(), namespaces: BTreeSet::new() }
    }

    /// Looks only at keys that begin with one of `prefixes`, as the primary spells them. Without
    /// any, nothing changes.
    #[must_use]
    pub fn within(mut self, prefixes: impl IntoIterator<Item = Key>) -> Self {
        self.prefixes.extend(prefixes);
        self.prefixes.sort();
        self.prefixes.dedup_by(|longer, kept| longer.as_bytes().starts_with(kept.as_bytes()));
        self
    }

    /// Looks only at objects of `namespaces`, the Namespace objects themselves included. Without
    /// any, nothing changes.
    #[must_use]
    pub fn of_namespaces(mut self, namespaces: impl IntoIterator<Item = String>) -> Self {
        self.namespaces.extend(namespaces.into_iter().map(String::into_bytes));
        self
    }

    /// Returns the scope that this is a view of.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns what the primary's key is called on the standby; `None` if it is not looked at.
    #[must_use]
    pub fn place(&self, primary: &Key) -> Option<Key> {
        let placed = self.scope.place(primary)?;
        self.shows(primary).then_some(placed)
    }

    /// Tells whether a key of the standby is looked at.
    #[must_use]
    pub fn admits_standby(&self, standby: &Key) -> bool {
        if self.is_whole() {
            return self.scope.admits_standby(standby.as_bytes());
        }
        self.scope.primary_key(standby).is_some_and(|primary| self.shows(&primary))
    }

    fn is_whole(&self) -> bool {
        self.prefixes.is_empty() && self.namespaces.is_empty()
    }

    fn shows(&self, primary: &Key) -> bool {
        let begins = |prefix: &Key| primary.as_bytes().starts_with(prefix.as_bytes());
        if !self.prefixes.is_empty() && !self.prefixes.iter().any(begins) {
            return false;
        }
        self.namespaces.is_empty()
            || match self.scope.grammar().parse(primary.as_bytes()) {
                Shape::Object(object) => {
                    object.namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
                }
                Shape::Unknown | Shape::Outside => false,
            }
    }

    /// Returns the parts to compare: the scope's stretches, cut at the prefixes and at the landmarks.
    /// Together they cover every key that is looked at, on both sides, once: of the primary's keys
    /// in a part, those that have their place in it.
    pub(crate) fn parts(&self, landmarks: &Landmarks) -> Vec<Part> {
        let mut parts = Vec::new();
        for Stretch { primary, standby } in self.scope.stretches() {
            let whole = Part { primary: primary.clone(), standby: standby.clone() };
            for part in self.narrowed(whole) {
                self.cut(part, landmarks, &mut parts);
            }
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    fn narrowed(&self, whole: Part) -> Vec<Part> {
        if self.prefixes.is_empty() {
            return vec![whole];
        }
        let parked = self.scope.parked_range().filter(|range| range.contains(first(&whole)));
        let before = parked.as_ref().map_or(&[][..], |range| range.start().as_bytes());
        if whole.primary != whole.standby && parked.is_none() {
            // Spelt otherwise on the standby: read all of it, and leave the rest to the predicate.
            return vec![whole];
        }
        let within = |prefix: &Key| {
            let primary = whole.primary.intersection(&KeyRange::prefix(prefix.as_bytes()));
            let place = KeyRange::prefix(&[before, prefix.as_bytes()].concat());
            Part { primary, standby: whole.standby.intersection(&place) }
        };
        self.prefixes.iter().map(within).collect()
    }

    fn cut(&self, part: Part, landmarks: &Landmarks, parts: &mut Vec<Part>) {
        let mut rest = part;
        for standby in landmarks.keys() {
            let Some(primary) = self.scope.primary_key(standby) else { continue };
            let inside = rest.standby.contains(standby.as_bytes())
                && rest.primary.contains(primary.as_bytes())
                && rest.standby.start() < standby;
            if !inside {
                continue;
            }
            parts.push(Part {
                primary: KeyRange::new(rest.primary.start().clone(), primary.clone()),
                standby: KeyRange::new(rest.standby.start().clone(), standby.clone()),
            });
            rest = Part {
                primary: rest.primary.starting_at(primary),
                standby: rest.standby.starting_at(standby.clone()),
            };
        }
        parts.push(rest);
    }
}

/// The first key that a part can have on the standby.
fn first(part: &Part) -> &[u8] {
    part.standby.start().as_bytes()
}
