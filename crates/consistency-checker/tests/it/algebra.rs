//! A comparison that ends has the answer of set algebra, within its memory.

use consistency_checker::{Difference, DigestBuilder, Pins};
use etcd_mvcc::{PrimaryRevision, Side, StandbyRevision, WalkLimits};
use etcd_sim::SimEtcd;
use futures::executor::block_on;
use proptest::prelude::*;

use crate::world::{
    Keys, PRIMARY_PREFIX, Plan, Reader, STANDBY_PREFIX, by_set_algebra, cluster, in_scope, join,
    keys, limits, record,
};

fn overwrite<R: etcd_mvcc::Revision>(sim: &SimEtcd<R>, prefix: &[u8], old: &Keys, new: &Keys) {
    sim.with(|model| {
        for suffix in old.keys() {
            model.delete(join(prefix, suffix)).unwrap();
        }
        for (suffix, value) in new {
            model.put(join(prefix, suffix), vec![value + 100]).unwrap();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_comparison_is_set_algebra_at_its_pins_however_the_pages_fall(
        primary in keys(),
        standby in keys(),
        later in keys(),
        limits in limits(),
        keys_only in any::<bool>(),
    ) {
        let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &primary);
        let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &standby);
        let pins = Pins {
            primary: left.with(|model| model.revision()),
            standby: right.with(|model| model.revision()),
        };
        // What happens after the pins is nobody's business.
        overwrite(&left, PRIMARY_PREFIX, &primary, &later);
        overwrite(&right, STANDBY_PREFIX, &standby, &later);

        // Pages without values hold twice as many keys.
        let page_keys = if keys_only { 2 * limits.page_keys } else { limits.page_keys };
        let plan = Plan::new(limits, keys_only);
        let mut diff = plan.start((&left, pins.primary), (&right, pins.standby));
        let mut found = Vec::new();
        let mut digest = DigestBuilder::new();
        while let Some(difference) = block_on(diff.next()).unwrap() {
            for side in [Side::Primary, Side::Standby] {
                prop_assert!(diff.waiting(side) <= 2 * page_keys);
            }
            digest.add_difference(&difference);
            found.push(record(&difference));
        }
        let expected = by_set_algebra(&primary, &standby, keys_only);
        prop_assert_eq!(&found, &expected);

        let summary = *diff.summary();
        let of = |kind| expected.iter().filter(|(found, _)| *found == kind).count() as u64;
        prop_assert_eq!(summary.pins, pins);
        prop_assert_eq!(
            (summary.missed, summary.surplus, summary.different),
            (of("missed"), of("surplus"), of("different"))
        );
        prop_assert_eq!(summary.is_clean(), expected.is_empty());
        prop_assert_eq!(digest.count(), expected.len() as u64);
        let mut all: Vec<_> = primary.keys().chain(standby.keys()).collect();
        all.sort();
        all.dedup();
        prop_assert_eq!(summary.keys, all.iter().filter(|suffix| in_scope(suffix)).count() as u64);
    }
}

#[test]
fn a_difference_shows_lengths_of_values_only() {
    let primary = Keys::from([(b"a\0".to_vec(), b'S')]);
    let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &primary);
    let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &Keys::new());
    let plan = Plan::new(WalkLimits::default(), false);
    let pins = (left.with(|m| m.revision()), right.with(|m| m.revision()));
    let mut diff = plan.start((&left, pins.0), (&right, pins.1));
    let shown = format!("{:?}", block_on(diff.next()).unwrap().unwrap());
    assert!(shown.contains("<1 bytes>") && !shown.contains('['), "{shown}");
}

#[test]
fn the_next_page_of_each_side_is_on_its_way_while_one_is_merged() {
    let many: Keys = (0..40).map(|byte| (vec![byte, 0], 0)).collect();
    let left: SimEtcd<PrimaryRevision> = cluster(1, PRIMARY_PREFIX, &many);
    let right: SimEtcd<StandbyRevision> = cluster(2, STANDBY_PREFIX, &Keys::new());
    // Every key has another value on the standby.
    overwrite(&right, STANDBY_PREFIX, &Keys::new(), &many);
    let pins = (left.with(|m| m.revision()), right.with(|m| m.revision()));
    let (left, right) = (Reader::new(&left, |_| {}), Reader::new(&right, |_| {}));
    let plan = Plan::new(WalkLimits { page_bytes: 1 << 20, page_keys: 5 }, false);
    let mut diff = plan.start((&left, pins.0), (&right, pins.1));
    let mut compared: usize = 0;
    while let Some(difference) = block_on(assert_send(diff.next())).unwrap() {
        let Difference::Different { source, standby, .. } = difference else { panic!() };
        compared += 1;
        // No page holds more than five keys: up to here there is another one to ask for.
        if compared <= 35 {
            assert!(*left.asked.lock().unwrap() > source, "after {compared} keys");
            assert!(*right.asked.lock().unwrap() > standby.key, "after {compared} keys");
        }
    }
    assert_eq!(compared, 40);
}

fn assert_send<T: Send>(value: T) -> T {
    value
}
