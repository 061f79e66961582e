use etcd_mvcc::{Head, KeyRange, Value, distinct};
use etcd_sim::{ModelEtcd, SimPrimary, SimStandby};

use super::*;

const PRIMARY: ClusterId = ClusterId::new(1);
const STANDBY: ClusterId = ClusterId::new(2);

fn at(revision: i64) -> PrimaryRevision {
    PrimaryRevision::new(revision)
}

fn witness(key: &str, modified: i64) -> Witness {
    Witness {
        key: Key::from(key),
        modified: at(modified),
        created: Some(at(modified)),
        fingerprint: Some(Value::from("v").fingerprint()),
    }
}

fn entry(key: &str, created: i64, modified: i64, value: &str) -> Option<Entry<PrimaryRevision>> {
    let (key, value) = (Key::from(key), Value::from(value));
    Some(Entry { key, value, created: at(created), modified: at(modified), version: 1, lease: 0 })
}

fn checkpoint(revision: i64, witnesses: Vec<Witness>) -> Checkpoint {
    Checkpoint {
        cluster: PRIMARY,
        standby: Some(STANDBY),
        raft: Some(RaftSeen {
            term: 3,
            index: revision.unsigned_abs() + 10,
            revision: at(revision),
        }),
        revision: at(revision),
        witnesses,
        ..Checkpoint::default()
    }
}

fn position(revision: i64, term: u64, index: u64) -> Position<PrimaryRevision> {
    let raft = RaftPosition { term, index_before: index, index_after: index };
    let head = Head { cluster: PRIMARY, revision: at(revision) };
    Position { head, raft: Some(raft), db: None }
}

fn guard_of(result: Result<Inquiry, Refutation>) -> GuardKind {
    result.unwrap_err().guard
}

#[test]
fn ids_refute_before_anything_is_asked() {
    let stored = checkpoint(5, vec![witness("a", 5)]);
    let here = position(9, 3, 30);
    assert!(Inquiry::open(&stored, None, &here, STANDBY).is_ok());
    let other = Inquiry::open(&stored, None, &here, ClusterId::new(9));
    assert_eq!(guard_of(other), GuardKind::StandbyChanged);
    let elsewhere = Checkpoint { cluster: ClusterId::new(9), ..stored };
    let other = Inquiry::open(&elsewhere, None, &here, STANDBY);
    assert_eq!(guard_of(other), GuardKind::ClusterChanged);
}

#[test]
fn neither_revision_nor_log_goes_back_and_a_revision_takes_an_entry() {
    let stored = checkpoint(100, Vec::new());
    for (revision, term, index) in [
        (99, 3, 200),        // the revision
        (100, 2, 200),       // the term
        (100, 3, 109),       // the entries
        (1_000_000, 3, 500), // a bumped revision
    ] {
        let result = Inquiry::open(&stored, None, &position(revision, term, index), STANDBY);
        assert_eq!(guard_of(result), GuardKind::HistoryChanged, "{revision} {term} {index}");
    }
    assert!(Inquiry::open(&stored, None, &position(100, 3, 110), STANDBY).is_ok());
    assert!(Inquiry::open(&stored, None, &position(190, 7, 200), STANDBY).is_ok());
}

/// The judgement over the one witness `a`, made at revision 5 of a checkpoint of revision 8.
fn judged(found: Option<Entry<PrimaryRevision>>, readable: bool) -> Judgement {
    let stored = checkpoint(8, vec![witness("a", 5)]);
    let mut inquiry = Inquiry::open(&stored, None, &position(20, 3, 40), STANDBY).unwrap();
    assert_eq!(inquiry.question().unwrap().at, Some(at(8)));
    if !readable {
        let compacted = Failure::new(FailureClass::Resync, "compacted");
        assert_eq!(inquiry.answer(Err(compacted)).unwrap(), None);
        assert_eq!(inquiry.question().unwrap().at, None);
    }
    inquiry.answer(Ok(vec![found])).unwrap().unwrap()
}

