//! The model against a store so plain that it can't be wrong: a whole copy per revision.

use std::collections::BTreeMap;

use etcd_mvcc::{
    Change, ClusterId, Commit, Entry, Expect, FailureClass, Guard, Key, KeyRange, Op, PageRequest,
    Revision, StandbyRevision, Txn, Value, Write,
};
use etcd_sim::ModelEtcd;
use proptest::prelude::*;

type Model = ModelEtcd<StandbyRevision>;
type State = BTreeMap<Key, Entry<StandbyRevision>>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    DeleteRange(u8, u8),
    Commit { guard: Option<(u8, Wish)>, writes: Vec<(u8, Option<u8>, Option<Wish>)>, own: Vec<u8> },
    Compact(u8),
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Absent,
    Newest,
    Wrong,
}

fn step() -> impl Strategy<Value = Step> {
    let wish =
        prop_oneof![1 => Just(Wish::Absent), 3 => Just(Wish::Newest), 1 => Just(Wish::Wrong)];
    let write = (0u8..8, prop::option::of(any::<u8>()), prop::option::of(wish.clone()));
    let commit = (
        prop::option::of((0u8..8, wish)),
        prop::collection::vec(write, 0..5),
        prop::collection::vec(8u8..11, 0..3),
    );
    prop_oneof![
        4 => (0u8..8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (0u8..8).prop_map(Step::Delete),
        1 => (0u8..8, 0u8..8).prop_map(|(a, b)| Step::DeleteRange(a.min(b), a.max(b))),
        5 => commit.prop_map(|(guard, writes, own)| Step::Commit { guard, writes, own }),
        1 => any::<u8>().prop_map(Step::Compact),
    ]
}

fn key(raw: u8) -> Key {
    Key::from(vec![b'a' + raw])
}

/// One copy of everything per revision, the first at revision 1.
struct Oracle {
    states: Vec<State>,
}

impl Oracle {
    fn newest(&self) -> &State {
        self.states.last().unwrap()
    }

    fn expect(&self, raw: u8, wish: Wish) -> Expect {
        match (wish, self.newest().get(&key(raw))) {
            (Wish::Absent, _) | (Wish::Newest, None) => Expect::Absent,
            (Wish::Newest, Some(entry)) => Expect::ModifiedAt(entry.modified),
            (Wish::Wrong, _) => Expect::ModifiedAt(StandbyRevision::new(9_999)),
        }
    }

    fn holds(&self, key: &Key, expect: Expect) -> bool {
        match expect {
            Expect::Absent => !self.newest().contains_key(key),
            Expect::ModifiedAt(at) => self.newest().get(key).is_some_and(|e| e.modified == at),
        }
    }

    /// Applies these writes as one revision, if one of them changes anything.
    fn apply(&mut self, ops: &[Op]) {
        let modified = StandbyRevision::new(self.states.len() as i64 + 1);
        let mut state = self.newest().clone();
        let mut changed = false;
        for op in ops {
            match op {
                Op::Put { key, value } => {
                    let old = state.get(key);
                    let (created, version) =
                        old.map_or((modified, 1), |old| (old.created, old.version + 1));
                    let (key, value) = (key.clone(), value.clone());
                    let entry =
                        Entry { key: key.clone(), value, created, modified, version, lease: 0 };
                    state.insert(key, entry);
                    changed = true;
                }
                Op::Delete { key } => changed |= state.remove(key).is_some(),
            }
        }
        if changed {
            self.states.push(state);
        }
    }

    fn commit(&mut self, txn: &Txn) -> Option<Vec<usize>> {
        if !txn.guard.0.iter().all(|(key, expect)| self.holds(key, *expect)) {
            return None;
        }
        let met = |write: &Write| write.expect.is_none_or(|e| self.holds(write.op.key(), e));
        let (kept, skipped): (Vec<_>, Vec<_>) =
            txn.writes.iter().enumerate().partition(|(_, write)| met(write));
        let ops: Vec<_> =
            kept.into_iter().map(|(_, w)| w.op.clone()).chain(txn.own.iter().cloned()).collect();
        self.apply(&ops);
        Some(skipped.into_iter().map(|(index, _)| index).collect())
    }
}

fn run(step: &Step, model: &mut Model, oracle: &mut Oracle) {
    let put = |raw, value: u8| Op::Put { key: key(raw), value: Value::from(vec![value]) };
    match step {
        Step::Put(raw, value) => {
            model.put(key(*raw), vec![*value]).unwrap();
            oracle.apply(&[put(*raw, *value)]);
        }
        Step::Delete(raw) => {
            model.delete(key(*raw)).unwrap();
            oracle.apply(&[Op::Delete { key: key(*raw) }]);
        }
        Step::DeleteRange(from, to) => {
            model.delete_range(&KeyRange::new(key(*from), key(*to))).unwrap();
            let ops: Vec<_> = (*from..*to).map(|raw| Op::Delete { key: key(raw) }).collect();
            oracle.apply(&ops);
        }
        Step::Commit { guard, writes, own } => {
            let guard = guard.map(|(raw, wish)| (key(raw), oracle.expect(raw, wish)));
            let mut by_key = BTreeMap::new();
            for (raw, value, wish) in writes {
                let op = value.map_or(Op::Delete { key: key(*raw) }, |value| put(*raw, value));
                by_key.insert(raw, Write { op, expect: wish.map(|w| oracle.expect(*raw, w)) });
            }
            let own: BTreeMap<_, _> = own.iter().map(|raw| (raw, put(*raw, 0))).collect();
            let txn = Txn {
                guard: Guard(guard.into_iter().collect()),
                writes: by_key.into_values().collect(),
                own: own.into_values().collect(),
            };
            let skipped = match model.commit(&txn).unwrap() {
                Commit::Done(committed) => Some(committed.skipped),
                Commit::Refused => None,
            };
            assert_eq!(skipped, oracle.commit(&txn));
        }
        Step::Compact(at) => {
            let at = StandbyRevision::new(i64::from(*at % 16));
            let allowed = model.compacted().is_none_or(|c| at > c) && at <= model.revision();
            assert_eq!(model.compact(at).is_ok(), allowed);
        }
    }
    assert_eq!(model.revision().get(), oracle.states.len() as i64);
}

fn read_all(
    model: &Model,
    at: StandbyRevision,
    limit: usize,
) -> Result<Vec<Entry<StandbyRevision>>, FailureClass> {
    let mut request = PageRequest { range: KeyRange::all(), at: Some(at), limit, keys_only: false };
    let mut entries = Vec::new();
    loop {
        let page = model.read_page(&request).map_err(|failure| failure.class)?;
        assert!(page.entries.len() <= limit);
        assert_eq!(page.more, page.count > page.entries.len() as u64);
        entries.extend(page.entries);
        if !page.more {
            return Ok(entries);
        }
        request.range = KeyRange::from_key(entries.last().unwrap().key.successor());
    }
}

fn replay(state: &mut State, changes: Vec<Change<StandbyRevision>>) {
    for change in changes {
        match change {
            Change::Put(entry) => {
                state.insert(entry.key.clone(), entry);
            }
            Change::Delete { key, .. } => assert!(state.remove(&key).is_some(), "{key}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_readable_revision_holds_what_was_written_and_no_other_is_readable(
        steps in prop::collection::vec(step(), 0..25),
        limit in 1usize..6,
    ) {
        let mut model = Model::new(ClusterId::new(1));
        let mut oracle = Oracle { states: vec![State::new()] };
        for step in &steps {
            run(step, &mut model, &mut oracle);
        }
        for (index, state) in oracle.states.iter().enumerate() {
            let at = StandbyRevision::new(index as i64 + 1);
            let expected: Vec<_> = state.values().cloned().collect();
            prop_assert_eq!(&model.truth_at(&KeyRange::all(), at), &expected);
            let compacted = model.compacted().is_some_and(|compacted| at < compacted);
            let expected = if compacted { Err(FailureClass::Resync) } else { Ok(expected) };
            prop_assert_eq!(read_all(&model, at, limit), expected);
        }
        let future = model.revision().next();
        prop_assert_eq!(read_all(&model, future, limit), Err(FailureClass::Retry));
    }

    #[test]
    fn a_watch_from_any_revision_replays_to_every_later_state(
        steps in prop::collection::vec(step(), 0..25),
        from in 1usize..12,
    ) {
        let mut model = Model::new(ClusterId::new(1));
        let mut oracle = Oracle { states: vec![State::new()] };
        for step in &steps {
            run(step, &mut model, &mut oracle);
        }
        let revision = StandbyRevision::new(from as i64 + 1);
        if model.compacted().is_some_and(|compacted| revision < compacted) {
            let failure = model.events_since(&KeyRange::all(), revision).unwrap_err();
            prop_assert_eq!(failure.class, FailureClass::Resync);
        } else if let Some(before) = oracle.states.get(from - 1) {
            let mut state = before.clone();
            let groups = model.events_since(&KeyRange::all(), revision).unwrap();
            prop_assert_eq!(groups.len(), oracle.states.len() - from);
            for (group, after) in groups.into_iter().zip(&oracle.states[from..]) {
                replay(&mut state, group.changes);
                prop_assert_eq!(&state, after);
            }
        }
    }
}
