//! In which order parked objects are released.

use std::collections::BTreeMap;

use etcd_mvcc::{Entry, Key, Revision as _, StandbyRevision};
use keyspace_filter::{Scope, Turn};

use super::kin::{Kin, Kinds, Owner};
use super::levels::{Node, in_order};

/// An object that is parked, without its value.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    /// Where it is parked.
    pub(crate) key: Key,
    /// Its own place.
    pub(crate) own_place: Key,
    /// The bytes of its value.
    pub(crate) bytes: usize,
    /// The hash of its uid, if it can be read.
    pub(crate) uid: Option<u64>,
    /// The hashes of its owners' uids.
    pub(crate) owners: Box<[u64]>,
    created: i64,
    class: Class,
}

/// When an object goes, whatever its level: in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// What everything else leans on.
    First,
    /// What can be read.
    Read,
    /// What can't: nobody knows who owns it.
    Unread,
    /// Definitions: the standby's collector judges no kind that it does not know.
    Last,
}

impl Parked {
    /// Notes what the order needs to know; `None` if the key is none that a rule holds.
    pub(crate) fn new(
        scope: &Scope,
        kinds: &mut Kinds,
        entry: &Entry<StandbyRevision>,
    ) -> Option<Self> {
        let own_place = scope.primary_key(&entry.key)?;
        let kin = Kin::read(&entry.value, false, kinds);
        let class = match scope.turn(own_place.as_bytes()) {
            Turn::First => Class::First,
            Turn::Last => Class::Last,
            Turn::Usual if kin.readable || !scope.is_kubernetes() => Class::Read,
            Turn::Usual => Class::Unread,
        };
        Some(Self {
            key: entry.key.clone(),
            own_place,
            bytes: entry.value.len(),
            uid: kin.uid,
            owners: kin.owners.iter().flat_map(Owner::hashes).collect(),
            created: entry.created.get(),
            class,
        })
    }
}

/// Puts objects in order, owners before their dependents, in groups that belong together.
pub(crate) fn release_order(objects: Vec<Parked>) -> Vec<Vec<Parked>> {
    let nodes: Vec<Node<'_>> = objects
        .iter()
        .map(|object| Node { uid: object.uid, owners: &object.owners, created: object.created })
        .collect();
    let groups = in_order(&nodes);
    let mut waiting: Vec<Option<Parked>> = objects.into_iter().map(Some).collect();
    let mut classes: BTreeMap<u64, Class> = BTreeMap::new();
    let mut classed = Vec::new();
    for group in groups {
        let members: Vec<Parked> =
            group.into_iter().filter_map(|at| waiting.get_mut(at)?.take()).collect();
        // Nothing goes before its owners, which are in the groups before.
        let owners = members.iter().flat_map(|member| member.owners.iter());
        let after = owners.filter_map(|owner| classes.get(owner).copied());
        let class = members.iter().map(|member| member.class).chain(after).max();
        let Some(class) = class else { continue };
        classes.extend(members.iter().filter_map(|member| Some((member.uid?, class))));
        classed.push((class, members));
    }
    classed.sort_by_key(|(class, _)| *class);
    classed.into_iter().map(|(_, members)| members).collect()
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Value;
    use keyspace_filter::{Action, RuleSpec, ScopeSpec, parked_prefix};

    use super::*;

    fn order(objects: &[(&str, &str, &[&str])]) -> Vec<String> {
        let rule = RuleSpec {
            prefix: Some("/registry/".to_owned()),
            ..RuleSpec::new(Action::HoldUntilPromote)
        };
        let parked_prefix = Some(parked_prefix("m"));
        let spec = ScopeSpec { rules: vec![rule], parked_prefix, ..ScopeSpec::default() };
        let scope = Scope::compile(spec).unwrap();
        let mut kinds = Kinds::default();
        let parked = objects.iter().enumerate().map(|(at, (place, uid, owners))| {
            let owners: Vec<_> =
                owners.iter().map(|uid| format!(r#"{{"kind":"K","uid":"{uid}"}}"#)).collect();
            let owners = owners.join(",");
            let value = match *uid {
                "" => "k8s:enc:aescbc:v1:key1:x".to_owned(),
                uid => format!(r#"{{"metadata":{{"uid":"{uid}","ownerReferences":[{owners}]}}}}"#),
            };
            let entry = Entry {
                key: Key::from(format!("/etcd-sync/m/parked/registry/{place}")),
                value: Value::from(value.as_str()),
                created: StandbyRevision::new(100 - i64::try_from(at).unwrap()),
                modified: StandbyRevision::new(200),
                version: 1,
                lease: 0,
            };
            Parked::new(&scope, &mut kinds, &entry).unwrap()
        });
        let groups = release_order(parked.collect());
        let group = |group: Vec<Parked>| {
            let keys: Vec<String> = group.iter().map(|one| one.own_place.to_string()).collect();
            keys.join(" + ").replace("/registry/", "")
        };
        groups.into_iter().map(group).collect()
    }

    #[test]
    fn owners_go_first_accounts_before_them_definitions_last() {
        let definition = "apiextensions.k8s.io/customresourcedefinitions/x";
        let objects: &[(&str, &str, &[&str])] = &[
            (definition, "d", &[]),
            ("a.io/below/n/b", "b", &["m"]),
            ("secrets/n/sealed", "", &[]),
            ("a.io/machines/n/m", "m", &["c", "elsewhere"]),
            ("z.io/clusters/n/c", "c", &[]),
            ("serviceaccounts/n/s", "s", &[]),
        ];
        let expected = [
            "serviceaccounts/n/s",
            "z.io/clusters/n/c",
            "a.io/machines/n/m",
            "a.io/below/n/b",
            "secrets/n/sealed",
            definition,
        ];
        assert_eq!(order(objects), expected);
    }

    #[test]
    fn nothing_goes_before_its_owner_and_who_own_each_other_go_together() {
        let objects: &[(&str, &str, &[&str])] = &[
            ("serviceaccounts/n/s", "s", &["a"]),
            ("a.io/as/n/a", "a", &["b"]),
            ("b.io/bs/n/b", "b", &["a"]),
        ];
        assert_eq!(order(objects), ["b.io/bs/n/b + a.io/as/n/a", "serviceaccounts/n/s"]);
    }
}
