//! Which rules have to be looked at for a key.

use crate::grammar::{Grammar, ObjectKey, Shape};
use crate::rule::{Rule, by_length};

/// Places in the list of rules, ascending.
type Places = Box<[u16]>;

/// For every resource that a rule or the preset names, the rules that can match its objects, in
/// order. A key is then compared with a handful of rules instead of all, and what depends only on
/// the resource, such as which rules may touch a hard-local one, is decided beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Sorted by resource, as [`by_length`] does.
    named: Box<[(Box<str>, Places)]>,
    /// For every other resource.
    other: Places,
    /// For keys that are no object.
    shapeless: Places,
    /// Where hard-local resources are stored.
    hard: Box<[Box<str>]>,
}

impl Index {
    pub(crate) fn new(rules: &[Rule], grammar: &Grammar) -> Self {
        let hard_resources: Vec<&str> =
            rules.iter().filter(|rule| rule.is_hard()).filter_map(whole_resource).collect();
        let mut resources: Vec<&str> =
            rules.iter().filter_map(|rule| rule.pattern.exact_resource()).collect();
        resources.sort_unstable_by(|a, b| by_length(a.as_bytes(), b.as_bytes()));
        resources.dedup();
        let named = resources.into_iter().map(|resource| {
            let is_hard = hard_resources.contains(&resource);
            let list = places(rules, |rule| {
                rule.pattern.matches_resource(resource.as_bytes())
                    && !(is_hard && !rule.is_hard() && rule.spares_hard())
            });
            (resource.into(), list)
        });
        let hard = hard_resources.iter().map(|name| format!("{}{name}/", grammar.root()).into());
        Self {
            named: named.collect(),
            other: places(rules, |rule| rule.pattern.exact_resource().is_none()),
            shapeless: places(rules, Rule::matches_any_shape),
            hard: hard.collect(),
        }
    }

    /// Returns the rule that decides over `key`, if one of `rules` does.
    pub(crate) fn find<'r>(
        &self,
        rules: &'r [Rule],
        key: &[u8],
        shape: &Shape<'_>,
    ) -> Option<&'r Rule> {
        match shape {
            Shape::Object(object) => self.find_for_object(rules, key, object),
            Shape::Unknown | Shape::Outside => {
                let is_hard = self.hard.iter().any(|prefix| key.starts_with(prefix.as_bytes()));
                listed(rules, &self.shapeless).find(|rule| {
                    rule.pattern.matches_prefix(key) && !(is_hard && rule.spares_hard())
                })
            }
        }
    }

    fn find_for_object<'r>(
        &self,
        rules: &'r [Rule],
        key: &[u8],
        object: &ObjectKey<'_>,
    ) -> Option<&'r Rule> {
        let named =
            self.named.binary_search_by(|(name, _)| by_length(name.as_bytes(), object.resource));
        match named.ok().and_then(|place| self.named.get(place)) {
            Some((_, list)) => {
                listed(rules, list).find(|rule| rule.pattern.matches_rest(key, object))
            }
            None => listed(rules, &self.other).find(|rule| {
                rule.pattern.matches_rest(key, object)
                    && rule.pattern.matches_resource(object.resource)
            }),
        }
    }
}

fn whole_resource(rule: &Rule) -> Option<&str> {
    rule.pattern.whole_resource()
}

fn listed<'r>(rules: &'r [Rule], list: &[u16]) -> impl Iterator<Item = &'r Rule> {
    list.iter().filter_map(|&place| rules.get(usize::from(place)))
}

/// The places of the rules that `wanted` names. Compiling a scope refuses more rules than fit.
fn places(rules: &[Rule], wanted: impl Fn(&Rule) -> bool) -> Places {
    (0..=u16::MAX).zip(rules).filter(|(_, rule)| wanted(rule)).map(|(place, _)| place).collect()
}
