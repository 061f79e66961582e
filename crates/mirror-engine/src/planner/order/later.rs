//! Objects whose turn comes when everything else has been written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use etcd_mvcc::{Key, PrimaryRevision, Revision as _};

use super::Wanted;
use super::kin::Owner;
use super::levels::{Node, in_order};

/// An object that waits for its turn.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) wanted: Wanted,
    pub(super) uid: Option<u64>,
    pub(super) owners: Box<[Owner]>,
    pub(super) created: PrimaryRevision,
    pub(super) rank: Rank,
}

/// When an object goes, among those that wait: in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// After its owners.
    Owned,
    /// It can't be read: nobody knows who owns it.
    Unread,
    /// After those that can't be read, one of which may own it.
    AfterUnread,
    /// After everything else: a kind of which the standby does not know is one that its collector
    /// can't judge.
    Last,
}

/// What is known of the objects that do not wait.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Objects that the standby holds as the primary does, or that go before all that wait.
    pub(super) settled: &'a BTreeSet<u64>,
    /// Every object in scope was seen: an owner that is not among them will not be there.
    pub(super) all: bool,
    /// Everything was seen at one revision: an owner that was not seen is none that has come since.
    pub(super) pinned: bool,
    /// The resources with objects that can't be read: `secrets`, `example.io/widgets`.
    pub(super) unread: &'a BTreeSet<Box<[u8]>>,
}

/// An object without an owner on the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    /// Its key, as the standby spells it.
    pub(crate) key: Key,
    /// The hash of its own uid, if it has one.
    pub(crate) uid: Option<u64>,
    /// The hashes of the uids of its owners, none of which will be on the standby.
    pub(crate) owners: Box<[u64]>,
}

/// What became of those that waited.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// What is written, in order.
    pub(super) wanted: Vec<Wanted>,
    /// What will have no owner on the standby, and is not written.
    pub(super) orphans: Vec<Orphan>,
    /// Some wait for an owner that may be newer than what was seen, and are left out.
    pub(super) left: bool,
}

