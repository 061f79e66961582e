//! Where keys that a rule holds wait until the standby is promoted.

use std::borrow::Cow;

use etcd_mvcc::{Key, KeyRange, prefix_end};

use crate::OWN_PREFIX;
use crate::error::ScopeError;
use crate::ranges::{Terms, common_prefix, within};
use crate::rewrite::joined;
use crate::rule::{Rule, Source};
use crate::scope::{Inner, Stretch};
use crate::spec::ScopeSpec;

/// The parking place: a prefix of the standby, below this software's own, in front of the keys as
/// the primary spells them. All of it is one mirror's.
#[derive(Debug)]
pub(crate) struct Parking {
    prefix: Option<Box<[u8]>>,
    holds: bool,
}

/// What a key of the standby is called on the primary, whether or not it is in scope.
pub(crate) struct Unplaced<'k> {
    pub(crate) primary: Cow<'k, [u8]>,
    pub(crate) parked: bool,
}

impl Parking {
    /// Checks that what the rules hold has a place.
    pub(crate) fn new(spec: &ScopeSpec, rules: &[Rule]) -> Result<Self, ScopeError> {
        let held = rules.iter().find_map(|rule| {
            let Source::User(index) = rule.source else { return None };
            rule.holds().then_some(index)
        });
        match (held, &spec.parked_prefix) {
            (Some(index), None) => return Err(ScopeError::HoldWithoutPlace { index }),
            (Some(index), Some(_)) if spec.dest_prefix.is_some() || spec.no_dest_prefix => {
                return Err(ScopeError::HoldAndRewrite { index });
            }
            (_, Some(prefix)) if !is_own(prefix) => {
                return Err(ScopeError::ParkedOutside { prefix: prefix.clone() });
            }
            _ => {}
        }
        let prefix = spec.parked_prefix.as_deref().map(|prefix| prefix.as_bytes().into());
        Ok(Self { prefix, holds: held.is_some() })
    }

    /// Tells whether a rule holds keys.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// Returns where the primary's key is parked.
    pub(crate) fn place(&self, primary: &Key) -> Option<Key> {
        let prefix = self.prefix.as_deref()?;
        Some(Key::from(joined(prefix, primary.as_bytes())))
    }

    /// Returns the primary's key of which a key of the standby is the parked one.
    pub(crate) fn parked<'k>(&self, standby: &'k [u8]) -> Option<&'k [u8]> {
        let key = standby.strip_prefix(self.prefix.as_deref()?)?;
        (!key.is_empty()).then_some(key)
    }

    /// Returns all of the place.
    pub(crate) fn range(&self) -> Option<KeyRange> {
        self.prefix.as_deref().map(KeyRange::prefix)
    }

    /// Returns what lies in the place: of the primary, what the rules may hold; of the standby, all
    /// of it, so that what an earlier rule has left there is found. `primary_ranges` is all that is
    /// read.
    pub(crate) fn stretches(&self, terms: &Terms<'_>, primary_ranges: &[KeyRange]) -> Vec<Stretch> {
        let Some(prefix) = self.prefix.as_deref() else { return Vec::new() };
        let held = terms.rules.iter().filter(|rule| rule.holds());
        let prefixes: Vec<String> =
            held.filter_map(|rule| common_prefix(&rule.pattern, terms.grammar)).collect();
        let primary = within(primary_ranges, &prefixes);
        if primary.is_empty() {
            let start = KeyRange::all().start().clone();
            let nothing = KeyRange::new(start.clone(), start);
            return vec![Stretch { primary: nothing, standby: KeyRange::prefix(prefix) }];
        }
        // Each begins where the one before ends: no key of the place lies between them.
        let places = primary.iter().map(|range| joined(prefix, range.start().as_bytes()));
        let ends = places.skip(1).map(Key::from).map(Some).chain([prefix_end(prefix)]);
        let ends: Vec<Option<Key>> = ends.collect();
        let mut start = Key::from(prefix.to_vec());
        let mut stretches = Vec::new();
        for (range, end) in primary.into_iter().zip(ends) {
            let standby = match &end {
                Some(end) => KeyRange::new(start, end.clone()),
                None => KeyRange::from_key(start),
            };
            stretches.push(Stretch { primary: range, standby });
            start = end.unwrap_or_default();
        }
        stretches
    }
}

/// Tells whether a prefix lies below this software's own.
fn is_own(prefix: &str) -> bool {
    prefix.strip_prefix(OWN_PREFIX).is_some_and(|rest| !rest.is_empty())
}

impl Inner {
    /// Returns what a key of the standby is called on the primary; `None` for this software's own
    /// keys, and for what has another prefix.
    pub(crate) fn unplace<'k>(&self, standby: &'k [u8]) -> Option<Unplaced<'k>> {
        if let Some(primary) = self.parking.parked(standby) {
            return Some(Unplaced { primary: Cow::Borrowed(primary), parked: true });
        }
        if standby.starts_with(OWN_PREFIX.as_bytes()) {
            return None;
        }
        let primary = self.rewrite.unplace(standby)?;
        Some(Unplaced { primary, parked: false })
    }

    /// Tells whether the standby's key is in scope, which is called so on the primary.
    pub(crate) fn admits_unplaced(&self, key: &Unplaced<'_>) -> bool {
        let rule = self.find(&key.primary);
        rule.admits() && rule.holds() == key.parked
    }
}
