use etcd_client::proto::{PbKeyValue, PbResponseHeader};
use etcd_mvcc::PrimaryRevision;
use proptest::prelude::*;

use super::*;

fn event(revision: i64, key: &str) -> PbEvent {
    let kv = PbKeyValue {
        key: key.into(),
        mod_revision: revision,
        create_revision: revision,
        version: 1,
        ..PbKeyValue::default()
    };
    PbEvent { r#type: 0, kv: Some(kv), prev_kv: None }
}

fn answer(newest: i64, fragment: bool, events: &[(i64, &str)]) -> PbWatchResponse {
    PbWatchResponse {
        header: Some(PbResponseHeader { revision: newest, ..PbResponseHeader::default() }),
        fragment,
        events: events.iter().map(|(revision, key)| event(*revision, key)).collect(),
        ..PbWatchResponse::default()
    }
}

fn from(revision: i64) -> Assembler<PrimaryRevision> {
    Assembler::new(PrimaryRevision::new(revision))
}

/// The revisions told, with the number of their changes, and the position.
fn told(batch: Option<Batch<PrimaryRevision>>) -> Option<(Vec<(i64, usize)>, i64)> {
    batch.map(|batch| {
        let groups = batch.groups.iter().map(|it| (it.revision.get(), it.changes.len()));
        (groups.collect(), batch.position.get())
    })
}

#[test]
fn the_position_is_the_last_event_not_the_header() {
    let mut watch = from(2);
    let batch = watch.accept(answer(900, false, &[(2, "a"), (3, "b"), (3, "c")])).unwrap();
    assert_eq!(told(batch), Some((vec![(2, 1), (3, 2)], 3)));
}

#[test]
fn a_revision_split_over_fragments_is_told_whole() {
    let mut watch = from(2);
    let first = watch.accept(answer(9, true, &[(2, "a"), (3, "b")])).unwrap();
    assert_eq!(told(first), Some((vec![(2, 1)], 2)));
    let second = watch.accept(answer(9, true, &[(3, "c")])).unwrap();
    assert_eq!(told(second), None);
    let last = watch.accept(answer(9, false, &[(3, "d")])).unwrap();
    assert_eq!(told(last), Some((vec![(3, 3)], 3)));
}

#[test]
fn progress_moves_the_position_forward_only() {
    let mut watch = from(5);
    assert_eq!(told(watch.accept(answer(3, false, &[])).unwrap()), None);
    assert_eq!(told(watch.accept(answer(7, false, &[])).unwrap()), Some((vec![], 7)));
    assert_eq!(told(watch.accept(answer(6, false, &[])).unwrap()), None);
    assert_eq!(told(watch.accept(answer(7, false, &[(7, "late")])).unwrap()), None);
}

#[test]
fn events_before_the_start_and_repeated_ones_are_dropped() {
    let mut watch = from(5);
    let batch = watch.accept(answer(6, false, &[(4, "a"), (5, "b"), (6, "c")])).unwrap();
    assert_eq!(told(batch), Some((vec![(5, 1), (6, 1)], 6)));
    let again = watch.accept(answer(6, false, &[(5, "b"), (6, "c")])).unwrap();
    assert_eq!(told(again), None);
}

#[test]
fn a_watch_that_goes_back_in_time_is_ended() {
    let mut watch = from(2);
    assert!(watch.accept(answer(9, true, &[(7, "a"), (6, "b")])).is_err());
}

#[test]
fn of_a_key_written_twice_at_one_revision_the_last_is_told() {
    let mut watch = from(2);
    let batch = watch.accept(answer(9, false, &[(2, "a"), (2, "b"), (2, "a")])).unwrap().unwrap();
    let keys: Vec<_> = batch.groups[0].changes.iter().map(|it| it.key().to_string()).collect();
    assert_eq!(keys, ["b", "a"]);
}

#[test]
fn compaction_is_told_with_its_revision() {
    let mut compacted = answer(0, false, &[]);
    compacted.canceled = true;
    compacted.compact_revision = 12;
    let error = from(2).accept(compacted).unwrap_err();
    assert!(error.to_string().contains("required revision has been compacted up to 12"));
}

#[test]
fn an_unknown_kind_of_event_is_an_error() {
    let mut odd = answer(2, false, &[(2, "a")]);
    odd.events[0].r#type = 9;
    assert!(from(2).accept(odd).is_err());
}

proptest! {
    /// However a history is cut into answers and fragments, repeated and interleaved with progress,
    /// the same whole revisions are told, each once, ascending.
    #[test]
    fn every_cutting_tells_the_same_revisions(
        sizes in prop::collection::vec(1usize..4, 1..12),
        cuts in prop::collection::vec((any::<bool>(), any::<bool>()), 40),
        start in 1i64..8,
    ) {
        let history: Vec<(i64, String)> = (1i64..)
            .zip(&sizes)
            .flat_map(|(revision, &n)| (0..n).map(move |key| (revision, format!("k{key}"))))
            .collect();
        let newest = i64::try_from(sizes.len()).unwrap();
        let mut watch = from(start);
        let mut heard = Vec::new();
        let mut part: Vec<(i64, &str)> = Vec::new();
        for (index, (revision, key)) in history.iter().enumerate() {
            part.push((*revision, key));
            let whole = history.get(index + 1).is_none_or(|(next, _)| next != revision);
            let (cut, fragment) = cuts[index % cuts.len()];
            let last = index + 1 == history.len();
            if cut || last {
                let fragment = !whole || (fragment && !last);
                let batch = watch.accept(answer(newest, fragment, &part)).unwrap();
                heard.extend(batch.into_iter().flat_map(|batch| batch.groups));
                part.clear();
            }
        }
        let expected: Vec<(i64, usize)> =
            (1i64..).zip(sizes).filter(|(revision, _)| *revision >= start).collect();
        let heard: Vec<(i64, usize)> =
            heard.iter().map(|it| (it.revision.get(), it.changes.len())).collect();
        prop_assert_eq!(heard, expected);
    }
}
