//! What a change may look like: wide, large, empty, binary, undone at once.

use std::time::Duration;

use end_to_end::{Etcd, Load, Mirror, seed};
use etcd_client::{Client, DeleteOptions, Txn, TxnOp};

use crate::pair::{Checked, Pair, at_once, fill, head, history, only_deletion, only_step, value};

/// etcd's `--max-request-bytes`, unless somebody changed it.
const REQUEST_MAX: usize = 1_572_864;

/// Starts a mirror of two empty clusters and waits until it follows.
async fn following() -> (Pair, Mirror) {
    let pair = Pair::start().await;
    let mut mirror = pair.mirror().patience(Duration::from_secs(60)).start();
    mirror.wait_for_state("following").await;
    (pair, mirror)
}

async fn delete_prefix(client: &Client, prefix: &str) {
    let options = DeleteOptions::new().with_prefix();
    client.clone().delete(prefix, Some(options)).await.unwrap();
}

#[tokio::test]
async fn every_state_of_the_standby_is_one_that_the_primary_had() {
    let mut dice = seed::dice("every_state_of_the_standby_is_one_that_the_primary_had");
    let (pair, mut mirror) = following().await;
    let load = Load { requests: 500, ..Load::default() };
    let tally = load.run(&mut pair.primary.client().await, &mut dice).await;
    assert!(tally.puts > 100 && tally.deletes > 50 && tally.unknown == 0, "{tally:?}");
    pair.assert_equal(&mut mirror).await;
    let Checked { whole, torn, .. } = pair.check_histories().await;
    assert!(whole > 20, "{whole} checkpoints");
    assert_eq!(torn, 0);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_mirror_that_never_coalesces_repeats_every_revision() {
    let mut dice = seed::dice("a_mirror_that_never_coalesces_repeats_every_revision");
    let pair = Pair::start().await;
    let mut mirror = pair.mirror().flag("--coalesce").flag("never").start();
    mirror.wait_for_state("following").await;
    let load = Load { requests: 200, ..Load::default() };
    load.run(&mut pair.primary.client().await, &mut dice).await;
    pair.assert_equal(&mut mirror).await;
    pair.check_histories().await;
    let data = |steps: Vec<crate::pair::Step>| -> Vec<_> {
        let mine = |(key, _): &(Vec<u8>, _)| end_to_end::everything(key);
        let steps = steps.into_iter().map(|step| {
            let mut changes: Vec<_> = step.changes.into_iter().filter(mine).collect();
            changes.sort();
            changes
        });
        steps.filter(|changes| !changes.is_empty()).collect()
    };
    let (primary, standby) = (history(&pair.primary).await, history(&pair.standby).await);
    assert!(data(primary) == data(standby), "the histories differ");
}

#[tokio::test]
async fn wide_transactions_stay_one_revision() {
    let (pair, mut mirror) = following().await;
    let primary = pair.primary.client().await;
    let puts = |prefix: &str, count: usize| -> Vec<TxnOp> {
        (0..count)
            .map(|n| TxnOp::put(format!("{prefix}{n:04}"), vec![b'v'; n % 300], None))
            .collect()
    };
    // As many as etcd takes in one go, and far more by nesting.
    let flat = Txn::new().and_then(puts("/flat/", 128));
    primary.clone().txn(flat).await.unwrap();
    at_once(&primary, puts("/nested/", 2_000)).await;
    pair.assert_equal(&mut mirror).await;
    // Puts and deletions mixed, of keys that are there.
    let mixed = (0..2_000).map(|n| match n % 3 {
        0 => TxnOp::delete(format!("/nested/{n:04}"), None),
        _ => TxnOp::put(format!("/nested/{n:04}"), "2", None),
    });
    at_once(&primary, mixed.collect()).await;
    delete_prefix(&primary, "/flat/").await;
    pair.assert_equal(&mut mirror).await;
    let steps = history(&pair.standby).await;
    assert_eq!(only_deletion(&steps, "/flat/").1, 128);
    assert_eq!(only_deletion(&steps, "/nested/").1, 667);
    let puts: Vec<_> = steps.iter().map(|step| step.changes.len()).filter(|n| *n >= 128).collect();
    assert_eq!(puts.len(), 4, "{puts:?}");
    assert_eq!(pair.check_histories().await.torn, 0);
}

#[tokio::test]
async fn a_primary_with_a_higher_limit_of_operations_is_followed() {
    let (primary, standby) =
        tokio::join!(Etcd::builder().flag("--max-txn-ops=3000").start(), Etcd::start_standby());
    let pair = Pair { primary, standby };
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    let puts: Vec<_> = (0..2_000).map(|n| TxnOp::put(format!("/k/{n}"), "v", None)).collect();
    pair.primary.client().await.txn(Txn::new().and_then(puts)).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    assert_eq!(only_step(&history(&pair.standby).await, "/k/").1, 2_000);
}

#[tokio::test]
async fn a_range_deletion_of_60_000_keys_is_one_revision_where_it_fits() {
    let (pair, mut mirror) = following().await;
    let primary = pair.primary.client().await;
    // Short names: 60,000 deletions are 0.9 MB.
    fill(&primary, "/r/", 0..60_000, |_| Vec::new()).await;
    pair.assert_equal(&mut mirror).await;
    delete_prefix(&primary, "/r/").await;
    pair.assert_equal(&mut mirror).await;
    assert_eq!(only_deletion(&history(&pair.standby).await, "/r/").1, 60_000);
    assert_eq!(pair.check_histories().await.torn, 0);
}

#[tokio::test]
async fn a_range_deletion_that_fits_into_no_request_is_marked_as_torn_until_it_is_whole() {
    let (pair, mut mirror) = following().await;
    let primary = pair.primary.client().await;
    let prefix = "/registry/configmaps/a-namespace-with-a-long-name/";
    fill(&primary, prefix, 0..60_000, |_| Vec::new()).await;
    pair.assert_equal(&mut mirror).await;
    delete_prefix(&primary, prefix).await;
    pair.assert_equal(&mut mirror).await;
    let Checked { torn, .. } = pair.check_histories().await;
    assert!((1..10).contains(&torn), "{torn} torn checkpoints");
}

#[tokio::test]
async fn twelve_large_values_in_one_transaction_stay_one_revision() {
    let (pair, mut mirror) = following().await;
    let puts = (0..12_u8).map(|n| TxnOp::put(format!("/large/{n}"), vec![n; 120 << 10], None));
    let txn = Txn::new().and_then(puts.collect::<Vec<_>>());
    pair.primary.client().await.txn(txn).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    assert_eq!(only_step(&history(&pair.standby).await, "/large/").1, 12);
    assert_eq!(pair.check_histories().await.torn, 0);
}

#[tokio::test]
async fn a_value_of_1_4_mib_arrives_with_its_checkpoint() {
    let (pair, mut mirror) = following().await;
    let mut primary = pair.primary.client().await;
    primary.put("/large", vec![7; 1_468_006], None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    assert_eq!(pair.check_histories().await.torn, 0);
}

#[tokio::test]
async fn a_value_that_leaves_no_room_for_the_checkpoint_arrives() {
    let (pair, mut mirror) = following().await;
    let mut primary = pair.primary.client().await;
    let key = "/largest";
    let size = REQUEST_MAX - 100 - key.len();
    primary.put("/before", "1", None).await.unwrap();
    primary.put(key, vec![7; size], None).await.unwrap();
    primary.put("/after", "1", None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    // And over a value that is there, and in a copy.
    primary.put(key, vec![8; size], None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    pair.check_histories().await;
    mirror.assert_no_errors(&[]);
    drop(mirror);
    let copied = Pair { standby: Etcd::start_standby().await, ..pair };
    let mut mirror = copied.mirror().start();
    mirror.wait_for_state("following").await;
    copied.assert_equal(&mut mirror).await;
    copied.check_histories().await;
    mirror.assert_no_errors(&[]);
}

/// Puts the largest value that etcd takes from a client; returns its size.
async fn put_largest(client: &Client, key: &str) -> usize {
    for size in (REQUEST_MAX - 100..REQUEST_MAX).rev() {
        match client.clone().put(key, vec![9; size], None).await {
            Ok(_) => return size,
            Err(error) => assert!(error.to_string().contains("too large"), "{error}"),
        }
    }
    panic!("not even {} bytes fit", REQUEST_MAX - 100);
}

/// The mirror says which key stops it, waits, and goes on once the standby takes more.
async fn assert_blocked_until_the_standby_takes_more(mut pair: Pair, mut mirror: Mirror) {
    let status = mirror.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "too_large", "{status}");
    let reason = status["blocked"]["reason"].as_str().unwrap().to_owned();
    let size: usize = reason
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .find(|number| (REQUEST_MAX - 100..REQUEST_MAX + 100).contains(number))
        .unwrap_or_else(|| panic!("no size in {reason}"));
    println!("{reason}");
    assert!(reason.starts_with("/limit ") && size > REQUEST_MAX - 100, "{reason}");
    assert!(reason.contains("--max-request-bytes"), "{reason}");
    // What comes later waits behind it.
    let standby = pair.standby.client().await;
    assert_eq!(value(&standby, "/zz-after").await, None);
    pair.standby.stop();
    pair.standby.add_flag(format!("--max-request-bytes={}", 2 * REQUEST_MAX));
    pair.standby.restart().await;
    pair.assert_equal(&mut mirror).await;
    mirror.wait_for_state("following").await;
    pair.check_histories().await;
}

#[tokio::test]
async fn a_value_too_large_for_any_guard_blocks_by_name_and_is_not_lost() {
    let (pair, mut mirror) = following().await;
    let mut primary = pair.primary.client().await;
    primary.put("/before", "1", None).await.unwrap();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    let largest = put_largest(&primary, "/limit").await;
    println!("etcd takes {largest} bytes under a key of 6");
    primary.put("/zz-after", "1", None).await.unwrap();
    assert_blocked_until_the_standby_takes_more(pair, mirror).await;
}

#[tokio::test]
async fn a_value_too_large_for_any_guard_blocks_a_copy_too() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    primary.put("/before", "1", None).await.unwrap();
    put_largest(&primary, "/limit").await;
    primary.put("/zz-after", "1", None).await.unwrap();
    let mirror = pair.mirror().start();
    assert_blocked_until_the_standby_takes_more(pair, mirror).await;
}

#[tokio::test]
async fn keys_and_values_may_be_any_bytes() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    let keys: [&[u8]; 12] = [
        b"\0",
        b"\0\0",
        b"\0\xff",
        b"\n",
        b"/a\nb",
        b"/a\0b",
        b"/etcd-syn",
        b"/etcd-sync",
        b"/etcd-sync0",
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\0\xff\xff",
    ];
    let values: [&[u8]; 4] = [b"", b"\0", b"\xff\xfe\n", b"\0\0\0"];
    // By copy first, then by watch.
    for (number, key) in keys.into_iter().enumerate() {
        primary.put(key, values[number % 4], None).await.unwrap();
    }
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;
    for (number, key) in keys.into_iter().enumerate() {
        primary.put(key, values[(number + 1) % 4], None).await.unwrap();
    }
    pair.assert_equal(&mut mirror).await;
    for key in keys {
        primary.delete(key, None).await.unwrap();
    }
    primary.put(b"\xff".to_vec(), "", None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
    let left =
        end_to_end::dump(&pair.standby.client().await).await.filtered(end_to_end::everything);
    assert_eq!(left.keys.keys().collect::<Vec<_>>(), [b"\xff"]);
    pair.check_histories().await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn what_is_undone_or_redone_within_a_batch_arrives_as_it_was() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    for key in ["/gone", "/remade", "/twice"] {
        primary.put(key, "0", None).await.unwrap();
    }
    let mut mirror = pair.mirror().flag("--coalesce").flag("always").start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;
    let before = end_to_end::dump(&pair.standby.client().await).await;
    // All of it waits for the mirror, so that it comes in one batch.
    mirror.process().freeze();
    primary.put("/brief", "1", None).await.unwrap();
    primary.delete("/brief", None).await.unwrap();
    primary.put("/gone", "1", None).await.unwrap();
    primary.delete("/gone", None).await.unwrap();
    primary.delete("/remade", None).await.unwrap();
    primary.put("/remade", "0", None).await.unwrap();
    primary.delete("/twice", None).await.unwrap();
    primary.put("/twice", "1", None).await.unwrap();
    primary.delete("/twice", None).await.unwrap();
    primary.put("/twice", "2", None).await.unwrap();
    mirror.process().thaw();
    pair.assert_equal(&mut mirror).await;
    let after = end_to_end::dump(&pair.standby.client().await).await;
    for key in ["/remade", "/twice"].map(str::as_bytes) {
        let created = |dump: &end_to_end::Dump| dump.keys[key].create_revision;
        assert!(created(&after) > created(&before), "a watcher must see that it was another");
    }
    pair.check_histories().await;
}
