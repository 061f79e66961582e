//! Operators who order repairs, strangers who give them a reason to, and the judge of what comes
//! of it.

use std::collections::{BTreeMap, BTreeSet};

use etcd_mvcc::{Key, KeyRange, Op, PrimaryRevision, Revision, StandbyRevision, Txn, Value};
use etcd_sim::{Mutation, SimEtcd};
use keyspace_filter::{Preset, Scope, ScopeSpec};
use mirror_engine::{
    Control, Desired, RepairDifference, RepairDigest, RepairFinding, RepairKind, RepairKinds,
    RepairOrder, RepairOutcome, RepairPlan, RepairPlanError, RepairRecord, Surplus, repair_plan,
};

use crate::world::World;

/// What strangers did to keys that the primary may have, and the mirror has not undone.
#[derive(Default)]
pub(crate) struct Tampered {
    /// Keys that a stranger was the last to write or to delete, and when.
    last: BTreeMap<Key, Touched>,
    /// Keys that a stranger made, and that neither the mirror nor the primary has written since:
    /// what the primary has is not others', whoever made it on the standby.
    strange: BTreeSet<Key>,
}

/// When a stranger wrote.
#[derive(Clone, Copy, Debug)]
struct Touched {
    at: StandbyRevision,
    /// How far the primary was.
    since: PrimaryRevision,
}

impl Tampered {
    /// Keys that a stranger was the last to write or to delete, and how far the primary was.
    pub(crate) fn last_writes(&self) -> impl Iterator<Item = (&Key, PrimaryRevision)> {
        self.last.iter().map(|(key, touched)| (key, touched.since))
    }

    /// When a stranger was the last to write or to delete the key.
    fn last_at(&self, key: &Key) -> Option<&StandbyRevision> {
        self.last.get(key).map(|touched| &touched.at)
    }

    pub(crate) fn mirror_wrote(&mut self, key: &Key) {
        self.last.remove(key);
        self.strange.remove(key);
    }

    pub(crate) fn primary_wrote(&mut self, key: &Key) {
        self.strange.remove(key);
    }

    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.last.contains_key(key)
    }

    pub(crate) fn is_strange(&self, key: &Key) -> bool {
        self.strange.contains(key)
    }
}

/// A plan that an operator has seen.
#[derive(Clone)]
pub(crate) struct Seen {
    kinds: RepairKinds,
    digest: RepairDigest,
    keys: BTreeSet<(RepairKind, Key)>,
}

/// What the operators know, and what became of their orders.
#[derive(Default)]
pub(crate) struct Operator {
    plans: Vec<Seen>,
    orders: BTreeMap<u64, Seen>,
    accounts: BTreeMap<u64, Account>,
}

/// What one order has led to.
#[derive(Default)]
struct Account {
    outcome: Option<RepairOutcome>,
    mended: BTreeSet<Key>,
}

/// How many orders came to what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) keys: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.keys += other.keys;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

impl Operator {
    /// The newest order has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.orders.last_key_value().is_none_or(|(id, _)| {
            let outcome = self.accounts.get(id).and_then(|account| account.outcome.as_ref());
            outcome.is_some_and(RepairOutcome::is_final)
        })
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for account in self.accounts.values() {
            tally.keys += account.mended.len() as u64;
            match account.outcome {
                Some(RepairOutcome::Done) => tally.done += 1,
                Some(RepairOutcome::Refused) => tally.refused += 1,
                Some(RepairOutcome::Failed) => tally.failed += 1,
                Some(RepairOutcome::Begun(_)) | None => {}
            }
        }
        tally
    }
}

impl World {
    /// Somebody else writes or deletes a key that the primary may have.
    pub(crate) fn tamper(&mut self) {
        let key = Key::from(format!("/d/{:02}", self.rng.below(20)));
        let key = self.placed(&key);
        let there = self.standby.get(key.as_bytes()).is_some();
        if there && self.rng.below(2) == 0 {
            self.tamper_delete(&key);
        } else {
            let value = format!("theirs {}", self.rng.below(1_000));
            self.tamper_put(&key, &value);
        }
    }

    pub(crate) fn tamper_put(&mut self, key: &Key, value: &str) {
        let source = self.scope.primary_spelling(key).unwrap();
        if self.standby.get(key.as_bytes()).is_none()
            && self.primary.get(source.as_bytes()).is_none()
        {
            self.tampered.strange.insert(key.clone());
        }
        let revision = self.standby.put(key.clone(), value).unwrap();
        self.note(|| format!("a stranger put {key} at {revision}"));
        self.touched(key, revision);
    }

    fn touched(&mut self, key: &Key, at: StandbyRevision) {
        let since = self.primary.revision();
        self.tampered.last.insert(key.clone(), Touched { at, since });
    }

