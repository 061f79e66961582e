//! The scope: the question every other part of the mirror asks of a key.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use etcd_mvcc::{Key, KeyRange};

use crate::explain::Explanation;
use crate::grammar::{Grammar, Shape};
use crate::hash::ScopeHash;
use crate::index::Index;
use crate::parking::Parking;
use crate::rewrite::Rewrite;
use crate::rule::Rule;
use crate::turn::{Turn, Turns};
use crate::warning::Warning;
use crate::{OWN_PREFIX, ScopeError, ScopeSpec};

/// Which keys are mirrored, and what they are called on the standby. Cloning is cheap.
///
/// The standby's keys keep the order of the primary's, so both sides can be walked in step; save
/// those that a rule holds, which lie elsewhere: [`Scope::stretches`] has each by itself.
#[derive(Clone, Debug)]
pub struct Scope(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) grammar: Grammar,
    /// What keys in scope begin with; sorted, none a prefix of another.
    pub(crate) bases: Vec<Box<[u8]>>,
    pub(crate) rewrite: Rewrite,
    pub(crate) own: Rule,
    pub(crate) outside: Rule,
    pub(crate) rules: Vec<Rule>,
    /// With preset `kubernetes`: keys of unknown shape.
    pub(crate) unknown: Option<Rule>,
    pub(crate) rest: Rule,
    pub(crate) index: Index,
    pub(crate) primary_ranges: Vec<KeyRange>,
    pub(crate) standby_ranges: Vec<KeyRange>,
    pub(crate) primary_hull: KeyRange,
    pub(crate) standby_hull: KeyRange,
    pub(crate) turns: Turns,
    pub(crate) parking: Parking,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) hash: ScopeHash,
    pub(crate) warnings: Vec<Warning>,
}

/// What becomes of a key, and by which rule.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'s> {
    /// The key is in scope.
    pub admitted: bool,
    /// It is parked on the standby until that is promoted.
    pub parked: bool,
    /// The rule that decided.
    pub rule: &'s Rule,
}

impl<'s> Decision<'s> {
    pub(crate) fn of(rule: &'s Rule) -> Self {
        Self { admitted: rule.admits(), parked: rule.holds(), rule }
    }
}

/// Ranges of the two sides that hold the same keys in scope, in the same order, and others beside
/// them. One of the two may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// What to read of the primary. A key that is in scope and has its place in another stretch may
    /// lie in it too: ask [`Stretch::holds`] of its place.
    pub primary: KeyRange,
    /// What to read of the standby.
    pub standby: KeyRange,
}

impl Stretch {
    /// Tells whether the place of a key lies in this stretch.
    #[must_use]
    pub fn holds(&self, place: &Key) -> bool {
        self.standby.contains(place.as_bytes())
    }
}

impl Scope {
    /// Checks what a user wrote and makes it fast to ask.
    ///
    /// # Errors
    ///
    /// Names the field and how to mend it.
    pub fn compile(spec: ScopeSpec) -> Result<Self, ScopeError> {
        Inner::compile(&spec).map(|inner| Self(Arc::new(inner)))
    }

    /// Tells whether the primary's `key` is in scope. Allocates nothing.
    #[must_use]
    pub fn admits(&self, key: &[u8]) -> bool {
        self.0.find(key).admits()
    }

