//! Which ranges hold the keys in scope.

use etcd_mvcc::{KeyRange, prefix_end};

use crate::OWN_PREFIX;
use crate::glob::Glob;
use crate::grammar::Grammar;
use crate::rewrite::Rewrite;
use crate::rule::{Pattern, Rule, Source};
use crate::spec::Preset;

/// What is left out of the ranges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is worth a range more: every range costs a request at least, and what is read in vain
    /// costs bandwidth. So: what the user named, and of the preset what is bulky.
    Bulky,
    /// Every prefix of which no key can be admitted.
    Everything,
}

/// What decides over ranges.
pub(crate) struct Terms<'a> {
    pub(crate) preset: Preset,
    pub(crate) grammar: &'a Grammar,
    /// Sorted, none a prefix of another.
    pub(crate) bases: &'a [Box<[u8]>],
    pub(crate) rewrite: &'a Rewrite,
    pub(crate) rules: &'a [Rule],
}

impl Terms<'_> {
    /// Returns sorted, disjoint ranges that hold every key that the rules admit.
    pub(crate) fn ranges(&self, leave: Leave) -> Vec<KeyRange> {
        let mut ranges: Vec<KeyRange> =
            self.bases.iter().map(|base| KeyRange::prefix(base)).collect();
        let mut holes = vec![OWN_PREFIX.as_bytes().to_vec()];
        holes.extend(self.rewrite.own_place());
        holes.extend(self.holes(leave));
        for hole in holes {
            ranges = ranges.iter().flat_map(|range| without(range, &hole)).collect();
        }
        ranges
    }

    /// The prefixes that no rule admits a key of.
    fn holes(&self, leave: Leave) -> impl Iterator<Item = Vec<u8>> {
        self.rules.iter().enumerate().filter_map(move |(place, rule)| {
            let worth =
                leave == Leave::Everything || rule.traits.bulky || rule.source != Source::Preset;
            if rule.admits() || !worth {
                return None;
            }
            let earlier = self.rules.get(..place).unwrap_or_default();
            if rule.matches_any_shape() {
                let region = rule.pattern.prefix.as_deref()?;
                let admitted = self.any_admits(earlier, region, None, false);
                return (!admitted).then(|| region.as_bytes().to_vec());
            }
            // Beside objects there are keys of unknown shape, which such a rule doesn't match:
            // with preset `none` those are in scope.
            if self.preset == Preset::None {
                return None;
            }
            let resource = rule.pattern.whole_resource();
            let region = match resource {
                Some(resource) => format!("{}{resource}/", self.grammar.root()),
                None if rule.pattern.is_every_object() => self.grammar.root().to_owned(),
                None => return None,
            };
            let hard = rule.is_hard();
            let admitted = self.any_admits(earlier, &region, resource, hard)
                || self.any_shapeless_admits(&region, hard);
            (!admitted).then(|| region.into_bytes())
        })
    }

    fn any_admits(&self, rules: &[Rule], region: &str, resource: Option<&str>, hard: bool) -> bool {
        rules.iter().any(|rule| {
            rule.admits()
                && !(hard && rule.spares_hard())
                && self.reaches(rule, region)
                && resource.is_none_or(|name| rule.pattern.matches_resource(name.as_bytes()))
        })
    }

    /// A later rule can still admit keys of unknown shape.
    fn any_shapeless_admits(&self, region: &str, hard: bool) -> bool {
        self.rules.iter().any(|rule| {
            rule.admits()
                && rule.matches_any_shape()
                && !(hard && rule.spares_hard())
                && self.reaches(rule, region)
        })
    }

    /// Tells whether the rule can match a key that begins with `region`.
    pub(crate) fn reaches(&self, rule: &Rule, region: &str) -> bool {
        let touches = |prefix: &str| prefix.starts_with(region) || region.starts_with(prefix);
        rule.pattern.prefix.as_deref().is_none_or(touches)
            && match rule.pattern.exact_resource() {
                Some(resource) => touches(&format!("{}{resource}/", self.grammar.root())),
                None => true,
            }
    }
}

/// Returns what is left of `range` without the keys that begin with `prefix`.
fn without(range: &KeyRange, prefix: &[u8]) -> impl Iterator<Item = KeyRange> + use<> {
    let hole = KeyRange::prefix(prefix);
    let before =
        range.intersection(&KeyRange::new(KeyRange::all().start().clone(), hole.start().clone()));
    let after = prefix_end(prefix).map(|end| range.starting_at(end));
    [Some(before), after].into_iter().flatten().filter(|left| !left.is_empty())
}

/// What every key that the pattern matches begins with; `None` if it matches none.
pub(crate) fn common_prefix(pattern: &Pattern, grammar: &Grammar) -> Option<String> {
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
pub(crate) fn within(ranges: &[KeyRange], prefixes: &[String]) -> Vec<KeyRange> {
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
