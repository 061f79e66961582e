use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use etcd_link::{Primary, Settings};
use etcd_mvcc::{Commit, CommitTxn, FailureClass, KeyRange, ReadHead, WatchRange, WatchStream};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::etcd::{Etcd, free_port, put, revision, settings, standby, txn};

fn quick(endpoints: &[String]) -> Settings {
    Settings {
        request_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        ..settings(endpoints)
    }
}

#[tokio::test]
async fn a_member_that_is_down_is_passed_over_at_once() {
    let etcd = Etcd::start(&[]).await;
    let dead = format!("http://127.0.0.1:{}", free_port());
    let endpoints = [dead, etcd.url()];
    let primary = Primary::new(quick(&endpoints)).unwrap();
    primary.head().await.unwrap();
    primary.watch(KeyRange::all(), revision(1)).await.unwrap();
    let write = txn(vec![put("/registry/a", "1").into()]);
    let commit = standby(quick(&endpoints)).commit(write).await.unwrap();
    assert!(matches!(commit, Commit::Done(_)));
}

#[tokio::test]
async fn a_cluster_that_is_down_is_worth_a_retry_and_got_no_write() {
    let dead = format!("http://127.0.0.1:{}", free_port());
    let write = txn(vec![put("/registry/a", "1").into()]);
    let failure = standby(quick(std::slice::from_ref(&dead))).commit(write).await.unwrap_err();
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::Retry, false));
    assert!(failure.message.starts_with(&dead), "{failure}");
}

#[tokio::test]
async fn a_member_that_is_silent_costs_one_deadline_and_the_outcome() {
    let etcd = Etcd::start(&[]).await;
    let standby = standby(quick(&[etcd.url()]));
    standby.head().await.unwrap();
    let write = || txn(vec![put("/registry/a", "1").into()]);
    standby.commit(write()).await.unwrap();
    etcd.signal("-STOP");
    let began = Instant::now();
    let failure = standby.commit(write()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::Retry, true));
    assert!(failure.message.contains("no answer within 1 s"), "{failure}");
    let failure = standby.head().await.unwrap_err();
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::Retry, false));
    etcd.signal("-CONT");
    standby.head().await.unwrap();
}

#[tokio::test]
async fn a_watch_of_a_silent_member_ends() {
    let etcd = Etcd::start(&[]).await;
    let settings = Settings { keep_alive_timeout: Duration::from_secs(1), ..quick(&[etcd.url()]) };
    let primary = Primary::new(settings).unwrap();
    let mut watch = primary.watch(KeyRange::all(), revision(1)).await.unwrap();
    etcd.signal("-STOP");
    let began = Instant::now();
    let failure = watch.next().await.unwrap_err();
    etcd.signal("-CONT");
    assert_eq!(failure.class, FailureClass::Retry);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// Stands between, and can fall silent on the connections that it has, as a firewall does that
/// forgot them. It takes new ones. Returns its port.
async fn forgetful_firewall(etcd_port: u16, forgotten: Arc<AtomicU64>) -> u16 {
    async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, id: u64, mute: Arc<AtomicU64>) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let passed = mute.load(Ordering::SeqCst) < id;
            if passed && to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for id in 1.. {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(("127.0.0.1", etcd_port)).await.unwrap();
            let ((a, b), (c, d)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(a, d, id, forgotten.clone()));
            tokio::spawn(pass(c, b, id, forgotten.clone()));
        }
    });
    port
}

#[tokio::test]
async fn a_connection_that_fell_silent_costs_one_deadline_not_all() {
    let etcd = Etcd::start(&[]).await;
    let forgotten = Arc::new(AtomicU64::new(0));
    let port = forgetful_firewall(etcd.port, forgotten.clone()).await;
    let primary = Primary::new(quick(&[format!("http://127.0.0.1:{port}")])).unwrap();
    primary.head().await.unwrap();
    forgotten.store(1, Ordering::SeqCst);
    let failure = primary.head().await.unwrap_err();
    assert!(failure.message.contains("no answer within"), "{failure}");
    primary.head().await.expect("over a new connection");
}
