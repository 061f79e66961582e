use etcd_mvcc::{CommitTxn, FailureClass, Key, KeyRange, PageRequest, ReadHead, ReadRange};
use etcd_mvcc::{Revision as _, Write};

use crate::etcd::{Etcd, fill, put, revision, txn};

#[tokio::test]
async fn pages_are_pinned_to_the_revision_asked_for() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 5, "old").await;
    let change = txn(vec![Write::from(put("/registry/00004", "new"))]);
    etcd.standby().commit(change).await.unwrap();
    let request = PageRequest {
        range: KeyRange::prefix(b"/registry/"),
        at: Some(last),
        limit: 3,
        keys_only: false,
    };
    let primary = etcd.primary();
    let page = primary.read_page(request.clone()).await.unwrap();
    assert_eq!((page.entries.len(), page.more, page.count, page.at), (3, true, 5, last));
    let rest = request.range.starting_at(page.entries[2].key.successor());
    let page = primary.read_page(PageRequest { range: rest, ..request }).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (2, false));
    assert_eq!(page.entries[1].value.expose(), b"old");
}

#[tokio::test]
async fn many_keys_are_read_at_one_revision_in_the_order_asked() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 150, "x").await;
    let mut keys: Vec<_> = (0..150).rev().map(|n| Key::from(format!("/registry/{n:05}"))).collect();
    keys.push(Key::from("/registry/absent"));
    let entries = etcd.primary().read_keys(&keys, None).await.unwrap();
    assert_eq!(entries.len(), 151);
    assert!(entries[150].is_none());
    for (key, entry) in keys.iter().zip(&entries).take(150) {
        assert_eq!(entry.as_ref().map(|entry| &entry.key), Some(key));
    }
    assert_eq!(entries[0].as_ref().unwrap().modified, last);
}

#[tokio::test]
async fn the_compacted_revision_is_learnt_and_reads_below_it_ask_for_a_resync() {
    let etcd = Etcd::start(&[]).await;
    let primary = etcd.primary();
    let last = fill(&etcd, 9, "x").await;
    assert_eq!(primary.compacted().await.unwrap(), None);
    etcd.raw().await.compact(last.get() - 2, None).await.unwrap();
    assert_eq!(primary.compacted().await.unwrap(), Some(revision(last.get() - 2)));
    let request =
        PageRequest { range: KeyRange::all(), at: Some(revision(3)), limit: 1, keys_only: true };
    let failure = primary.read_page(request).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Resync);
}

#[tokio::test]
async fn the_head_names_cluster_and_revision_and_a_member_its_version() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 3, "x").await;
    let primary = etcd.primary();
    let head = primary.head().await.unwrap();
    assert_eq!(head.revision, last);
    assert_ne!(head.cluster.get(), 0);
    assert!(primary.version().await.unwrap().starts_with("3."));
}