    /// Tells whether the primary's `key` is in scope, and which rule says so. Allocates nothing.
    #[must_use]
    pub fn decide(&self, key: &[u8]) -> Decision<'_> {
        let rule = self.0.find(key);
        Decision::of(rule)
    }

    /// Tells why the primary's `key` is in scope or stays local: what it is, and every rule that
    /// matches it. Looks at all rules: [`Scope::decide`] is for many keys.
    #[must_use]
    pub fn explain<'k>(&self, key: &'k [u8]) -> Explanation<'_, 'k> {
        self.0.explain(key)
    }

    /// Returns what the primary's key is called on the standby; `None` if it is not in scope.
    /// Copies bytes only where one prefix replaces another, and where a rule holds the key: its place
    /// is the parked one, and its own is not looked at.
    #[must_use]
    pub fn place(&self, primary_key: &Key) -> Option<Key> {
        let rule = self.0.find(primary_key.as_bytes());
        match (rule.admits(), rule.holds()) {
            (false, _) => None,
            (true, false) => self.0.rewrite.place(primary_key),
            (true, true) => self.0.parking.place(primary_key),
        }
    }

    /// Tells whether a key of the standby is what some key in scope is called there. All keys of the
    /// parking place are, also those that an earlier rule has left there.
    #[must_use]
    pub fn admits_standby(&self, key: &[u8]) -> bool {
        let unplaced = self.0.unplace(key);
        unplaced.is_some_and(|key| key.parked || self.0.admits_unplaced(&key))
    }

    /// Tells whether a release may write a key of the standby: what a mirror may, and the own places
    /// of what a rule holds.
    #[must_use]
    pub fn admits_release(&self, key: &[u8]) -> bool {
        self.admits_standby(key) || self.decide(key).parked
    }

    /// Returns what the standby's key is called on the primary; `None` if no key in scope is
    /// called so.
    #[must_use]
    pub fn primary_key(&self, standby: &Key) -> Option<Key> {
        let key = self.0.unplace(standby.as_bytes())?;
        if !self.0.admits_unplaced(&key) {
            return None;
        }
        Some(match key.primary {
            Cow::Borrowed(key) => Key::new(standby.to_bytes().slice_ref(key)),
            Cow::Owned(key) => Key::from(key),
        })
    }

    /// Returns what the standby's key is, or would be, called on the primary, whether or not it is
    /// in scope: for the ends of ranges.
    #[must_use]
    pub fn primary_spelling(&self, standby: &Key) -> Option<Key> {
        self.0.unplace(standby.as_bytes()).map(|key| Key::from(key.primary.into_owned()))
    }

    /// Tells whether a key of the standby lies where keys are parked.
    #[must_use]
    pub fn is_parked(&self, standby_key: &[u8]) -> bool {
        self.0.parking.parked(standby_key).is_some()
    }

    /// Tells whether a rule holds keys until the standby is promoted.
    #[must_use]
    pub fn holds_keys(&self) -> bool {
        self.0.parking.holds()
    }

    /// Returns the range of the standby in which keys are parked, if the scope has such a place.
    #[must_use]
    pub fn parked_range(&self) -> Option<KeyRange> {
        self.0.parking.range()
    }

    /// Returns what to read of both sides, in the order of the standby's keys: there the stretches
    /// are sorted and disjoint, and hold every key in scope and all of the parking place. On the
    /// primary they may overlap, as keys that a rule holds lie among others there, and elsewhere on
    /// the standby.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.0.stretches
    }

    /// Returns the ranges of the primary that hold every key in scope: sorted, disjoint, none
    /// empty. They hold other keys too, so ask [`Scope::admits`] of each: a hole is only cut for
    /// what the user excluded by prefix and for resources that stay local and are bulky, because
    /// every range costs a request.
    #[must_use]
    pub fn primary_ranges(&self) -> &[KeyRange] {
        &self.0.primary_ranges
    }

    /// Returns the same ranges as [`Scope::primary_ranges`], as the standby spells them. Where keys
    /// are parked is none of them: see [`Scope::parked_range`].
    #[must_use]
    pub fn standby_ranges(&self) -> &[KeyRange] {
        &self.0.standby_ranges
    }

    /// Returns the smallest range that covers [`Scope::primary_ranges`]: what one watch needs.
    #[must_use]
    pub fn primary_hull(&self) -> KeyRange {
        self.0.primary_hull.clone()
    }

    /// Returns the smallest range that covers [`Scope::standby_ranges`].
    #[must_use]
    pub fn standby_hull(&self) -> KeyRange {
        self.0.standby_hull.clone()
    }

    /// Tells when a key, as spelt on the standby, goes in a copy. Allocates only where one prefix
    /// replaces another. Says nothing of whether the key is in scope. What is parked has no turn of
    /// its own: nobody on the standby looks at it.
    #[must_use]
    pub fn turn(&self, standby_key: &[u8]) -> Turn {
        match self.0.unplace(standby_key) {
            Some(key) if !key.parked => self.0.turn(&key.primary),
            Some(_) | None => Turn::Usual,
        }
    }

    /// Returns the ranges of the primary and of the standby that hold every key in scope whose
    /// turn is [`Turn::First`]: sorted, disjoint, none empty, within [`Scope::primary_ranges`] and
    /// [`Scope::standby_ranges`]. Both are empty if no key goes first. They hold other keys too,
    /// so ask [`Scope::turn`] of each.
    #[must_use]
    pub fn first_ranges(&self) -> (Vec<KeyRange>, Vec<KeyRange>) {
        let Turns { primary_first, standby_first, .. } = &self.0.turns;
        (primary_first.clone(), standby_first.clone())
    }

    /// Returns the namespace that a key, as spelt on the standby, belongs to; a Namespace object
    /// belongs to itself. `None` for what is cluster-scoped or no object. Allocates only where one
    /// prefix replaces another.
    #[must_use]
    pub fn namespace_of<'k>(&self, standby_key: &'k [u8]) -> Option<Cow<'k, [u8]>> {
        match self.0.unplace(standby_key)?.primary {
            Cow::Borrowed(key) => self.0.namespace_of(key).map(Cow::Borrowed),
            Cow::Owned(key) => self.0.namespace_of(&key).map(|name| Cow::Owned(name.to_vec())),
        }
    }

    /// Returns the resource that a key, as spelt on the standby, is stored under: `configmaps`,
    /// `cluster.x-k8s.io/machines`. `None` for what is no object. Allocates only where one prefix
    /// replaces another.
    #[must_use]
    pub fn resource_of<'k>(&self, standby_key: &'k [u8]) -> Option<Cow<'k, [u8]>> {
        match self.0.unplace(standby_key)?.primary {
            Cow::Borrowed(key) => self.0.resource_of(key).map(Cow::Borrowed),
            Cow::Owned(key) => self.0.resource_of(&key).map(|name| Cow::Owned(name.to_vec())),
        }
    }

    /// Tells whether the keys are those of Kubernetes objects: with preset `kubernetes`.
    #[must_use]
    pub fn is_kubernetes(&self) -> bool {
        // The one preset that has a rule for keys that are spelt as no object is.
        self.0.unknown.is_some()
    }

    /// Tells whether the Namespace object of this name is in scope.
    #[must_use]
    pub fn admits_namespace(&self, namespace: &[u8]) -> bool {
        let home = self.0.grammar.namespaces();
        self.admits(&[home.as_bytes(), namespace].concat())
    }

    /// Returns a name for everything that decides what is in scope and what it is called.
    #[must_use]
    pub fn hash(&self) -> ScopeHash {
        self.0.hash
    }

    /// Returns the rules in effect, in the order in which they are asked. [`Rule::index`] is a
    /// rule's place here, so it can count decisions.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.0.in_order()
    }

    /// Returns what the user should know about the rules.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.0.warnings
    }

    /// Returns how keys are read below the etcd prefix.
    #[must_use]
    pub fn grammar(&self) -> &Grammar {
        &self.0.grammar
    }
}

impl Inner {
    pub(crate) fn find(&self, key: &[u8]) -> &Rule {
        if key.starts_with(OWN_PREFIX.as_bytes()) {
            return &self.own;
        }
        let within = self.bases.iter().any(|base| key.starts_with(base));
        if !within || key.is_empty() || !self.rewrite.has_place(key) {
            return &self.outside;
        }
        let shape = self.grammar.parse(key);
        let last = match (shape, &self.unknown) {
            (Shape::Unknown, Some(unknown)) => unknown,
            _ => &self.rest,
        };
        self.index.find(&self.rules, key, &shape).unwrap_or(last)
    }

    fn resource_of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        match self.grammar.parse(key) {
            Shape::Object(object) => Some(object.resource),
            Shape::Unknown | Shape::Outside => None,
        }
    }

    fn namespace_of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        match self.grammar.parse(key) {
            Shape::Object(object) => object.namespace,
            Shape::Unknown | Shape::Outside => None,
        }
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Rule> {
        [&self.own, &self.outside]
            .into_iter()
            .chain(&self.rules)
            .chain(&self.unknown)
            .chain(iter::once(&self.rest))
    }
}
