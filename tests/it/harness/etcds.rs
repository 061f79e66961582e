//! Clusters: what can be done to them, and that what was read is what was written.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::dump::{assert_untouched, differences};
use end_to_end::{Etcd, assert_equal_in_scope, dump, dump_at, eventually, everything, fixture};
use etcd_client::{Compare, CompareOp, Txn, TxnOp};

#[tokio::test]
async fn a_killed_member_comes_back_with_its_data() {
    let mut etcd = Etcd::start().await;
    etcd.client().await.put("a", "1", None).await.unwrap();
    let before = dump(&etcd.client().await).await;
    etcd.kill();
    etcd.restart().await;
    assert_eq!(dump(&etcd.client().await).await, before);
    etcd.stop();
    etcd.restart().await;
    assert_eq!(dump(&etcd.client().await).await, before);
}

#[tokio::test]
async fn a_frozen_member_answers_nobody_until_it_thaws() {
    let mut etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    client.put("a", "1", None).await.unwrap();
    etcd.freeze();
    let read = tokio::time::timeout(Duration::from_millis(300), client.get("a", None)).await;
    assert!(read.is_err(), "{read:?}");
    etcd.thaw();
    let read = eventually("an answer", Duration::from_secs(10), async || {
        etcd.client().await.get("a", None).await.ok()
    });
    assert_eq!(read.await.kvs()[0].value(), b"1");
}

#[tokio::test]
async fn a_wiped_cluster_begins_anew_under_its_old_id() {
    let mut etcd = Etcd::start().await;
    let id = |header: Option<&etcd_client::ResponseHeader>| header.unwrap().cluster_id();
    let put = etcd.client().await.put("a", "1", None).await.unwrap();
    etcd.wipe();
    etcd.restart().await;
    let read = etcd.client().await.get("a", None).await.unwrap();
    assert_eq!((read.count(), read.header().unwrap().revision()), (0, 1));
    assert_eq!(id(read.header()), id(put.header()));
}

#[tokio::test]
async fn a_snapshot_takes_history_back() {
    let mut etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    client.put("a", "1", None).await.unwrap();
    let snapshot = etcd.save_snapshot();
    client.put("a", "2", None).await.unwrap();
    client.put("b", "1", None).await.unwrap();
    etcd.restore_snapshot(&snapshot).await;
    let restored = dump(&etcd.client().await).await;
    assert_eq!(restored.revision, 2);
    assert_eq!(restored.keys.keys().collect::<Vec<_>>(), [b"a"]);
}

#[tokio::test]
async fn three_members_survive_the_loss_of_one() {
    let mut etcd = Etcd::builder().members(3).start().await;
    etcd.access().client_of(0).await.put("a", "1", None).await.unwrap();
    etcd.kill_member(0);
    let put = eventually("a write without member 0", Duration::from_secs(20), async || {
        etcd.access().client_of(1).await.put("a", "2", None).await.ok()
    });
    put.await;
    etcd.restart().await;
    let read = eventually("a read from member 0", Duration::from_secs(20), async || {
        etcd.access().client_of(0).await.get("a", None).await.ok()
    });
    assert_eq!(read.await.kvs()[0].value(), b"2");
}

#[tokio::test]
async fn tls_and_authentication_together() {
    let mut etcd = Etcd::builder().tls().start().await;
    etcd.enable_auth("secret").await;
    etcd.client().await.put("a", "1", None).await.unwrap();
    assert_eq!(etcd.etcdctl(&["get", "a", "--print-value-only"]).trim(), "1");
    let mut stranger = end_to_end::Access { user: None, ..etcd.access().clone() }.client().await;
    assert!(stranger.get("a", None).await.is_err());
}

#[tokio::test]
async fn a_flag_reaches_the_server() {
    let etcd = Etcd::builder().flag("--max-txn-ops=2").progress_every(Duration::from_millis(100));
    let etcd = etcd.start().await;
    let ops: Vec<TxnOp> = (0..3).map(|n| TxnOp::put(format!("{n}"), "", None)).collect();
    assert!(etcd.client().await.txn(Txn::new().and_then(ops)).await.is_err());
}

#[tokio::test]
async fn the_fixture_is_loaded_whole_and_a_dump_sees_every_difference() {
    let (left, right) = (Etcd::start().await, Etcd::start_standby().await);
    let records = fixture::primary();
    let (mut one, mut other) = (left.client().await, right.client().await);
    fixture::load(&mut one, &records).await;
    fixture::load(&mut other, &records).await;
    let (one_dump, other_dump) = (dump(&one).await, dump(&other).await);
    let written: BTreeMap<_, _> =
        records.iter().map(|record| (record.key.clone(), record.value.clone())).collect();
    let read: BTreeMap<_, _> =
        one_dump.keys.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect();
    assert_eq!(read, written);
    assert_equal_in_scope(&one_dump, &other_dump, everything);
    assert_untouched(&one_dump, &other_dump.clone(), |_| true);

    let mut keys = written.keys();
    let (gone, changed) = (keys.next().unwrap(), keys.next().unwrap());
    other.delete(gone.clone(), None).await.unwrap();
    other.put(changed.clone(), "changed", None).await.unwrap();
    other.put("/registry/surplus", "", None).await.unwrap();
    let found = differences(&one_dump, &dump(&other).await, everything);
    assert_eq!(
        found,
        [
            format!("missed    {}", gone.escape_ascii()),
            format!("different {}", changed.escape_ascii()),
            "surplus   /registry/surplus".to_owned(),
        ]
    );
    // As it was before, it is equal still.
    let before = dump_at(&other, other_dump.revision).await;
    assert_equal_in_scope(&one_dump, &before, everything);
}

#[tokio::test]
async fn a_touch_out_of_scope_is_seen_even_if_no_byte_changes() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    client.put("local", "1", None).await.unwrap();
    let before = dump(&client).await;
    client.put("mirrored", "1", None).await.unwrap();
    let in_scope = |key: &[u8]| key == b"mirrored";
    assert_untouched(&before, &dump(&client).await, in_scope);
    // The same value again.
    let same = Compare::value("local", CompareOp::Equal, "1");
    let txn = Txn::new().when([same]).and_then([TxnOp::put("local", "1", None)]);
    client.txn(txn).await.unwrap();
    let after = dump(&client).await;
    let check = std::panic::catch_unwind(|| assert_untouched(&before, &after, in_scope));
    assert!(check.is_err());
}

#[test]
fn errors_in_a_log_are_found_unless_expected() {
    let log = "2026-01-01T00:00:00Z  INFO all is well\n\
               2026-01-01T00:00:01Z ERROR the sky fell\n\
               {\"level\":\"ERROR\",\"message\":\"as expected\"}\n\
               thread 'main' panicked at src/main.rs:1:1:";
    let found: Vec<&str> = end_to_end::mirror::unexpected_errors(log, &["as expected"]).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("the sky fell") && found[1].contains("panicked"));
}