fn proof(judgement: Judgement) -> Proof {
    let Judgement::Proven(proof) = judgement else { panic!("{judgement:?}") };
    proof
}

fn is_refuted(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Refuted(_))
}

#[test]
fn at_the_checkpoint_a_witness_must_be_exactly_as_it_was() {
    let proven = proof(judged(entry("a", 5, 5, "v"), true));
    assert!(proven.exact && proven.readable);
    for found in [entry("a", 5, 5, "w"), entry("a", 4, 4, "v"), entry("a", 5, 7, "w"), None] {
        assert!(is_refuted(&judged(found.clone(), true)), "{found:?}");
    }
}

#[test]
fn today_a_witness_may_have_moved_on_but_not_back_nor_unseen() {
    for found in [entry("a", 5, 5, "v"), entry("a", 5, 9, "w"), entry("a", 9, 9, "w"), None] {
        let proven = proof(judged(found.clone(), false));
        assert!(!proven.exact && !proven.readable, "{found:?}");
    }
    for found in [
        entry("a", 5, 5, "w"), // the same write with another value
        entry("a", 4, 4, "v"), // older than it was
        entry("a", 5, 7, "w"), // changed at a revision of which every change is known
        entry("a", 7, 9, "w"), // made anew at one
        entry("a", 4, 9, "w"), // made by another write than it was
    ] {
        assert!(is_refuted(&judged(found.clone(), false)), "{found:?}");
    }
}

#[test]
fn a_key_that_was_deleted_and_is_back_from_before_refutes() {
    let deleted = Witness { created: None, fingerprint: None, ..witness("a", 5) };
    let stored = checkpoint(8, vec![deleted]);
    let judge = |found: Option<Entry<PrimaryRevision>>| {
        let mut inquiry = Inquiry::open(&stored, None, &position(20, 3, 40), STANDBY).unwrap();
        let compacted = Failure::new(FailureClass::Resync, "compacted");
        assert_eq!(inquiry.answer(Err(compacted)).unwrap(), None);
        inquiry.answer(Ok(vec![found])).unwrap().unwrap()
    };
    assert!(is_refuted(&judge(entry("a", 2, 3, "v"))));
    assert!(is_refuted(&judge(entry("a", 2, 12, "v"))), "it was made before it was deleted");
    assert!(!is_refuted(&judge(entry("a", 12, 12, "v"))));
    assert!(!is_refuted(&judge(None)));
}

#[test]
fn without_a_log_only_the_newest_change_proves_a_compacted_checkpoint() {
    let old = |witnesses| Checkpoint { raft: None, ..checkpoint(8, witnesses) };
    let judge = |stored: Checkpoint, found: Vec<Option<Entry<PrimaryRevision>>>| {
        let mut inquiry = Inquiry::open(&stored, None, &position(20, 3, 40), STANDBY).unwrap();
        let compacted = Failure::new(FailureClass::Resync, "compacted");
        assert_eq!(inquiry.answer(Err(compacted)).unwrap(), None);
        inquiry.answer(Ok(found)).unwrap().unwrap()
    };
    assert!(proof(judge(old(vec![witness("a", 8)]), vec![entry("a", 8, 8, "v")])).exact);
    for found in [None, entry("a", 5, 5, "v"), entry("a", 5, 12, "v")] {
        let judgement = judge(old(vec![witness("a", 5)]), vec![found]);
        assert!(matches!(judgement, Judgement::Undecided(_)), "{judgement:?}");
    }
    let unasked = Inquiry::open(&old(Vec::new()), None, &position(20, 3, 40), STANDBY).unwrap();
    assert_eq!(unasked.question(), None);
    assert!(matches!(unasked.unasked(), Judgement::Undecided(_)));
}

/// Plays a life of the model into a book, as a mirror that follows does.
fn book_of(model: &ModelEtcd<PrimaryRevision>) -> WitnessBook {
    let mut book = WitnessBook::default();
    for change in model.history().iter().flat_map(|group| &group.changes) {
        book.note(Witness::from(change));
    }
    book.through = model.revision();
    book
}

