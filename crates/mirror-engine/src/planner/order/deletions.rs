//! Keys to delete: dependents before their owners.

use etcd_mvcc::{Entry, Expect, Key, Op, StandbyRevision, Write};

use super::kin::{Kin, Kinds};
use super::levels::{Node, in_order};

/// What a guarded deletion takes in a request beside its key, which it names twice.
const DELETION_BYTES: usize = 48;

/// Keys of the standby that wait to be deleted.
///
/// A live standby deletes for itself what has lost its owner, finalizers and all; it is spared the
/// work. Where the values were not read, what was made last goes first: the mirror makes owners
/// before their dependents.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    keys: Vec<Doomed>,
    kinds: Kinds,
    /// The keys are in order, the last one to go first.
    sorted: bool,
}

#[derive(Debug)]
struct Doomed {
    key: Key,
    modified: StandbyRevision,
    created: i64,
    uid: Option<u64>,
    owners: Box<[u64]>,
}

impl Deletions {
    /// Adds a key of the standby, with its value if that was read.
    pub(crate) fn push(&mut self, entry: Entry<StandbyRevision>) {
        use etcd_mvcc::Revision as _;

        let kin = Kin::read(&entry.value, false, &mut self.kinds);
        self.keys.push(Doomed {
            key: entry.key,
            modified: entry.modified,
            created: entry.created.get(),
            uid: kin.uid,
            owners: kin.owners.iter().map(|owner| owner.uid).collect(),
        });
        self.sorted = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the next ones, at most so many and within so many bytes, but always one, unless
    /// somebody else has written them since.
    pub(crate) fn take(&mut self, most: usize, room: usize) -> Vec<Write> {
        self.sort();
        let mut left = room;
        let fitting = self.keys.iter().rev().take(most).take_while(|doomed| {
            let rest = left.checked_sub(DELETION_BYTES + 2 * doomed.key.len());
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        let from = self.keys.len().saturating_sub(fitting.count().max(1));
        let taken = self.keys.drain(from..).rev().map(|Doomed { key, modified, .. }| Write {
            op: Op::Delete { key },
            expect: Some(Expect::ModifiedAt(modified)),
        });
        taken.collect()
    }

    fn sort(&mut self) {
        if std::mem::replace(&mut self.sorted, true) {
            return;
        }
        let nodes: Vec<Node<'_>> = self
            .keys
            .iter()
            .map(|Doomed { uid, owners, created, .. }| Node {
                uid: *uid,
                owners,
                created: *created,
            })
            .collect();
        let order: Vec<usize> = in_order(&nodes).into_iter().flatten().collect();
        let mut places = vec![0; self.keys.len()];
        for (place, at) in order.into_iter().enumerate() {
            if let Some(slot) = places.get_mut(at) {
                *slot = place;
            }
        }
        let mut keys: Vec<_> = places.into_iter().zip(std::mem::take(&mut self.keys)).collect();
        keys.sort_unstable_by_key(|(place, _)| *place);
        self.keys = keys.into_iter().map(|(_, doomed)| doomed).collect();
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Revision as _, Value};

    use super::*;

    fn entry(name: &str, created: i64, owner: Option<&str>) -> Entry<StandbyRevision> {
        let owners = owner.map_or(String::new(), |owner| {
            format!(r#","ownerReferences":[{{"kind":"K","name":"{owner}","uid":"uid-{owner}"}}]"#)
        });
        let value =
            format!(r#"{{"kind":"K","metadata":{{"name":"{name}","uid":"uid-{name}"{owners}}}}}"#);
        Entry {
            key: Key::from(name),
            value: Value::from(value.as_str()),
            created: StandbyRevision::new(created),
            modified: StandbyRevision::new(created),
            version: 1,
            lease: 0,
        }
    }

    fn taken(mut deletions: Deletions, most: usize) -> Vec<String> {
        let mut names = Vec::new();
        while !deletions.is_empty() {
            names.extend(
                deletions.take(most, usize::MAX).iter().map(|write| write.op.key().to_string()),
            );
        }
        names
    }

    #[test]
    fn dependents_go_first_whoever_was_made_first() {
        let mut deletions = Deletions::default();
        deletions.push(entry("owner", 9, None));
        deletions.push(entry("dependent", 3, Some("owner")));
        deletions.push(entry("below", 5, Some("dependent")));
        deletions.push(entry("else", 4, None));
        assert_eq!(taken(deletions, 3), ["below", "dependent", "owner", "else"]);
    }

    #[test]
    fn without_values_what_was_made_last_goes_first() {
        let mut deletions = Deletions::default();
        for created in [2, 7, 4] {
            let bare = Entry { value: Value::default(), ..entry("", created, None) };
            deletions.push(Entry { key: Key::from(format!("{created}")), ..bare });
        }
        assert_eq!(taken(deletions, 2), ["7", "4", "2"]);
    }
}
