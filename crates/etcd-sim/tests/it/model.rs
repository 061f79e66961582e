//! What etcd does, case by case.

use etcd_mvcc::{
    Change, ClusterId, Commit, Committed, Expect, FailureClass, Guard, Key, KeyRange, Op,
    PageRequest, PrimaryRevision, Revision, StandbyRevision, Txn, Value, Write,
};
use etcd_sim::{Condition, ModelEtcd, Mutation, Quirks};

fn primary() -> ModelEtcd<PrimaryRevision> {
    ModelEtcd::new(ClusterId::new(1))
}

fn standby() -> ModelEtcd<StandbyRevision> {
    ModelEtcd::new(ClusterId::new(2))
}

fn at(raw: i64) -> PrimaryRevision {
    PrimaryRevision::new(raw)
}

fn put(key: &str, value: &str) -> Op {
    Op::Put { key: Key::from(key), value: Value::from(value) }
}

fn delete(key: &str) -> Op {
    Op::Delete { key: Key::from(key) }
}

fn txn(guard: &[(&str, Expect)], writes: Vec<Write>, own: Vec<Op>) -> Txn {
    let guard = guard.iter().map(|(key, expect)| (Key::from(*key), *expect)).collect();
    Txn { guard: Guard(guard), writes, own }
}

fn done(revision: i64, skipped: &[usize]) -> Commit {
    let revision = StandbyRevision::new(revision);
    Commit::Done(Committed { revision, skipped: skipped.to_vec() })
}

#[test]
fn an_empty_store_is_at_revision_one_and_its_first_write_makes_two() {
    let mut etcd = primary();
    assert_eq!(etcd.revision(), at(1));
    assert_eq!(etcd.put("a", "1"), Ok(at(2)));
}

#[test]
fn deleting_nothing_makes_no_revision_and_putting_the_same_value_does() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    assert_eq!(etcd.delete("b").unwrap().revision, at(2));
    assert_eq!(etcd.delete_range(&KeyRange::prefix(b"b")).unwrap().deleted, 0);
    assert_eq!(etcd.write(&[]).unwrap().revision, at(2));
    assert_eq!(etcd.put("a", "1"), Ok(at(3)));
}

#[test]
fn a_key_that_is_made_again_begins_a_new_life() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    etcd.put("a", "2").unwrap();
    let entry = etcd.get(b"a").unwrap();
    assert_eq!((entry.created, entry.modified, entry.version), (at(2), at(3), 2));
    assert_eq!(etcd.delete("a").unwrap().deleted, 1);
    assert_eq!(etcd.get(b"a"), None);
    etcd.put("a", "3").unwrap();
    let entry = etcd.get(b"a").unwrap();
    assert_eq!((entry.created, entry.modified, entry.version), (at(5), at(5), 1));
}

#[test]
fn a_put_beside_another_write_of_its_key_is_refused_and_two_deletions_are_not() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    let twice = [Mutation::put("a", "2"), Mutation::put("a", "3")];
    assert_eq!(etcd.write(&twice).unwrap_err().class, FailureClass::Fatal);
    let inside = [Mutation::DeleteRange(KeyRange::prefix(b"a")), Mutation::put("ab", "2")];
    assert_eq!(etcd.write(&inside).unwrap_err().class, FailureClass::Fatal);
    assert_eq!(etcd.revision(), at(2));
    let deletions = [Mutation::delete("a"), Mutation::DeleteRange(KeyRange::all())];
    assert_eq!(etcd.write(&deletions).unwrap().deleted, 1);
    assert_eq!(etcd.history().last().unwrap().changes.len(), 1);
}

#[test]
fn a_transaction_whose_guard_fails_changes_nothing() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    let writes = [Mutation::put("b", "1"), Mutation::delete("a")];
    assert_eq!(etcd.txn(&[(Key::from("a"), Condition::Absent)], &writes), Ok(None));
    assert_eq!(etcd.txn(&[(Key::from("a"), Condition::ModifiedAt(at(1)))], &writes), Ok(None));
    assert_eq!(etcd.revision(), at(2));
    let guard =
        [(Key::from("a"), Condition::ModifiedAt(at(2))), (Key::from("b"), Condition::Absent)];
    assert_eq!(etcd.txn(&guard, &writes).unwrap().unwrap().revision, at(3));
    assert_eq!(etcd.history().last().unwrap().changes.len(), 2);
}

#[test]
fn a_page_is_cut_by_its_limit_and_counts_the_whole_range() {
    let mut etcd = primary();
    for key in ["a", "b", "c", "d"] {
        etcd.put(key, "value").unwrap();
    }
    let range = KeyRange::new(Key::from("a"), Key::from("d"));
    let mut request = PageRequest { range, at: None, limit: 2, keys_only: true };
    let page = etcd.read_page(&request).unwrap();
    assert_eq!((page.entries.len(), page.more, page.count, page.at), (2, true, 3, at(5)));
    assert!(page.entries[0].value.is_empty());
    (request.limit, request.at) = (3, Some(at(3)));
    let page = etcd.read_page(&request).unwrap();
    assert_eq!((page.entries.len(), page.more, page.count, page.at), (2, false, 2, at(3)));
    request.range = KeyRange::new(Key::from("c"), Key::from("a"));
    assert_eq!(etcd.read_page(&request).unwrap().count, 0);
}

