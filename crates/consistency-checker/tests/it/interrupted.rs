//! A comparison that can't be finished says so, says how far it came, and can be taken up.

use std::sync::atomic::Ordering;

use consistency_checker::{DiffError, Summary};
use etcd_mvcc::{FailureClass, PrimaryRevision, Revision, Side, StandbyRevision};
use etcd_sim::{Faults, SimEtcd};
use futures::executor::block_on;
use proptest::prelude::*;

use crate::world::{
    Found, Keys, PRIMARY_PREFIX, Plan, Reader, STANDBY_PREFIX, by_set_algebra, cluster, join, keys,
    limits, record,
};

/// Writes a neighbour and compacts up to there, so that no earlier revision can be read.
fn compact_everything<R: Revision>(sim: &SimEtcd<R>) {
    sim.with(|model| {
        let revision = model.put("/z", "").unwrap();
        model.compact(revision).unwrap();
    });
}

fn rewrite<R: Revision>(sim: &SimEtcd<R>, prefix: &[u8], old: &Keys, new: &Keys) {
    sim.with(|model| {
        for suffix in old.keys().filter(|suffix| !new.contains_key(*suffix)) {
            model.delete(join(prefix, suffix)).unwrap();
        }
        for (suffix, value) in new {
            model.put(join(prefix, suffix), vec![*value]).unwrap();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn compaction_in_the_middle_is_an_error_and_the_rest_can_be_compared_at_new_pins(
        before in (keys(), keys()),
        after in (keys(), keys()),
        limits in limits(),
        (page, primary_side) in (0usize..12, any::<bool>()),
    ) {
        let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &before.0);
        let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &before.1);
        let pins = (left.with(|m| m.revision()), right.with(|m| m.revision()));
        let compacts = |count: usize, mine: bool| mine && count == page;
        let left_reader = Reader::new(&left, |count| if compacts(count, primary_side) {
            compact_everything(&left);
        });
        let right_reader = Reader::new(&right, |count| if compacts(count, !primary_side) {
            compact_everything(&right);
        });
        let plan = Plan::new(limits, false);
        let mut diff = plan.start((&left_reader, pins.0), (&right_reader, pins.1));
        let mut found: Found = Vec::new();
        let error = loop {
            match block_on(diff.next()) {
                Ok(Some(difference)) => found.push(record(&difference)),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let expected = by_set_algebra(&before.0, &before.1, false);
        let reads = if primary_side { &left_reader.pages } else { &right_reader.pages };
        prop_assert_eq!(error.is_some(), reads.load(Ordering::Relaxed) > page);
        let Some(DiffError::Compacted(interrupted)) = error else {
            prop_assert!(error.is_none());
            prop_assert_eq!(found, expected);
            return Ok(());
        };
        let side = if primary_side { Side::Primary } else { Side::Standby };
        prop_assert_eq!(interrupted.side, side);
        prop_assert_eq!(interrupted.failure.class, FailureClass::Resync);
        let reached = interrupted.reached.clone();
        let covered = |key: &etcd_mvcc::Key| reached.as_ref().is_some_and(|cut| *key <= cut.standby);
        let first: Vec<_> = expected.into_iter().filter(|(_, key)| covered(key)).collect();
        prop_assert_eq!(found, first, "all of the first part, and nothing else");

        rewrite(&left, PRIMARY_PREFIX, &before.0, &after.0);
        rewrite(&right, STANDBY_PREFIX, &before.1, &after.1);
        let pins = (left.with(|m| m.revision()), right.with(|m| m.revision()));
        let plan = Plan::new(limits, false).after(reached.clone());
        let mut diff = plan.start((&left, pins.0), (&right, pins.1));
        let mut found: Found = Vec::new();
        while let Some(difference) = block_on(diff.next()).unwrap() {
            found.push(record(&difference));
        }
        let rest: Vec<_> = by_set_algebra(&after.0, &after.1, false)
            .into_iter()
            .filter(|(_, key)| !covered(key))
            .collect();
        prop_assert_eq!(found, rest, "all of the rest, at the new pins");
    }

    #[test]
    fn reads_that_fail_now_and_then_change_nothing_in_the_answer(
        primary in keys(),
        standby in keys(),
        limits in limits(),
        seed in any::<u64>(),
    ) {
        let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &primary);
        let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &standby);
        let pins = (left.with(|m| m.revision()), right.with(|m| m.revision()));
        left.set_faults(Faults { read_fails: 400, ..Faults::default() }, seed);
        right.set_faults(Faults { read_fails: 400, ..Faults::default() }, seed ^ 1);
        let plan = Plan::new(limits, false);
        let mut diff = plan.start((&left, pins.0), (&right, pins.1));
        let mut found: Found = Vec::new();
        loop {
            let so_far: Summary = *diff.summary();
            match block_on(diff.next()) {
                Ok(Some(difference)) => found.push(record(&difference)),
                Ok(None) => break,
                Err(error) => {
                    prop_assert_eq!(error.class(), FailureClass::Retry);
                    let interrupted = error.interrupted().unwrap();
                    prop_assert!(interrupted.so_far.keys >= so_far.keys);
                }
            }
        }
        prop_assert_eq!(found, by_set_algebra(&primary, &standby, false));
    }
}

#[test]
fn a_revision_that_does_not_exist_yet_is_no_answer() {
    let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &Keys::new());
    let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &Keys::new());
    let plan = Plan::new(etcd_mvcc::WalkLimits::default(), false);
    let at = left.with(|m| m.revision());
    let mut diff = plan.start((&left, at), (&right, StandbyRevision::new(99)));
    let error = block_on(diff.next()).unwrap_err();
    assert_eq!(error.class(), FailureClass::Retry);
    assert_eq!(error.to_string(), "the standby could not be read");
}
