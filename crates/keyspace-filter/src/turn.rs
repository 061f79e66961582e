//! When a key goes in a copy, as far as its name tells.

use etcd_mvcc::KeyRange;

use crate::glob::Glob;
use crate::grammar::{Grammar, Shape};
use crate::ranges::Terms;
use crate::rewrite::Rewrite;
use crate::rule::{Pattern, Rule};
use crate::scope::Inner;
use crate::spec::Preset;

/// Resources whose objects everything else in a namespace leans on: content has no place without
/// its namespace, and a token is worth nothing without the account that it is for.
const FIRST: [&str; 2] = ["namespaces", "serviceaccounts"];

/// The resource that goes last: while a kind is unknown, no controller of the standby can judge
/// its objects, so by the time it is known they should all be there.
const LAST: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// When a key goes in a copy; the smaller the sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Before everything else.
    First,
    /// As the objects' own order has it.
    Usual,
    /// After everything else.
    Last,
}

/// What turns are told from, beside the rules.
#[derive(Debug)]
pub(crate) struct Turns {
    preset: Preset,
    /// Without an urgent rule, no rule has to be found.
    any_urgent: bool,
    pub(crate) primary_first: Vec<KeyRange>,
    pub(crate) standby_first: Vec<KeyRange>,
}

impl Turns {
    /// Finds out where the keys that go first lie. `primary_ranges` is all that is read.
    pub(crate) fn new(terms: &Terms<'_>, primary_ranges: &[KeyRange]) -> Self {
        let primary_first = within(primary_ranges, &first_prefixes(terms));
        Self {
            preset: terms.preset,
            any_urgent: terms.rules.iter().any(Rule::is_urgent),
            standby_first: placed(terms.rewrite, &primary_first),
            primary_first,
        }
    }
}

impl Inner {
    /// Tells when the primary's `key` goes. Allocates nothing.
    pub(crate) fn turn(&self, key: &[u8]) -> Turn {
        if self.turns.any_urgent && self.find(key).is_urgent() {
            return Turn::First;
        }
        if self.turns.preset == Preset::None {
            return Turn::Usual;
        }
        match self.grammar.parse(key) {
            Shape::Object(object) if object.resource == LAST.as_bytes() => Turn::Last,
            Shape::Object(object)
                if FIRST.iter().any(|first| first.as_bytes() == object.resource) =>
            {
                Turn::First
            }
            Shape::Object(_) | Shape::Unknown | Shape::Outside => Turn::Usual,
        }
    }
}

/// What every key that goes first begins with one of.
fn first_prefixes(terms: &Terms<'_>) -> Vec<String> {
    let root = terms.grammar.root();
    let mut prefixes = Vec::new();
    if terms.preset == Preset::Kubernetes {
        prefixes.extend(FIRST.map(|resource| format!("{root}{resource}/")));
    }
    let urgent = terms.rules.iter().filter(|rule| rule.is_urgent());
    prefixes.extend(urgent.filter_map(|rule| common_prefix(&rule.pattern, terms.grammar)));
    prefixes
}

/// What every key that the pattern matches begins with; `None` if it matches none.
fn common_prefix(pattern: &Pattern, grammar: &Grammar) -> Option<String> {
    let bytes = pattern.prefix.as_deref().unwrap_or_default();
    if pattern.is_bytes_only() {
        return Some(bytes.to_owned());
    }
    let root = grammar.root();
    let object = match &pattern.resource {
        Some(Glob::Exact(resource)) => format!("{root}{resource}/"),
        Some(glob) => format!("{root}{}", glob.literal_head()),
        None => root.to_owned(),
    };
    // Both stand at the front of the key, so one begins with the other.
    match (object.starts_with(bytes), bytes.starts_with(&object)) {
        (true, _) => Some(object),
        (false, true) => Some(bytes.to_owned()),
        (false, false) => None,
    }
}

/// Returns what of `ranges` begins with one of `prefixes`: sorted and disjoint, as `ranges` are.
fn within(ranges: &[KeyRange], prefixes: &[String]) -> Vec<KeyRange> {
    let mut prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    prefixes.sort_unstable();
    // Sorted, a prefix stands directly before what begins with it.
    prefixes.dedup_by(|later, kept| later.starts_with(*kept));
    let regions: Vec<KeyRange> =
        prefixes.iter().map(|prefix| KeyRange::prefix(prefix.as_bytes())).collect();
    ranges
        .iter()
        .flat_map(|range| regions.iter().map(|region| range.intersection(region)))
        .filter(|range| !range.is_empty())
        .collect()
}

/// Returns the primary's ranges as the standby spells them.
fn placed(rewrite: &Rewrite, ranges: &[KeyRange]) -> Vec<KeyRange> {
    ranges.iter().map(|range| rewrite.place_range(range)).collect()
}