#[test]
fn the_compaction_revision_is_readable_and_what_lies_before_it_is_not() {
    let mut etcd = primary();
    for value in ["1", "2", "3"] {
        etcd.put("a", value).unwrap();
    }
    etcd.compact(at(3)).unwrap();
    let read =
        |etcd: &ModelEtcd<_>, revision| etcd.read_keys(&[Key::from("a")], Some(at(revision)));
    assert_eq!(read(&etcd, 2).unwrap_err().class, FailureClass::Resync);
    assert_eq!(read(&etcd, 3).unwrap()[0].as_ref().unwrap().value, Value::from("2"));
    assert_eq!(read(&etcd, 5).unwrap_err().class, FailureClass::Retry);
    assert_eq!(etcd.compact(at(3)).unwrap_err().class, FailureClass::Resync);
    assert_eq!(etcd.compact(at(5)).unwrap_err().class, FailureClass::Retry);
    let value = |revision| etcd.truth_at(&KeyRange::all(), at(revision))[0].value.clone();
    assert_eq!(value(2), Value::from("1"), "the judge still sees it");
}

#[test]
fn a_watch_from_before_the_compaction_revision_is_refused_and_from_it_on_is_not() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    etcd.delete("a").unwrap();
    etcd.put("b", "1").unwrap();
    etcd.compact(at(3)).unwrap();
    let since = |etcd: &ModelEtcd<_>, from| etcd.events_since(&KeyRange::all(), at(from));
    assert_eq!(since(&etcd, 2).unwrap_err().class, FailureClass::Resync);
    let groups = since(&etcd, 3).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].changes, [Change::Delete { key: Key::from("a"), modified: at(3) }]);
    assert_eq!(since(&etcd, 99).unwrap(), []);

    let old = etcd.with_quirks(Quirks { loses_deletes_at_compaction: true });
    assert_eq!(since(&old, 3).unwrap().len(), 1, "an old etcd loses the deletion, silently");
}

#[test]
fn a_watch_sees_whole_revisions_of_its_range_only() {
    let mut etcd = primary();
    etcd.put("a1", "").unwrap();
    etcd.write(&[Mutation::put("a2", ""), Mutation::delete("a1"), Mutation::put("b", "")]).unwrap();
    etcd.put("b", "").unwrap();
    let groups = etcd.events_since(&KeyRange::prefix(b"a"), at(1)).unwrap();
    let shape: Vec<_> = groups.iter().map(|group| (group.revision, group.changes.len())).collect();
    assert_eq!(shape, [(at(2), 1), (at(3), 2)]);
}

#[test]
fn a_write_whose_expectation_is_not_met_is_left_out_alone() {
    let mut etcd = standby();
    etcd.put("a", "foreign").unwrap();
    let expect = |op, expect| Write { op, expect: Some(expect) };
    let writes = vec![
        expect(put("a", "ours"), Expect::Absent),
        put("b", "1").into(),
        expect(delete("a"), Expect::ModifiedAt(StandbyRevision::new(2))),
    ];
    let error = etcd.commit(&txn(&[], writes.clone(), vec![])).unwrap_err();
    assert_eq!(error.class, FailureClass::Fatal, "one key, written twice");
    let commit = etcd.commit(&txn(&[], writes[..2].to_vec(), vec![put("c", "")]));
    assert_eq!(commit, Ok(done(3, &[0])));
    assert_eq!(etcd.get(b"a").unwrap().value, Value::from("foreign"));
    assert_eq!(etcd.get(b"c").unwrap().modified, etcd.get(b"b").unwrap().modified);
}

#[test]
fn a_commit_that_changes_nothing_makes_no_revision() {
    let mut etcd = standby();
    etcd.put("a", "1").unwrap();
    let skipped = Write { op: put("a", "2"), expect: Some(Expect::Absent) };
    let commit = etcd.commit(&txn(&[("b", Expect::Absent)], vec![skipped], vec![delete("b")]));
    assert_eq!(commit, Ok(done(2, &[0])));
    assert_eq!(
        etcd.commit(&txn(&[("a", Expect::Absent)], vec![], vec![put("b", "")])),
        Ok(Commit::Refused)
    );
    assert_eq!(etcd.revision(), StandbyRevision::new(2));
}

#[test]
fn a_transaction_past_the_size_limit_is_refused_and_one_at_it_is_not() {
    let mut etcd = standby().with_request_bytes_max(10);
    let error = etcd.commit(&txn(&[], vec![put("a", "1234567890").into()], vec![])).unwrap_err();
    assert_eq!((error.class, error.outcome_unknown), (FailureClass::TooLarge, false));
    assert_eq!(etcd.put("a", "1234567890").unwrap_err().class, FailureClass::TooLarge);
    assert_eq!(
        etcd.commit(&txn(&[], vec![put("a", "123456789").into()], vec![])),
        Ok(done(2, &[]))
    );
}

#[test]
fn an_empty_key_is_refused() {
    let mut etcd = standby();
    assert!(etcd.put("", "1").is_err());
    assert!(etcd.delete("").is_err());
    assert!(etcd.read_keys(&[Key::from("")], None).is_err());
    assert!(etcd.commit(&txn(&[("", Expect::Absent)], vec![], vec![])).is_err());
    assert!(etcd.commit(&txn(&[], vec![], vec![put("", "")])).is_err());
}

#[test]
fn a_restored_copy_keeps_the_cluster_and_takes_the_history_back() {
    let mut etcd = primary();
    etcd.put("a", "1").unwrap();
    let snapshot = etcd.snapshot();
    etcd.put("a", "2").unwrap();
    let before = etcd.head();
    etcd.restore(snapshot);
    assert_eq!(etcd.head().cluster, before.cluster);
    assert_eq!(etcd.revision(), at(2));
    assert_eq!(etcd.put("a", "other"), Ok(before.revision), "another write, the same revision");
    etcd.wipe();
    assert_eq!((etcd.head().cluster, etcd.revision()), (before.cluster, at(1)));
    assert_eq!(etcd.incarnation(), 2);
}
