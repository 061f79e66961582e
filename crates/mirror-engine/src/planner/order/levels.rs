//! Owners before dependents: the order that an object's references to its owners ask for.

use std::collections::BTreeMap;

/// An object, as far as its place in the order is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    /// Its uid's hash, if it is known.
    pub(super) uid: Option<u64>,
    /// The hashes of its owners' uids. Owners that are none of the nodes do not count.
    pub(super) owners: &'a [u64],
    /// The revision that made it: the order of those that nothing else puts in order.
    pub(super) created: i64,
}

/// Returns the places of `nodes` in groups, in the order in which they may be written.
///
/// An object without owners among the nodes is on level 0, every other one level above its highest
/// owner; level goes before level, and what is on one level goes in the order in which it was made.
/// Objects that own each other in a circle are one group and belong into one transaction; every
/// other group is of one.
pub(super) fn in_order(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    let places: BTreeMap<u64, usize> =
        nodes.iter().enumerate().filter_map(|(at, node)| Some((node.uid?, at))).collect();
    let mut search = Search {
        owners: nodes
            .iter()
            .map(|node| node.owners.iter().filter_map(|uid| places.get(uid).copied()).collect())
            .collect(),
        visits: vec![Visit::default(); nodes.len()],
        ..Search::default()
    };
    (0..nodes.len()).for_each(|at| search.from(at));
    let created = |at: &usize| nodes.get(*at).map_or(0, |node| node.created);
    let mut groups = search.groups;
    for (_, group) in &mut groups {
        group.sort_by_key(|at| (created(at), *at));
    }
    groups
        .sort_by_key(|(level, group)| (*level, group.first().map(created), group.first().copied()));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Tarjan's search for strongly connected components, on a stack of its own: chains of owners may
/// be longer than a thread's stack is deep. A component is complete only after those of its owners,
/// so that its level is known at once.
#[derive(Debug, Default)]
struct Search {
    owners: Vec<Vec<usize>>,
    visits: Vec<Visit>,
    visited: usize,
    /// Nodes whose component is not complete.
    open: Vec<usize>,
    /// The path from where the search began, with the number of owners looked at.
    path: Vec<(usize, usize)>,
    groups: Vec<(usize, Vec<usize>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Visit {
    /// When the node was first seen; 0 if it was not.
    order: usize,
    /// The earliest open node that can be reached from it.
    earliest: usize,
    /// The level of its component, once that is complete.
    level: Option<usize>,
}

impl Search {
    fn visit(&self, at: usize) -> Visit {
        self.visits.get(at).copied().unwrap_or_default()
    }

    fn reach(&mut self, at: usize, earliest: usize) {
        if let Some(visit) = self.visits.get_mut(at) {
            visit.earliest = visit.earliest.min(earliest);
        }
    }

    fn from(&mut self, start: usize) {
        if self.visit(start).order > 0 {
            return;
        }
        self.enter(start);
        while let Some((at, looked_at)) = self.path.last_mut() {
            let node = *at;
            let owner = self.owners.get(node).and_then(|owners| owners.get(*looked_at)).copied();
            *looked_at += 1;
            match owner {
                Some(owner) if self.visit(owner).order == 0 => self.enter(owner),
                Some(owner) if self.visit(owner).level.is_none() => {
                    self.reach(node, self.visit(owner).order);
                }
                Some(_) => {}
                None => self.leave(node),
            }
        }
    }

    fn enter(&mut self, at: usize) {
        self.visited += 1;
        if let Some(visit) = self.visits.get_mut(at) {
            *visit = Visit { order: self.visited, earliest: self.visited, level: None };
        }
        self.open.push(at);
        self.path.push((at, 0));
    }

    fn leave(&mut self, at: usize) {
        self.path.pop();
        let Visit { order, earliest, .. } = self.visit(at);
        if let Some((dependent, _)) = self.path.last() {
            self.reach(*dependent, earliest);
        }
        if earliest < order {
            return;
        }
        let begin = self.open.iter().rposition(|open| *open == at).unwrap_or_default();
        let group = self.open.split_off(begin);
        let owners = group.iter().filter_map(|member| self.owners.get(*member)).flatten();
        let level = owners.filter_map(|owner| self.visit(*owner).level).max();
        let level = level.map_or(0, |highest| highest + 1);
        for member in &group {
            if let Some(visit) = self.visits.get_mut(*member) {
                visit.level = Some(level);
            }
        }
        self.groups.push((level, group));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(nodes: &[(u64, &[u64], i64)]) -> Vec<Vec<u64>> {
        let seen: Vec<Node<'_>> = nodes
            .iter()
            .map(|(uid, owners, created)| Node { uid: Some(*uid), owners, created: *created })
            .collect();
        let name = |at: usize| nodes[at].0;
        in_order(&seen).into_iter().map(|group| group.into_iter().map(name).collect()).collect()
    }

    #[test]
    fn an_owner_that_was_made_later_goes_first_all_the_same() {
        assert_eq!(order(&[(1, &[2], 5), (2, &[], 9)]), [[2], [1]]);
    }

    #[test]
    fn what_is_on_one_level_goes_in_the_order_in_which_it_was_made() {
        let nodes: [(u64, &[u64], i64); 4] = [(1, &[4], 3), (2, &[4], 2), (3, &[], 8), (4, &[], 7)];
        assert_eq!(order(&nodes), [[4], [3], [2], [1]]);
    }

    #[test]
    fn objects_that_own_each_other_are_one_group_between_their_owners_and_dependents() {
        let nodes: [(u64, &[u64], i64); 5] =
            [(1, &[3], 1), (2, &[1], 2), (3, &[2, 4], 3), (4, &[], 4), (5, &[2], 5)];
        assert_eq!(order(&nodes), [vec![4], vec![1, 2, 3], vec![5]]);
    }

    #[test]
    fn who_owns_itself_or_somebody_unknown_waits_for_nobody() {
        assert_eq!(order(&[(1, &[1], 2), (2, &[77], 1)]), [[2], [1]]);
    }

    #[test]
    fn a_chain_may_be_longer_than_a_stack_is_deep() {
        let owners: Vec<[u64; 1]> = (1..=200_000).map(|uid| [uid + 1]).collect();
        let nodes: Vec<Node<'_>> = owners
            .iter()
            .zip(1u64..)
            .map(|(owners, uid)| Node { uid: Some(uid), owners, created: 0 })
            .collect();
        let groups = in_order(&nodes);
        assert_eq!(groups.first(), Some(&vec![199_999]));
        assert_eq!(groups.last(), Some(&vec![0]));
    }

    proptest! {
        #[test]
        fn every_node_goes_once_and_never_before_an_owner_outside_its_group(
            owners in prop::collection::vec(prop::collection::vec(0u64..40, 0..4), 0..40),
            created in prop::collection::vec(0i64..5, 40),
        ) {
            let nodes: Vec<Node<'_>> = owners.iter().zip(0u64..).zip(&created)
                .map(|((owners, uid), created)| Node { uid: Some(uid), owners, created: *created })
                .collect();
            let groups = in_order(&nodes);
            let mut group_of = BTreeMap::new();
            for (at, group) in groups.iter().enumerate() {
                for node in group {
                    prop_assert_eq!(group_of.insert(*node, at), None);
                }
            }
            prop_assert_eq!(group_of.len(), nodes.len());
            for (at, node) in nodes.iter().enumerate() {
                for owner in node.owners.iter().map(|owner| usize::try_from(*owner).unwrap()) {
                    prop_assert!(group_of.get(&owner).is_none_or(|of| *of <= group_of[&at]));
                }
            }
        }

        #[test]
        fn a_group_of_several_is_a_circle(
            owners in prop::collection::vec(prop::collection::vec(0u64..15, 0..3), 0..15),
        ) {
            let nodes: Vec<Node<'_>> = owners.iter().zip(0u64..)
                .map(|(owners, uid)| Node { uid: Some(uid), owners, created: 0 })
                .collect();
            for group in in_order(&nodes).into_iter().filter(|group| group.len() > 1) {
                for from in &group {
                    let (mut reached, mut todo) = (Vec::new(), vec![*from]);
                    while let Some(at) = todo.pop() {
                        for owner in nodes[at].owners.iter().map(|o| usize::try_from(*o).unwrap()) {
                            if owner < nodes.len() && !reached.contains(&owner) {
                                reached.push(owner);
                                todo.push(owner);
                            }
                        }
                    }
                    prop_assert!(group.iter().all(|to| reached.contains(to)));
                }
            }
        }
    }
}