    pub(crate) fn tamper_delete(&mut self, key: &Key) {
        let revision = self.standby.delete(key.clone()).unwrap().revision;
        self.note(|| format!("a stranger deleted {key} at {revision}"));
        self.touched(key, revision);
        self.tampered.strange.remove(key);
    }

    /// The operator has another filter than the mirror.
    pub(crate) fn narrow_scope(&mut self) {
        let spec = ScopeSpec {
            preset: Preset::None,
            prefixes: vec!["/d/0".into()],
            ..ScopeSpec::default()
        };
        self.scope = Scope::compile(spec).unwrap();
    }

    /// The primary writes all of this in one revision.
    pub(crate) fn write_at_once(&mut self, entries: &[(String, String)]) {
        let put = |(key, value): &(String, String)| {
            Mutation::put(Key::from(key.as_str()), Value::from(value.as_str()))
        };
        let mutations: Vec<_> = entries.iter().map(put).collect();
        self.primary.write(&mutations).unwrap();
    }

    /// What an operator is shown. Nothing in it waits for anything.
    pub(crate) fn plan_repair(
        &self,
        kinds: RepairKinds,
    ) -> Result<(RepairPlan, Vec<RepairDifference>), RepairPlanError> {
        let primary = SimEtcd::of(self.primary.clone());
        let standby = SimEtcd::of(self.standby.clone());
        let mut shown = Vec::new();
        let show = |finding| match finding {
            RepairFinding::StartedOver => shown.clear(),
            RepairFinding::Differs(difference) => shown.push(difference),
        };
        // Whoever waits there waits for the mirror, which has no time: it passes at once.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let plan =
            runtime.block_on(repair_plan(&primary, &standby, &self.scope, "m", kinds, show))?;
        Ok((plan, shown))
    }

    /// An operator looks, and remembers.
    pub(crate) fn see_plan(&mut self, kinds: RepairKinds) -> Option<(RepairPlan, Seen)> {
        let (plan, shown) = self.plan_repair(kinds).ok()?;
        let keys = shown.into_iter().map(|found| (found.kind, found.key)).collect();
        Some((plan, Seen { kinds, digest: plan.digest, keys }))
    }

    pub(crate) fn order(&mut self, seen: Seen) -> u64 {
        let id = self.operator.orders.last_key_value().map_or(0, |(id, _)| *id) + 1;
        let order = RepairOrder { id, kinds: seen.kinds, digest: seen.digest };
        self.note(|| format!("order {id}: {} {:?}", seen.digest, seen.keys));
        self.operator.orders.insert(id, seen);
        self.change_control(|control| control.repair = Some(order));
        id
    }

    /// An operator orders what the plan says today, or what another one said some time ago.
    pub(crate) fn order_some_repair(&mut self) {
        let kinds = match self.rng.below(5) {
            0 => RepairKinds::named(&[RepairKind::Missed]),
            1 => RepairKinds::named(&[RepairKind::Different]),
            2 => RepairKinds::named(&[RepairKind::Surplus]),
            3 => RepairKinds { surplus: Surplus::All, ..RepairKinds::default() },
            _ => RepairKinds::default(),
        };
        let Some((_, seen)) = self.see_plan(kinds) else { return };
        self.operator.plans.push(seen);
        let plans = &self.operator.plans;
        let at = match self.rng.below(4) {
            0 => self.rng.below(plans.len() as u64) as usize,
            _ => plans.len() - 1,
        };
        let seen = plans[at].clone();
        self.order(seen);
    }

    pub(crate) fn change_control(&mut self, change: impl FnOnce(&mut Control)) {
        let stored = self.standby.get(self.own.control.as_bytes());
        let mut control =
            stored.map(|entry| Control::decode(&entry.value).unwrap()).unwrap_or_default();
        change(&mut control);
        self.standby.put(self.own.control.clone(), control.encode()).unwrap();
    }

    pub(crate) fn pause_or_resume(&mut self) {
        self.change_control(|control| {
            control.desired = match control.desired {
                Desired::Run => Desired::Pause,
                Desired::Pause | Desired::Promoted => Desired::Run,
            };
        });
    }

    pub(crate) fn resume(&mut self) {
        let stored = self.standby.get(self.own.control.as_bytes());
        if stored.is_some_and(|entry| {
            Control::decode(&entry.value).is_ok_and(|control| control.desired != Desired::Run)
        }) {
            self.pause_or_resume();
        }
    }

