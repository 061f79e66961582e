//! Keys of both sides under which the standby has another object: the primary's replaces it, and
//! with it the uid that others name.

use std::collections::BTreeMap;

use etcd_mvcc::Key;

use crate::findings::Findings;
use crate::hashes::NO_UID;
use crate::report::GateReport;
use crate::seen::{Held, is_of, is_rebuilt};
use crate::{Gate, hashes};

/// How many dependents one finding names.
const DEPENDENTS_SHOWN_MAX: usize = 3;

/// Keeps what is replaced, and what stays and names an owner.
#[derive(Debug)]
pub(crate) struct Uids {
    /// The keys whose uid changes, by the uid that goes.
    changed: BTreeMap<u64, Key>,
    /// What stays, by the uids that it names as owners.
    dependents: BTreeMap<u64, Dependents>,
    swaps: Findings,
    shown_max: usize,
}

#[derive(Debug, Default)]
struct Dependents {
    count: u64,
    shown: Vec<Key>,
}

impl Uids {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self {
            changed: BTreeMap::new(),
            dependents: BTreeMap::new(),
            swaps: Findings::new(shown_max),
            shown_max,
        }
    }

    pub(crate) fn hold(&mut self, seen: &Held<'_>) {
        match seen.replaced_by {
            Some(NO_UID) => {}
            Some(new) => {
                let old = seen.meta.uid().map(hashes::uid).filter(|old| *old != new);
                if let Some(old) = old {
                    self.swap(seen);
                    self.changed.insert(old, seen.key.clone());
                }
            }
            None if is_rebuilt(seen.object.as_ref()) => {}
            None => {
                for owner in seen.meta.owners() {
                    let dependents = self.dependents.entry(hashes::uid(owner.uid)).or_default();
                    dependents.count += 1;
                    if dependents.shown.len() < DEPENDENTS_SHOWN_MAX {
                        dependents.shown.push(seen.key.clone());
                    }
                }
            }
        }
    }

    fn swap(&mut self, seen: &Held<'_>) {
        let object = seen.object.as_ref();
        if is_of(object, b"serviceaccounts") {
            self.swaps.add(seen.key, || "pods here with its token are refused from then on".into());
        } else if is_of(object, b"apiextensions.k8s.io/customresourcedefinitions") {
            self.swaps.add(seen.key, || "watches on its resources here start anew".into());
        }
    }

    /// Returns `uid-change` and `uid-swaps`.
    pub(crate) fn judge(self) -> [GateReport; 2] {
        let mut findings = Findings::new(self.shown_max);
        for (uid, key) in &self.changed {
            let Some(dependents) = self.dependents.get(uid) else { continue };
            findings.add(key, || {
                let shown: Vec<String> = dependents.shown.iter().map(Key::to_string).collect();
                let more = dependents.count - shown.len() as u64;
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "its uid changes, and these stay local and name it as owner: {}{more}",
                    shown.join(", ")
                )
            });
        }
        let change = if findings.count() == 0 {
            GateReport::passed(
                Gate::UidChange,
                format!(
                    "{} keys get another uid, and nothing local hangs on them",
                    self.changed.len()
                ),
            )
        } else {
            GateReport::found(
                Gate::UidChange,
                findings,
                "the standby's garbage collector would delete its own objects, at the latest when \
                 its controller manager restarts",
                "leave these keys local (--rules), or remove the owner references of the objects \
                 that name them; or --allow uid-change, if those objects may go",
            )
        };
        let swaps = if self.swaps.count() == 0 {
            GateReport::passed(Gate::UidSwaps, "no service account or definition gets another uid")
        } else {
            GateReport::found(
                Gate::UidSwaps,
                self.swaps,
                "these service accounts and resource definitions get another uid",
                "after the first copy, restart what runs on the standby in mirrored namespaces",
            )
        };
        [change, swaps]
    }
}