#[test]
fn the_book_holds_the_newest_of_each_kind_and_some_from_far_back() {
    let mut model = ModelEtcd::new(PRIMARY);
    for n in 0..2_000 {
        model.put(format!("/made/{n}").as_str(), "v").unwrap();
        model.put(format!("/changed/{}", n % 100).as_str(), format!("{n}").as_str()).unwrap();
        if n > 50 && n % 10 == 0 {
            model.delete(format!("/made/{}", n - 50).as_str()).unwrap();
        }
    }
    let book = book_of(&model);
    let (first, last) = (book.witnesses().map(|w| w.modified).min(), book.newest());
    assert_eq!(last, model.revision());
    assert!(first.unwrap() < at(600), "the oldest is of revision {first:?}");
    assert!(book.witnesses().count() <= 3 * 24 + 16);
    assert!(book.witnesses().any(|w| w.fingerprint.is_none()));
    assert_eq!(
        WitnessBook::decode(&book.encode()).unwrap().witnesses().count(),
        book.witnesses().count()
    );
}

#[test]
fn a_longer_key_bears_no_witness() {
    let mut book = WitnessBook::default();
    book.note(witness(&"k".repeat(WITNESS_KEY_MAX + 1), 5));
    assert_eq!(book.witnesses().count(), 0);
    let mut kept = Vec::new();
    note(&mut kept, witness(&"k".repeat(WITNESS_KEY_MAX + 1), 5));
    assert!(kept.is_empty());
}

#[test]
fn a_copy_of_the_data_directory_is_refuted_by_a_changed_key_that_is_older_than_it_was() {
    let mut model = ModelEtcd::new(PRIMARY);
    for n in 0..100 {
        model.put(format!("/k/{n}").as_str(), "old").unwrap();
    }
    let copy = model.snapshot();
    for n in 0..65 {
        model.put(format!("/k/{n}").as_str(), "new").unwrap();
    }
    for n in 0..20 {
        model.put(format!("/new/{n}").as_str(), "new").unwrap();
    }
    let (book, position) = (book_of(&model), model.position());
    let raft = position.raft.unwrap();
    let stored = Checkpoint {
        raft: Some(RaftSeen {
            term: raft.term,
            index: raft.index_before,
            revision: position.head.revision,
        }),
        ..checkpoint(model.revision().get(), Vec::new())
    };
    model.revert(copy);
    for n in 0..500 {
        model.put(format!("/else/{n}").as_str(), "x").unwrap();
    }
    model.compact(model.revision()).unwrap();
    let mut inquiry = Inquiry::open(&stored, Some(&book), &model.position(), STANDBY).unwrap();
    let mut judgement = None;
    while let (None, Some(Question { keys, at })) = (&judgement, inquiry.question()) {
        judgement = inquiry.answer(model.read_keys(&keys, at)).unwrap();
    }
    assert!(is_refuted(&judgement.unwrap()));
}

const ID: ClusterId = ClusterId::new(7);

fn told_apart(primary: &SimPrimary, standby: &SimStandby) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(distinct(primary, standby, &KeyRange::all())).unwrap().is_ok()
}

#[test]
fn clusters_made_alike_are_told_apart_by_what_they_went_through() {
    let (primary, standby) = (SimPrimary::new(ID), SimStandby::new(ID));
    assert!(!told_apart(&primary, &standby), "nothing differs");
    primary.with(|model| model.put("/a", "1")).unwrap();
    assert!(told_apart(&primary, &standby), "the revisions differ");
    standby.with(|model| model.put("/b", "1")).unwrap();
    assert!(told_apart(&primary, &standby), "the keys differ");
    let other = SimStandby::new(ID);
    other.with(|model| model.put("/a", "1")).unwrap();
    assert!(!told_apart(&primary, &other));
    other.with(ModelEtcd::elect);
    assert!(told_apart(&primary, &other), "the terms differ");
}

#[test]
fn clusters_with_ids_of_their_own_are_two() {
    assert!(told_apart(&SimPrimary::new(ID), &SimStandby::new(ClusterId::new(8))));
}