/// Puts what waits in order, owners before their dependents, and sets apart what will have no
/// owner on the standby.
pub(super) fn release(later: Vec<Later>, known: &Known<'_>) -> Released {
    let owners: Vec<Box<[u64]>> =
        later.iter().map(|later| later.owners.iter().map(|owner| owner.uid).collect()).collect();
    let nodes: Vec<Node<'_>> = later
        .iter()
        .zip(&owners)
        .map(|(later, owners)| Node { uid: later.uid, owners, created: later.created.get() })
        .collect();
    let groups = in_order(&nodes);
    let mut waiting: Vec<Option<Later>> = later.into_iter().map(Some).collect();
    // What waits and will be written, and when.
    let mut turns: BTreeMap<u64, Rank> = BTreeMap::new();
    let (mut ranked, mut orphans, mut left) = (Vec::new(), Vec::new(), false);
    for group in groups {
        let mut members: Vec<Later> =
            group.iter().filter_map(|at| waiting.get_mut(*at)?.take()).collect();
        if members.len() > 1 {
            // They own each other: each of them has an owner.
            turns.extend(members.iter().filter_map(|member| Some((member.uid?, member.rank))));
        }
        if known.all && members.len() == 1 {
            members.retain(|member| {
                let kept = known.will_be_owned(member, &turns);
                if !kept {
                    orphans.push(orphan(member));
                }
                kept
            });
        }
        if !known.pinned {
            let all = members.len();
            members.retain(|member| known.has_seen_owners(member, &turns));
            left |= members.len() < all;
        }
        let rank = members.iter().map(|member| known.rank(member, &turns)).max();
        let Some(rank) = rank else { continue };
        turns.extend(members.iter().filter_map(|member| Some((member.uid?, rank))));
        ranked.push((rank, members));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let wanted = ranked.into_iter().flat_map(|(_, members)| {
        members.into_iter().enumerate().map(|(at, member)| Wanted { tied: at > 0, ..member.wanted })
    });
    Released { wanted: wanted.collect(), orphans, left }
}

fn orphan(member: &Later) -> Orphan {
    let owners = member.owners.iter().map(|owner| owner.uid).collect();
    Orphan { key: member.wanted.standby_key.clone(), uid: member.uid, owners }
}

impl Known<'_> {
    /// Tells whether one of the owners will be on the standby, or may be.
    fn will_be_owned(&self, member: &Later, turns: &BTreeMap<u64, Rank>) -> bool {
        // What the standby has already is not kept off it.
        member.wanted.is_there()
            || member.owners.is_empty()
            || member.owners.iter().any(|owner| {
                self.settled.contains(&owner.uid)
                    || turns.contains_key(&owner.uid)
                    || self.may_be_unread(&owner.kind)
            })
    }

    fn has_seen_owners(&self, member: &Later, turns: &BTreeMap<u64, Rank>) -> bool {
        let seen = |uid| self.settled.contains(uid) || turns.contains_key(uid);
        member.owners.iter().all(|owner| seen(&owner.uid))
    }

    /// An object goes no earlier than its owners.
    fn rank(&self, member: &Later, turns: &BTreeMap<u64, Rank>) -> Rank {
        let after = |owner: &Owner| match turns.get(&owner.uid) {
            Some(rank) => *rank,
            None if !self.settled.contains(&owner.uid) && self.may_be_unread(&owner.kind) => {
                Rank::AfterUnread
            }
            None => Rank::Owned,
        };
        member.owners.iter().map(after).max().map_or(member.rank, |rank| rank.max(member.rank))
    }

    /// Tells whether an object of this kind may be among those that can't be read. From a kind to
    /// its resource no rule leads that is always right, so the ending does not count: `Policy` is
    /// stored under `policies`.
    fn may_be_unread(&self, kind: &Arc<str>) -> bool {
        let kind = kind.to_ascii_lowercase();
        let mut stem = kind.chars();
        stem.next_back();
        self.unread.iter().any(|resource| {
            let plural = resource.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            !stem.as_str().is_empty() && plural.starts_with(stem.as_str().as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(name: &str, uid: u64, owners: &[(u64, &str)], rank: Rank) -> Later {
        let key = Key::from(name);
        Later {
            wanted: Wanted {
                primary_key: key.clone(),
                standby_key: key,
                expect: None,
                value: None,
                judged: true,
                tied: false,
            },
            uid: (uid > 0).then_some(uid),
            owners: owners
                .iter()
                .map(|(uid, kind)| Owner { uid: *uid, kind: (*kind).into() })
                .collect(),
            created: PrimaryRevision::new(1),
            rank,
        }
    }

    fn released(all: bool, unread: &[&str], later: Vec<Later>) -> (Vec<String>, Vec<String>) {
        let settled = BTreeSet::from([1]);
        let unread = unread.iter().map(|resource| resource.as_bytes().into()).collect();
        let Released { wanted, orphans, .. } =
            release(later, &Known { settled: &settled, all, pinned: true, unread: &unread });
        let tie = |wanted: &Wanted| if wanted.tied { "+" } else { "" };
        (
            wanted.iter().map(|wanted| format!("{}{}", tie(wanted), wanted.standby_key)).collect(),
            orphans.iter().map(|orphan| orphan.key.to_string()).collect(),
        )
    }

    #[test]
    fn owned_objects_go_before_those_that_can_not_be_read_and_definitions_last() {
        let all = vec![
            later("definition", 9, &[], Rank::Last),
            later("sealed", 0, &[], Rank::Unread),
            later("below", 3, &[(2, "Two")], Rank::Owned),
            later("two", 2, &[(1, "One")], Rank::Owned),
        ];
        let (wanted, orphans) = released(true, &[], all);
        assert_eq!(wanted, ["two", "below", "sealed", "definition"]);
        assert!(orphans.is_empty());
    }

    #[test]
    fn nothing_goes_before_its_owner_whatever_its_rank() {
        let all = vec![
            later("definition", 9, &[], Rank::Last),
            later("owned by it", 3, &[(9, "CustomResourceDefinition")], Rank::Owned),
        ];
        assert_eq!(released(true, &[], all).0, ["definition", "owned by it"]);
    }

    #[test]
    fn who_will_have_no_owner_is_set_apart_and_so_is_what_it_owns() {
        let all = || {
            vec![
                later("orphan", 2, &[(77, "Gone")], Rank::Owned),
                later("its own", 3, &[(2, "Orphan")], Rank::Owned),
                later("half", 4, &[(77, "Gone"), (1, "One")], Rank::Owned),
            ]
        };
        let (wanted, orphans) = released(true, &[], all());
        assert_eq!(
            (wanted, orphans),
            (vec!["half".into()], vec!["orphan".into(), "its own".into()])
        );
        // Where not everything was seen, nobody can say that an owner is not there.
        assert_eq!(released(false, &[], all()).0.len(), 3);
    }

    #[test]
    fn an_owner_that_may_be_among_the_unread_is_waited_for() {
        let all = vec![
            later("owned by a secret", 2, &[(77, "Secret")], Rank::Owned),
            later("below", 3, &[(2, "Any")], Rank::Owned),
            later("sealed", 0, &[], Rank::Unread),
            later("owned by a policy", 4, &[(78, "Policy")], Rank::Owned),
        ];
        let (wanted, orphans) = released(true, &["secrets", "example.io/policies"], all);
        assert_eq!(wanted.first().map(String::as_str), Some("sealed"));
        assert_eq!((wanted.len(), orphans.len()), (4, 0));
    }

    #[test]
    fn a_circle_goes_together_although_nobody_outside_owns_it() {
        let all =
            vec![later("a", 2, &[(3, "B")], Rank::Owned), later("b", 3, &[(2, "A")], Rank::Owned)];
        assert_eq!(released(true, &[], all), (vec!["a".into(), "+b".into()], Vec::new()));
    }
}
