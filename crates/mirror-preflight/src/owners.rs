//! Objects whose owners will all not be there: the standby's garbage collector would delete them.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::Key;
use keyspace_filter::grammar::ObjectKey;
use kube_meta::{Format, Owner};

use crate::findings::Findings;
use crate::places::Places;
use crate::report::GateReport;
use crate::seen::{Held, Offered};
use crate::{Gate, hashes};

/// Keeps dependents by the owners that they name, until it is known which of those come along.
#[derive(Debug)]
pub(crate) struct Owners {
    shown_max: usize,
    /// Dependents, by the hash of all owners that they name.
    waiting: BTreeMap<u64, Dependents>,
    /// Uids of the primary's objects that stay there; sorted when they are asked for.
    left: Vec<u64>,
    /// Objects in scope of which the uid can't be read: whoever names one of them may be owned.
    sealed: BTreeSet<u64>,
    /// Owners that do not come along, and whether the standby has them all the same.
    sought: BTreeMap<u64, bool>,
}

/// Dependents that name the same owners.
#[derive(Debug)]
struct Dependents {
    owners: Vec<u64>,
    count: u64,
    /// Some of them, with a word about their first owner.
    shown: Vec<(Key, String)>,
    /// Their names, by which an owner may be found whose uid can't be read.
    names: Vec<u64>,
}

impl Owners {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self {
            shown_max,
            waiting: BTreeMap::new(),
            left: Vec::new(),
            sealed: BTreeSet::new(),
            sought: BTreeMap::new(),
        }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>) {
        if seen.place.is_none() {
            self.left.extend(seen.meta.uid().map(hashes::uid));
            return;
        }
        let Some(object) = &seen.object else { return };
        if let Format::Encrypted(_) = seen.meta.format() {
            let namespace = object.namespace.unwrap_or_default();
            self.sealed.insert(hashes::named(namespace, object.name));
        }
        // The garbage collector takes no notice of events.
        if object.resource != b"events" {
            self.wait(seen, object);
        }
    }

    fn wait(&mut self, seen: &Offered<'_>, object: &ObjectKey<'_>) {
        let mut owners: Vec<u64> = seen.meta.owners().map(|owner| hashes::uid(owner.uid)).collect();
        if owners.is_empty() {
            return;
        }
        owners.sort_unstable();
        let mut group = hashes::named(object.namespace.unwrap_or_default(), b"");
        for owner in &owners {
            group = hashes::content(group, &owner.to_le_bytes());
        }
        let names = || {
            let namespaces = [object.namespace.unwrap_or_default(), b""];
            let owners = seen.meta.owners();
            owners
                .flat_map(|owner| {
                    namespaces.map(|within| hashes::named(within, owner.name.as_bytes()))
                })
                .collect()
        };
        let dependents = self.waiting.entry(group).or_insert_with(|| Dependents {
            owners,
            count: 0,
            shown: Vec::new(),
            names: names(),
        });
        dependents.count += 1;
        if dependents.shown.len() < self.shown_max
            && let Some(owner) = seen.meta.owners().next()
        {
            dependents.shown.push((seen.key.clone(), described(&owner)));
        }
    }

    /// Lets go of everything that has an owner which comes along, or may.
    pub(crate) fn all_offered(&mut self, places: &Places) {
        let sealed = std::mem::take(&mut self.sealed);
        self.waiting.retain(|_, dependents| {
            !dependents.owners.iter().any(|owner| places.has_uid(*owner))
                && !dependents.names.iter().any(|name| sealed.contains(name))
        });
        let owners = self.waiting.values().flat_map(|dependents| &dependents.owners);
        self.sought = owners.map(|owner| (*owner, false)).collect();
        self.left.retain(|uid| self.sought.contains_key(uid));
        self.left.sort_unstable();
    }

    pub(crate) fn hold(&mut self, seen: &Held<'_>) {
        if !seen.stays() || self.sought.is_empty() {
            return;
        }
        let uid = seen.meta.uid().map(hashes::uid);
        if let Some(here) = uid.and_then(|uid| self.sought.get_mut(&uid)) {
            *here = true;
        }
    }

    pub(crate) fn judge(self) -> GateReport {
        let here = |owner: &u64| self.sought.get(owner).copied().unwrap_or_default();
        let mut findings = Findings::new(self.shown_max);
        for dependents in self.waiting.into_values() {
            if dependents.owners.iter().any(here) {
                continue;
            }
            let left = dependents.owners.iter().any(|uid| self.left.binary_search(uid).is_ok());
            let why = if left { "stays local" } else { "was not found on the primary" };
            findings.count_more(dependents.count - dependents.shown.len() as u64);
            for (key, owner) in dependents.shown {
                findings.add(&key, || format!("its owner {owner} {why}"));
            }
        }
        if findings.count() == 0 {
            return GateReport::passed(Gate::Owners, "every owner in scope comes along");
        }
        GateReport::found(
            Gate::Owners,
            findings,
            "their owners stay local or do not exist, so the standby's garbage collector would \
             delete them; the mirror holds them back",
            "mirror the owners too (--rules), or leave these objects local",
        )
    }
}

fn described(owner: &Owner<'_>) -> String {
    let name = Key::from(owner.name);
    format!("{} {name}", Key::from(owner.kind))
}