    /// Judges the account of a repair, before the strangers' traces that it wipes out are gone.
    pub(crate) fn judge_repair(&mut self, txn: &Txn, writes: &[&Op]) {
        let account = txn.own.iter().find_map(|op| match op {
            Op::Put { key, value } if *key == self.own.repair => Some(value),
            _ => None,
        });
        let Some(record) = account.map(|value| RepairRecord::decode(value).unwrap()) else {
            return;
        };
        self.note(|| format!("order {}: {:?}", record.order, record.outcome));
        let order = &self.operator.orders[&record.order];
        assert_eq!((record.digest, record.kinds), (order.digest, order.kinds));
        for op in writes {
            self.invariant_only_what_was_accepted_is_written(&record, op);
            self.invariant_what_was_written_since_is_left_alone(&record, op);
        }
        let order = self.operator.accounts.entry(record.order).or_default();
        invariant_an_order_is_carried_out_at_most_once(order, &record, writes);
        order.outcome = Some(record.outcome.clone());
        if record.outcome == RepairOutcome::Done {
            self.invariant_what_was_asked_for_is_mended(&record);
        }
        if record.kinds.surplus == Surplus::All {
            for op in writes.iter().filter(|op| matches!(op, Op::Delete { .. })) {
                self.foreign.remove(op.key());
            }
        }
    }

    /// Every write of a repair was in the plan that was accepted, and is the primary's state.
    fn invariant_only_what_was_accepted_is_written(&self, record: &RepairRecord, op: &Op) {
        let accepted = &self.operator.orders[&record.order].keys;
        let key = op.key();
        let range = KeyRange::single(&self.scope.primary_spelling(key).unwrap());
        let primary = self.primary.truth_at(&range, record.revision).into_iter().next();
        match op {
            Op::Put { value, .. } => {
                let known = [RepairKind::Missed, RepairKind::Different]
                    .iter()
                    .any(|kind| accepted.contains(&(*kind, key.clone())));
                assert!(known, "{key} was written, and nobody had accepted that");
                assert_eq!(primary.map(|entry| entry.value).as_ref(), Some(value), "{key}");
            }
            Op::Delete { .. } => {
                let known = accepted.contains(&(RepairKind::Surplus, key.clone()));
                assert!(known, "{key} was deleted, and nobody had accepted that");
                assert_eq!(primary, None, "{key}");
                let strange = self.tampered.is_strange(key) || self.foreign.contains_key(key);
                assert!(
                    record.kinds.surplus == Surplus::All || !strange,
                    "{key} is another's, and nobody has named surplus"
                );
            }
        }
    }

    /// What a stranger wrote after the comparison is not overwritten and not deleted. (A key that was
    /// missed is missed as before if it came and went meanwhile.)
    fn invariant_what_was_written_since_is_left_alone(&self, record: &RepairRecord, op: &Op) {
        let before = self.standby.revision().previous();
        if self.standby.truth_at(&KeyRange::single(op.key()), before).is_empty() {
            return;
        }
        let last = self.tampered.last_at(op.key()).or_else(|| self.foreign.get(op.key()));
        let since = last.filter(|at| **at > record.standby_revision);
        assert_eq!(since, None, "{} was written since it was compared", op.key());
    }

    /// No difference of the kinds asked for is left, but those that strangers made since.
    fn invariant_what_was_asked_for_is_mended(&self, record: &RepairRecord) {
        let RepairRecord { planned, written, skipped, .. } = record;
        assert_eq!(written.total() + skipped, planned.total(), "{record:?}");
        let primary = self.primary_in_scope(record.revision);
        let standby = self.standby_in_scope(self.standby.revision());
        for key in primary.keys().chain(standby.keys()) {
            let asked = match (primary.get(key), standby.get(key)) {
                (Some(_), None) => record.kinds.missed,
                (Some(a), Some(b)) => record.kinds.different && a != b,
                (None, Some(_)) => record.kinds.surplus == Surplus::All,
                (None, None) => false,
            };
            let last = self.tampered.last_at(key).or_else(|| self.foreign.get(key));
            let since = last.is_some_and(|at| *at > record.standby_revision);
            assert!(!asked || since, "{key} is not mended: {record:?}");
        }
    }
}

fn invariant_an_order_is_carried_out_at_most_once(
    account: &mut Account,
    record: &RepairRecord,
    writes: &[&Op],
) {
    let begun = account.outcome.is_some();
    let closed = account.outcome.as_ref().is_some_and(RepairOutcome::is_final);
    assert!(!closed, "order {} was closed, and is {:?} again", record.order, record.outcome);
    if record.outcome.is_final() {
        assert!(writes.is_empty(), "the account was closed with data");
    }
    match record.outcome {
        RepairOutcome::Refused => assert!(!begun, "order {} had begun", record.order),
        RepairOutcome::Failed => assert!(begun, "order {} had not begun", record.order),
        RepairOutcome::Begun(_) | RepairOutcome::Done => {}
    }
    for op in writes {
        assert!(account.mended.insert(op.key().clone()), "{} was mended twice", op.key());
    }
}
