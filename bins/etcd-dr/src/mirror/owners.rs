//! Whether the standby's collector would find an owner of every mirrored object.

use std::collections::{BTreeMap, BTreeSet};

use dr_plan::Answer;
use dr_plan::plan::Side;
use etcd_mvcc::{Entry, Failure, Key, KeyRange, ReadHead as _, StandbyRevision, Walk, WalkLimits};
use keyspace_filter::Scope;
use kube_meta::{Format, skim};
use xxhash_rust::xxh3::xxh3_64;

use super::Etcds;
use super::words::{fails, holds, unknown, unread};

/// Objects that wait for one owner of a set.
#[derive(Debug)]
struct Waiting {
    count: u64,
    /// One of them, and one of its owners.
    shown: (Key, String),
}

/// What was seen of a keyspace: 8 bytes for each object, and what hangs on owners that were not
/// seen yet, grouped by those.
#[derive(Debug, Default)]
struct Seen {
    uids: BTreeSet<u64>,
    /// Names of encrypted objects, whose uids can't be read.
    sealed: BTreeSet<u64>,
    waiting: BTreeMap<Vec<u64>, (Waiting, BTreeSet<u64>)>,
    owned: u64,
}

impl Seen {
    fn note(&mut self, scope: &Scope, entry: &Entry<StandbyRevision>) {
        let meta = skim(entry.value.expose());
        let name = entry.key.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if matches!(meta.format(), Format::Encrypted(_)) {
            self.sealed.insert(xxh3_64(name));
        }
        if let Some(uid) = meta.uid() {
            self.uids.insert(xxh3_64(uid.as_bytes()));
        }
        if !scope.admits_standby(entry.key.as_bytes()) || meta.is_deleting() {
            return;
        }
        let mut owners: Vec<u64> =
            meta.owners().map(|owner| xxh3_64(owner.uid.as_bytes())).collect();
        if owners.is_empty() {
            return;
        }
        self.owned += 1;
        owners.sort_unstable();
        if owners.iter().any(|owner| self.uids.contains(owner)) {
            return;
        }
        let names = || meta.owners().map(|owner| xxh3_64(owner.name.as_bytes())).collect();
        let first = || {
            let owner = meta.owners().next();
            owner.map(|owner| format!("{} {}", Key::from(owner.kind), Key::from(owner.name)))
        };
        let (waiting, _) = self.waiting.entry(owners).or_insert_with(|| {
            let shown = (entry.key.clone(), first().unwrap_or_default());
            (Waiting { count: 0, shown }, names())
        });
        waiting.count += 1;
    }

    /// Says what has no owner. An owner whose name is that of an encrypted object is taken to be
    /// that object.
    fn judge(mut self) -> Answer {
        self.waiting.retain(|owners, (_, names)| {
            !owners.iter().any(|owner| self.uids.contains(owner)) && names.is_disjoint(&self.sealed)
        });
        let orphans: u64 = self.waiting.values().map(|(waiting, _)| waiting.count).sum();
        let Some((Waiting { shown: (key, owner), .. }, _)) = self.waiting.into_values().next()
        else {
            return holds(format!(
                "{} mirrored objects have owners, each one that lives",
                self.owned
            ));
        };
        fails(format!("{orphans} mirrored objects have no owner that lives; {key} wants {owner}"))
    }
}

impl Etcds {
    /// Whether every mirrored object that has owners has one that lives on the standby.
    pub(super) async fn owners_live(&self) -> Answer {
        // Of what a mirror with other rules writes, this knows nothing.
        if let Ok(checkpoint) = self.checkpoint().await
            && let Some(other) = self.other_scope(&checkpoint)
        {
            return unknown(other);
        }
        match self.seen().await {
            Ok(seen) => seen.judge(),
            Err(failure) => unread(&self.cluster(Side::Standby).name, &failure),
        }
    }

    async fn seen(&self) -> Result<Seen, Failure> {
        let at = self.standby.head().await?.revision;
        let mut seen = Seen::default();
        let mut walk = Walk::new(&[KeyRange::all()], WalkLimits::default(), false);
        while let Some(page) = walk.next_page(&self.standby, Some(at)).await? {
            page.entries.iter().for_each(|entry| seen.note(&self.scope, entry));
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use dr_plan::Verdict;
    use etcd_mvcc::{Revision as _, Value};
    use keyspace_filter::ScopeSpec;
    use serde_json::json;

    use super::*;

    fn object(key: &str, uid: &str, owner: Option<&str>) -> Entry<StandbyRevision> {
        let owners: Vec<_> = owner
            .map(|uid| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid }))
            .into_iter()
            .collect();
        let value = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "n", "uid": uid, "ownerReferences": owners },
        });
        let at = StandbyRevision::new(1);
        let value = Value::from(value.to_string().into_bytes());
        Entry { key: Key::from(key), value, created: at, modified: at, version: 1, lease: 0 }
    }

    fn judged(entries: &[Entry<StandbyRevision>]) -> Answer {
        let scope = Scope::compile(ScopeSpec::default()).unwrap();
        let mut seen = Seen::default();
        entries.iter().for_each(|entry| seen.note(&scope, entry));
        seen.judge()
    }

    #[test]
    fn an_owner_may_come_after_what_it_owns_and_lie_out_of_scope() {
        let answer = judged(&[
            object("/registry/configmaps/team/a", "u-a", Some("u-z")),
            object("/registry/configmaps/kube-system/z", "u-z", None),
        ]);
        assert_eq!(answer.verdict, Verdict::Holds, "{}", answer.evidence);
    }

    #[test]
    fn what_has_no_owner_that_lives_is_counted_and_one_is_named() {
        let answer = judged(&[
            object("/registry/configmaps/team/a", "u-a", Some("gone")),
            object("/registry/configmaps/team/b", "u-b", Some("gone")),
            // Nobody mirrors it, so it is not ours to judge.
            object("/registry/configmaps/kube-system/c", "u-c", Some("gone")),
        ]);
        assert_eq!(answer.verdict, Verdict::Fails);
        assert!(answer.evidence.starts_with("2 mirrored objects"), "{}", answer.evidence);
        assert!(answer.evidence.contains("/team/a wants ConfigMap o"), "{}", answer.evidence);
    }
}
