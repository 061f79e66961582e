//! Pages of values whose size nobody knows before they are read.

use end_to_end::Etcd;

use crate::support::{assert_caught_up, fill, mirror};

/// 20,000 small values, then large ones, in the next resource or in the same.
#[tokio::test(flavor = "multi_thread")]
async fn large_values_behind_many_small_ones_are_copied_in_bounded_memory() {
    let (primary, standby) =
        tokio::join!(Etcd::builder().start(), Etcd::builder().standby().start());
    let mut client = primary.client().await;
    fill(&mut client, "/registry/events/a-", 20_000, 50).await;
    fill(&mut client, "/registry/events/b-", 700, 100 << 10).await;
    fill(&mut client, "/registry/secrets/a-", 300, 100 << 10).await;
    let mut mirror = mirror(&primary.endpoints(), &standby);
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let peak = mirror.process().peak_rss().unwrap();
    assert!(peak < 200 << 20, "the mirror took {} MiB", peak >> 20);
    let audit = mirror.audit(&[]);
    assert!(audit.status.success(), "{audit:?}");
}
