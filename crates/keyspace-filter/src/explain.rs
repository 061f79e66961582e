//! Why a key is in scope or stays local, at length: for people, who ask of a few keys.

use crate::grammar::Shape;
use crate::rule::{Pattern, Rule};
use crate::scope::{Decision, Inner};

/// All that the rules say of one key.
#[derive(Clone, Debug)]
pub struct Explanation<'s, 'k> {
    /// What the key is.
    pub shape: Shape<'k>,
    /// What becomes of it, and by which rule.
    pub decision: Decision<'s>,
    /// Rules before that one which match the key and would admit it, but for its being hard-local:
    /// they lack `unsafe: true`.
    pub passed_over: Vec<&'s Rule>,
    /// Rules after that one which match the key too, in order; the built-in last ones, which match
    /// what no other does, left out.
    pub shadowed: Vec<&'s Rule>,
}

impl Inner {
    pub(crate) fn explain<'s, 'k>(&'s self, key: &'k [u8]) -> Explanation<'s, 'k> {
        let rule = self.find(key);
        let shape = self.grammar.parse(key);
        let (before, after): (Vec<&Rule>, Vec<&Rule>) = self
            .rules
            .iter()
            .filter(|other| other.index != rule.index && other.pattern.matches(key, &shape))
            .partition(|other| other.index < rule.index);
        Explanation {
            shape,
            decision: Decision { admitted: rule.admits(), rule },
            passed_over: before,
            shadowed: after,
        }
    }
}

impl Pattern {
    /// Tells whether the pattern matches the key, which has this shape.
    fn matches(&self, key: &[u8], shape: &Shape<'_>) -> bool {
        match shape {
            Shape::Object(object) => {
                self.matches_resource(object.resource) && self.matches_rest(key, object)
            }
            Shape::Unknown | Shape::Outside => self.is_bytes_only() && self.matches_prefix(key),
        }
    }
}
