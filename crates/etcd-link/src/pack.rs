//! How many operations fit into one transaction: as many as its bytes allow, if they are nested.
//!
//! etcd limits the operations of a transaction (`--max-txn-ops`, 128 by default) level by level: a
//! nested transaction may use what the levels around it have left of the limit
//! (`checkTxnRequest` in etcd's `v3rpc/key.go`, the same from 3.4 to 3.7). A level costs as many as
//! it has compares or operations, whichever are more. So 64 transactions of 64 operations fit, and
//! 42 of 43 of 43, which is 77,658 operations at one revision.

use std::ops::Range;

/// A transaction's shape: how many operations lie under each child of a level, outermost first.
/// The last level's children are the operations themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    spans: Vec<usize>,
    /// What it takes of the limit.
    pub(crate) cost: usize,
}

impl Shape {
    /// Returns what lies under the children of a node at `level` that covers `leaves`. A child that
    /// covers one leaf is that operation; any other is a nested transaction.
    pub(crate) fn children(
        &self,
        level: usize,
        leaves: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let span = self.spans.get(level).copied().unwrap_or(1).max(1);
        let end = leaves.end;
        leaves.step_by(span).map(move |start| start..end.min(start.saturating_add(span)))
    }
}

/// Finds the flattest shape for `ops` operations under `compares` compares. `nested` says that some
/// of the operations are transactions of one operation themselves. `None` if `ops_max` has no room
/// for them at any depth.
pub(crate) fn pack(ops: usize, compares: usize, nested: bool, ops_max: usize) -> Option<Shape> {
    let budget = ops_max.checked_sub(usize::from(nested))?;
    (1..=budget.max(1))
        .map_while(|depth| widths(depth, compares, budget))
        .find(|widths| capacity(widths) >= ops)
        .map(|widths| {
            let mut spans = Vec::with_capacity(widths.len());
            let mut rest = widths.as_slice();
            while let [_, inner @ ..] = rest {
                spans.push(capacity(inner));
                rest = inner;
            }
            let inner: usize = widths.iter().skip(1).sum();
            let outer = ops.div_ceil(spans.first().copied().unwrap_or(1)).max(compares);
            Shape { spans, cost: outer + inner + usize::from(nested) }
        })
}

/// The most operations that [`pack`] finds a shape for.
pub(crate) fn most(compares: usize, nested: bool, ops_max: usize) -> usize {
    let Some(budget) = ops_max.checked_sub(usize::from(nested)) else { return 0 };
    let depths = (1..=budget.max(1)).map_while(|depth| widths(depth, compares, budget));
    depths.map(|widths| capacity(&widths)).max().unwrap_or(0)
}

/// Shares the budget out over the levels: the product is largest where they are equal.
fn widths(depth: usize, compares: usize, budget: usize) -> Option<Vec<usize>> {
    let first = (budget / depth).max(compares);
    let rest = budget.checked_sub(first)?;
    let mut widths = vec![first];
    for level in 1..depth {
        let levels_left = depth - level;
        let used: usize = widths.iter().skip(1).sum();
        // Larger ones further in, where they make for fewer transactions.
        widths.push((rest - used) / levels_left);
    }
    widths.iter().all(|&width| width > 0).then_some(widths)
}

fn capacity(widths: &[usize]) -> usize {
    widths.iter().copied().fold(1, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request as etcd checks it.
    enum Request {
        Op,
        Txn { compares: usize, success: Vec<Self> },
    }

    /// etcd's check, written anew: the limit shrinks by each level's width.
    fn check_txn_request(request: &Request, ops_max: usize) -> Result<usize, usize> {
        match request {
            Request::Op => Ok(1),
            Request::Txn { compares, success } => {
                let width = success.len().max(*compares);
                if width > ops_max {
                    return Err(width);
                }
                success.iter().map(|inner| check_txn_request(inner, ops_max - width)).sum()
            }
        }
    }

    fn build(shape: &Shape, level: usize, leaves: Range<usize>, nested: bool) -> Vec<Request> {
        shape
            .children(level, leaves)
            .map(|child| match child.len() {
                1 if nested => Request::Txn { compares: 1, success: vec![Request::Op] },
                1 => Request::Op,
                _ => Request::Txn { compares: 0, success: build(shape, level + 1, child, nested) },
            })
            .collect()
    }

    fn accepted(ops: usize, compares: usize, nested: bool, ops_max: usize) -> Option<usize> {
        let shape = pack(ops, compares, nested, ops_max)?;
        let request = Request::Txn { compares, success: build(&shape, 0, 0..ops, nested) };
        Some(check_txn_request(&request, ops_max).expect("a packed transaction is accepted"))
    }

    proptest! {
        #[test]
        fn etcd_accepts_what_is_packed_and_finds_every_operation(
            ops in 0usize..5_000, compares in 0usize..10, nested: bool, ops_max in 8usize..200,
        ) {
            if let Some(found) = accepted(ops, compares, nested, ops_max) {
                prop_assert_eq!(found, ops);
            } else {
                prop_assert!(ops_max < 60 || compares > ops_max, "{ops} of {ops_max} not packed");
            }
        }
    }

    #[test]
    fn the_default_limit_holds_77_000_operations_and_more() {
        for nested in [false, true] {
            for ops in [0, 1, 127, 128, 129, 4_096, 77_000, 77_658, 170_000, 900_000] {
                assert_eq!(accepted(ops, 2, nested, 128), Some(ops));
            }
        }
    }

    #[test]
    fn few_operations_are_not_nested() {
        let spans = |ops, nested| pack(ops, 2, nested, 128).map(|shape| shape.spans);
        assert_eq!(spans(128, false), Some(vec![1]));
        assert_eq!(spans(127, true), Some(vec![1]));
        assert_ne!(spans(128, true), Some(vec![1]));
    }

    #[test]
    fn a_transaction_that_fits_a_limit_costs_no_more_and_the_most_that_fits_is_known() {
        for nested in [false, true] {
            for ops_max in 4..130 {
                let most = most(2, nested, ops_max);
                assert!(most >= 2, "{most} of {ops_max}");
                if most > 20_000 {
                    continue;
                }
                assert_eq!(accepted(most, 2, nested, ops_max), Some(most));
                assert_eq!(pack(most + 1, 2, nested, ops_max), None);
                let cost = pack(most, 2, nested, ops_max).unwrap().cost;
                assert!(cost <= ops_max, "{cost} of {ops_max}");
                assert_eq!(accepted(most, 2, nested, cost), Some(most), "as cheap as it says");
            }
        }
    }

    #[test]
    fn more_compares_than_the_limit_are_refused() {
        assert_eq!(pack(1, 129, false, 128), None);
    }
}
