//! How many keys there are of what, in memory that does not grow with them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use etcd_mvcc::Key;
use keyspace_filter::grammar::{ObjectKey, Shape};

/// The most groups that are told apart. More resources or namespaces than any cluster has.
const GROUPS_MAX: usize = 10_000;
/// Names longer than this, in bytes, get no group of their own: no resource and no namespace has
/// one, and together they would hold more memory than a plan may.
const NAME_BYTES_MAX: usize = 1_024;

/// Keys, and how much they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Keys.
    pub keys: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
}

/// What of one group is in scope, and what stays local.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCount {
    /// In scope.
    pub in_scope: Amount,
    /// Read, and not in scope.
    pub local: Amount,
}

/// What the keys of a group have in common. `Display` sets all but a name in brackets, which no
/// resource and no namespace has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GroupName {
    /// The resource or the namespace of this name.
    Named(Key),
    /// Objects without a namespace.
    ClusterScoped,
    /// Keys that are spelt as no Kubernetes object is.
    NoObject,
    /// Everything beyond the groups that are told apart.
    Others,
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{name}"),
            Self::ClusterScoped => f.write_str("(cluster-scoped)"),
            Self::NoObject => f.write_str("(no object)"),
            Self::Others => f.write_str("(others)"),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, more: Self) {
        self.keys += more.keys;
        self.bytes += more.bytes;
    }
}

impl GroupCount {
    /// Returns how much there is, in scope or not.
    #[must_use]
    pub fn total(&self) -> Amount {
        let mut total = self.in_scope;
        total += self.local;
        total
    }

    pub(crate) fn add(&mut self, admitted: bool, amount: Amount) {
        match admitted {
            true => self.in_scope += amount,
            false => self.local += amount,
        }
    }
}

/// Counts by one part of the keys.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<GroupName, GroupCount>);

impl Tally {
    /// Counts a key into the group of its resource.
    pub(crate) fn by_resource(&mut self, shape: &Shape<'_>, admitted: bool, amount: Amount) {
        self.add(shape, |object| Some(object.resource), admitted, amount);
    }

    /// Counts a key into the group of its namespace; a Namespace object belongs to itself.
    pub(crate) fn by_namespace(&mut self, shape: &Shape<'_>, admitted: bool, amount: Amount) {
        self.add(shape, |object| object.namespace, admitted, amount);
    }

    /// Returns the groups, those with the most keys first.
    pub(crate) fn largest_first(self) -> Vec<(GroupName, GroupCount)> {
        let mut groups: Vec<_> = self.0.into_iter().collect();
        // A stable sort: groups of one size stay in the order of their names.
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(count.total().keys));
        groups
    }

    fn add<'k>(
        &mut self,
        shape: &Shape<'k>,
        part: impl Fn(&ObjectKey<'k>) -> Option<&'k [u8]>,
        admitted: bool,
        amount: Amount,
    ) {
        let name = match shape {
            Shape::Object(object) => match part(object) {
                Some(name) if name.len() > NAME_BYTES_MAX => GroupName::Others,
                Some(name) => GroupName::Named(Key::from(name.to_vec())),
                None => GroupName::ClusterScoped,
            },
            Shape::Unknown | Shape::Outside => GroupName::NoObject,
        };
        if let Some(count) = self.0.get_mut(&name) {
            count.add(admitted, amount);
            return;
        }
        let full = self.0.len() >= GROUPS_MAX && matches!(name, GroupName::Named(_));
        let name = if full { GroupName::Others } else { name };
        self.0.entry(name).or_default().add(admitted, amount);
    }
}

#[cfg(test)]
mod tests {
    use keyspace_filter::grammar::Grammar;

    use super::*;

    const ONE: Amount = Amount { keys: 1, bytes: 10 };

    fn counted(keys: &[&str]) -> (Vec<String>, Vec<String>) {
        let grammar = Grammar::default();
        let (mut resources, mut namespaces) = (Tally::default(), Tally::default());
        for key in keys {
            let shape = grammar.parse(key.as_bytes());
            resources.by_resource(&shape, true, ONE);
            namespaces.by_namespace(&shape, false, ONE);
        }
        let told = |(name, count): (GroupName, GroupCount)| {
            format!("{name} {} {}", count.in_scope.keys, count.local.bytes)
        };
        let lines = |tally: Tally| tally.largest_first().into_iter().map(told).collect();
        (lines(resources), lines(namespaces))
    }

    #[test]
    fn every_key_is_counted_once_and_the_largest_group_is_told_first() {
        let (resources, namespaces) = counted(&[
            "/registry/secrets/team/a",
            "/registry/secrets/team/b",
            "/registry/secrets/other/a",
            "/registry/namespaces/team",
            "/registry/storageclasses/default",
            "/registry/services/specs/other/s",
            "/registry/of/unknown/shape/here",
            "compact_rev_key",
        ]);
        assert_eq!(
            resources,
            [
                "secrets 3 0",
                "(no object) 2 0",
                "namespaces 1 0",
                "services/specs 1 0",
                "storageclasses 1 0"
            ]
        );
        assert_eq!(
            namespaces,
            ["team 0 30", "other 0 20", "(no object) 0 20", "(cluster-scoped) 0 10"]
        );
    }

    #[test]
    fn memory_is_bounded_and_no_key_is_lost() {
        let grammar = Grammar::default();
        let mut tally = Tally::default();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let names = (0..GROUPS_MAX + 5).map(|number| format!("ns-{number}")).chain([long]);
        let total = names.map(|name| {
            let key = format!("/registry/secrets/{name}/s");
            tally.by_namespace(&grammar.parse(key.as_bytes()), true, ONE);
        });
        let total = total.count() as u64;
        tally.by_namespace(&Shape::Outside, true, ONE);
        let groups = tally.largest_first();
        assert_eq!(groups.len(), GROUPS_MAX + 2);
        assert_eq!(
            groups[0],
            (
                GroupName::Others,
                GroupCount { in_scope: Amount { keys: 6, bytes: 60 }, ..GroupCount::default() }
            )
        );
        assert_eq!(groups.iter().map(|(_, count)| count.total().keys).sum::<u64>(), total + 1);
    }
}
