//! Two trees, cut at the boundaries that both have.

use std::cmp::Ordering;
use std::iter::Peekable;

use etcd_mvcc::{Key, KeyRange};

use super::builder::{Leaf, Tree};
use super::sum::RangeSum;

/// A range of keys, as both sides have summed it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) range: KeyRange,
    pub(crate) primary: RangeSum,
    pub(crate) standby: RangeSum,
}

/// Cuts the keyspace where both trees have a boundary, and adds up what lies between.
///
/// A key on one side only may be a boundary there: the other side's leaf reaches beyond it, and
/// can't be cut. Between two boundaries that both have, both sums are of the same range. That holds
/// for trees of two levels as well: every boundary of the higher level is one of the lower level,
/// and those that only the lower level has are passed over.
pub(crate) fn stretches<'a>(
    primary: &'a Tree,
    standby: &'a Tree,
) -> impl Iterator<Item = Stretch> + 'a {
    let mut left = Leaves::new(primary);
    let mut right = Leaves::new(standby);
    let mut start = Some(KeyRange::all().start().clone());
    std::iter::from_fn(move || {
        let range = KeyRange::from_key(start.take()?);
        let mut stretch = Stretch { range, primary: left.sum, standby: right.sum };
        loop {
            let order = match (left.boundary(), right.boundary()) {
                (None, None) => return Some(stretch),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.cmp(right),
            };
            if order.is_eq() {
                start = left.advance().cloned();
                right.advance();
                if let Some(end) = &start {
                    stretch.range = KeyRange::new(stretch.range.start().clone(), end.clone());
                }
                return Some(stretch);
            }
            if order.is_lt() {
                left.advance();
                stretch.primary.add(left.sum);
            } else {
                right.advance();
                stretch.standby.add(right.sum);
            }
        }
    })
}

/// A walk over the leaves of a tree.
struct Leaves<'a> {
    /// The sum of the leaf that the walk is in.
    sum: RangeSum,
    rest: Peekable<std::slice::Iter<'a, Leaf>>,
}

impl<'a> Leaves<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self { sum: tree.head, rest: tree.leaves.iter().peekable() }
    }

    /// Where the next leaf begins.
    fn boundary(&mut self) -> Option<&'a Key> {
        self.rest.peek().map(|leaf| &leaf.from)
    }

    /// Moves into the next leaf, and returns where it begins.
    fn advance(&mut self) -> Option<&'a Key> {
        let leaf = self.rest.next()?;
        self.sum = leaf.sum;
        Some(&leaf.from)
    }
}
