//! Roles that are exchanged again and again: what a cluster knows of an earlier turn is past.

use end_to_end::{Mirror, assert_equal_in_scope, everything};

use crate::failback::Failback;
use crate::pair::{KEYS, Pair, settings};
use crate::run::Dr;

/// East has served, then west, and east again: what only west has written meanwhile, to keys that
/// nobody touched since its first turn as a standby, is not on it once it is a standby again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_of_the_third_turn_does_not_go_on_where_it_was_in_the_first() {
    let mut pair = Pair::start().await;
    let mut east = pair.east.etcd.client().await;
    for name in ["changed", "deleted", "untouched"] {
        east.put(format!("{KEYS}{name}"), "first turn", None).await.unwrap();
    }
    promote(&pair, true).await;
    let mut west = pair.west.etcd.client().await;
    west.put(format!("{KEYS}second"), "second turn", None).await.unwrap();
    promote(&pair, false).await;

    // A tail that nobody mirrors.
    west.put(format!("{KEYS}changed"), "by west alone", None).await.unwrap();
    west.delete(format!("{KEYS}deleted"), None).await.unwrap();
    west.put(format!("{KEYS}new"), "by west alone", None).await.unwrap();
    east.put(format!("{KEYS}third"), "third turn", None).await.unwrap();
    pair.write_topology(true, "");
    let mut failback = Failback::of_west(&Dr::new(&pair));
    failback.run(&mut pair).await;
    assert_equal_in_scope(&pair.east.dump().await, &pair.west.dump().await, everything);
}

/// The first gate of a failback says what to do about the file, and is judged by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_are_exchanged_late_are_those_that_a_failback_goes_by() {
    let pair = Pair::start().await;
    promote(&pair, true).await;
    pair.lead_to(&pair.west);
    let dr = Dr::new(&pair);
    let told = dr.expect(1, &["failback", "--yes"]).await;
    assert!(told.contains("gate domain-primary: Exchange the roles"), "{told}");
    pair.write_topology(false, "");
    let told = dr.expect(1, &["failback", "--yes"]).await;
    assert!(told.contains("--attest review-writes"), "{told}");
}

/// Mirrors all that the primary has, then promotes the standby.
async fn promote(pair: &Pair, primary_is_east: bool) {
    let (primary, standby) =
        if primary_is_east { (&pair.east, &pair.west) } else { (&pair.west, &pair.east) };
    pair.write_topology(primary_is_east, "");
    let between = Mirror::builder(&primary.etcd.endpoints(), &standby.etcd.endpoints());
    let mut mirror = settings(between).start();
    mirror.wait_for_state("following").await;
    mirror.wait_for_checkpoint(primary.dump().await.revision).await;
    Dr::new(pair).expect(0, &["fence", "--yes"]).await;
    mirror.wait_for_state("fenced").await;
}
