use std::path::Path;
use std::time::Duration;

use etcd_client::{Client, Permission};
use etcd_link::{Primary, Settings};
use etcd_mvcc::{CommitTxn, FailureClass, KeyRange, ReadHead, WatchRange};

use crate::etcd::{Etcd, OWN, put, revision, standby, txn};

/// A cluster where `root` may do everything and `mirror` what a mirror needs.
async fn guarded() -> (Etcd, Client) {
    let args = ["--auth-token-ttl", "1", "--bcrypt-cost", "4"];
    let etcd = Etcd::start(&args).await;
    let mut client = etcd.raw().await;
    client.user_add("root", "root", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("mirror").await.unwrap();
    for prefix in ["/registry/", OWN] {
        let permission = Permission::read_write(prefix).with_prefix();
        client.role_grant_permission("mirror", permission).await.unwrap();
    }
    client.user_add("mirror", "secret", None).await.unwrap();
    client.user_grant_role("mirror", "mirror").await.unwrap();
    client.auth_enable().await.unwrap();
    (etcd, client)
}

fn as_mirror(etcd: &Etcd, password_file: &Path) -> Settings {
    Settings {
        user: Some("mirror".into()),
        password_file: Some(password_file.to_owned()),
        ..etcd.settings()
    }
}

#[tokio::test]
async fn a_token_that_expired_is_replaced_without_a_word() {
    let (etcd, _root) = guarded().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "secret\n").unwrap();
    let primary = Primary::new(as_mirror(&etcd, file.path())).unwrap();
    let standby = standby(as_mirror(&etcd, file.path()));
    let range = KeyRange::prefix(b"/registry/");
    for _ in 0..2 {
        primary.head().await.unwrap();
        standby.commit(txn(vec![put("/registry/a", "1").into()])).await.unwrap();
        primary.watch(range.clone(), revision(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3_500)).await;
    }
    primary.watch(range, revision(1)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_blocked_and_ends_when_it_is_mended() {
    let (etcd, _root) = guarded().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "wrong").unwrap();
    let primary = Primary::new(as_mirror(&etcd, file.path())).unwrap();
    let failure = primary.head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
    assert!(!failure.message.contains("wrong"), "{failure}");
    std::fs::write(&file, "secret").unwrap();
    primary.head().await.unwrap();
    let elsewhere = KeyRange::prefix(b"/elsewhere/");
    let failure = primary.watch(elsewhere, revision(1)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
    let failure = etcd.primary().head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
}

#[tokio::test]
async fn a_user_on_a_cluster_without_authentication_is_no_error() {
    let etcd = Etcd::start(&[]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "secret").unwrap();
    Primary::new(as_mirror(&etcd, file.path())).unwrap().head().await.unwrap();
}
