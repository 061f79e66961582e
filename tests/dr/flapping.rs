//! Two instances that are stopped and woken at random write one history.

use std::time::Duration;

use end_to_end::dump::differences;
use end_to_end::{
    Dice, Load, Mirror, Recorder, assert_equal_in_scope, compare, dump, eventually, seed,
};
use tokio::time::Instant;

use crate::pair::{KEYS, Pair, settings};

/// How long they are stopped and woken.
const FLAPPING: Duration = Duration::from_secs(35);

fn in_scope(key: &[u8]) -> bool {
    key.starts_with(KEYS.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_freeze_and_wake_at_random_write_one_history() {
    let pair = Pair::start().await;
    let recorded = Recorder::start(pair.east.etcd.access(), in_scope);
    let written = Recorder::start(pair.west.etcd.access(), in_scope);
    let builder =
        settings(Mirror::builder(&pair.east.etcd.endpoints(), &pair.west.etcd.endpoints()));
    let mut instances = [builder.clone().start(), builder.start()];
    let mut dice = seed::dice("flapping");
    let mut client = pair.east.etcd.client().await;
    let mut others = Dice::new(dice.next());
    let load = Load {
        prefix: KEYS.to_owned(),
        requests: u64::MAX,
        time: FLAPPING,
        pause: Duration::from_millis(10),
        ..Load::default()
    };
    let flapping = async {
        let until = Instant::now() + FLAPPING;
        while Instant::now() < until {
            let frozen = usize::try_from(others.below(2)).unwrap();
            instances[frozen].process().freeze();
            // Now and then longer than the lease of 3 s, so that the other takes over.
            tokio::time::sleep(Duration::from_millis(200 + others.below(6_000))).await;
            instances[frozen].process().thaw();
            tokio::time::sleep(Duration::from_millis(others.below(1_500))).await;
        }
    };
    let (tally, ()) = tokio::join!(load.run(&mut client, &mut dice), flapping);
    assert!(tally.puts > 500, "{tally:?}");
    let (east, west) = (pair.east.etcd.client().await, pair.west.etcd.client().await);
    eventually("the standby catches up", Duration::from_secs(30), async || {
        let (east, west) = (dump(&east).await, dump(&west).await);
        differences(&east, &west, in_scope).is_empty().then_some(())
    })
    .await;
    assert_equal_in_scope(&dump(&east).await, &dump(&west).await, in_scope);
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    let compared = compare(&recorded, &written, 1).unwrap_or_else(|anomaly| panic!("{anomaly}"));
    assert!(compared > 50, "{compared} states");
    let takeovers = instances
        .iter_mut()
        .map(|one| one.process().output().matches("Acquired leader lease").count())
        .sum::<usize>();
    assert!(takeovers > 1, "the leader never changed");
}
