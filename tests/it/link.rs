//! The link to one cluster: which cluster it speaks to, and where that cluster's log stands.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use end_to_end::process::Process;
use end_to_end::{Etcd, FakeEtcd, Proxy, binaries, eventually, ports};
use etcd_link::{Primary, Settings, Standby};
use etcd_mvcc::{
    Commit, CommitTxn, Expect, Failure, FailureClass, Guard, HoldLease, Key, KeyRange, Op,
    Position, PrimaryRevision, ReadHead, ReadRange, Revision, StandbyRevision, Txn, Value,
    WatchRange, WatchStream, Write,
};

use crate::pair::head;

const LIMIT: Duration = Duration::from_secs(20);
/// Where these tests' own keys live.
const OWN: &str = "/etcd-sync/link/";

fn settings(endpoints: &[String]) -> Settings {
    Settings {
        endpoints: endpoints.to_vec(),
        request_timeout: Duration::from_secs(2),
        connect_timeout: Duration::from_secs(1),
        ..Settings::default()
    }
}

fn primary(endpoints: &[String]) -> Primary {
    Primary::new(settings(endpoints)).unwrap()
}

fn standby(endpoints: &[String]) -> Standby {
    Standby::new(settings(endpoints), OWN, Arc::new(|_: &[u8]| true)).unwrap()
}

/// A put of one key, wherever none of our own keys is.
fn write(key: &str) -> Txn {
    let put = Op::Put { key: Key::from(key), value: Value::from("1") };
    let guard = Guard(vec![(Key::from(format!("{OWN}epoch")), Expect::Absent)]);
    Txn { guard, writes: vec![Write::from(put)], own: Vec::new() }
}

fn leader() -> Key {
    Key::from(format!("{OWN}leader"))
}

async fn take(standby: &Standby) -> Result<(), Failure> {
    let ttl = Duration::from_secs(15);
    standby.take(&leader(), &Value::from("me"), Expect::Absent, ttl).await.map(drop)
}

/// The id of a cluster, as texts show it.
async fn id(etcd: &Etcd) -> String {
    format!("{:x}", etcd.client().await.status().await.unwrap().header().unwrap().cluster_id())
}

/// A cluster that is at revision 20 or later.
async fn stranger() -> Etcd {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for n in 0..20 {
        client.put(format!("/strange/{n}"), "1", None).await.unwrap();
    }
    etcd
}

fn assert_names(failure: &Failure, endpoint: &str, found: &str, meant: &str) {
    assert_eq!(failure.class, FailureClass::OtherCluster, "{failure}");
    let said = format!("{endpoint}: answered as cluster {found}; cluster {meant} was asked before");
    assert_eq!(failure.message, said);
}

async fn assert_log_moves<R: Revision>(
    etcd: &mut Etcd,
    position: impl AsyncFn() -> Position<R>,
    quota_is_told: bool,
) {
    let mut client = etcd.client().await;
    let before = position().await;
    let raft = before.raft.expect("one member says where its log stands");
    assert!(raft.term >= 1 && raft.index_before >= 1, "{raft:?}");
    assert!(raft.index_after >= raft.index_before, "{raft:?}");
    let db = before.db.expect("it says how large it is");
    assert!(db.bytes > 0);
    assert_eq!(db.quota_bytes.is_some(), quota_is_told, "{db:?}");
    for n in 0..30 {
        client.put(format!("/k/{n}"), "1", None).await.unwrap();
    }
    let after = position().await;
    assert_eq!(after.head.revision.get(), before.head.revision.get() + 30);
    let grown = after.raft.unwrap();
    assert!(grown.index_before >= raft.index_after + 30, "{raft:?} {grown:?}");
    let snapshot = etcd.save_snapshot();
    etcd.restore_snapshot(&snapshot).await;
    let restored = eventually("it answers again", LIMIT, async || {
        let position = position().await;
        position.raft.is_some().then_some(position)
    })
    .await;
    assert_eq!(restored.head, after.head, "the snapshot holds everything");
    assert!(restored.raft.unwrap().index_after < grown.index_before, "{grown:?} {restored:?}");
}

#[tokio::test]
async fn the_log_moves_with_every_revision_and_begins_anew_after_a_restore() {
    let (mut first, mut second) = tokio::join!(Etcd::start(), Etcd::start_standby());
    let link = primary(&first.endpoints());
    let position = async || loop {
        if let Ok(position) = link.position().await {
            return position;
        }
    };
    let told = binaries::EtcdBinaries::primary().series >= (3, 6);
    assert_log_moves::<PrimaryRevision>(&mut first, position, told).await;
    let link = standby(&second.endpoints());
    let position = async || loop {
        if let Ok(position) = link.position().await {
            return position;
        }
    };
    let told = binaries::EtcdBinaries::standby().series >= (3, 6);
    assert_log_moves::<StandbyRevision>(&mut second, position, told).await;
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_status_still_has_the_head() {
    let fake = FakeEtcd::of(|method| if method == "Maintenance/Status" { 0 } else { 5 }).await;
    let position = primary(&[fake.endpoint()]).position().await.unwrap();
    assert_eq!((position.raft, position.db), (None, None));
    assert_eq!(position.head.revision.get(), 7);
}

#[tokio::test]
async fn a_watch_on_another_cluster_is_not_opened() {
    let (etcd, stranger) = tokio::join!(Etcd::start(), stranger());
    let proxy = Proxy::start(&etcd.endpoints()[0]).await;
    proxy.lead_astray(&stranger.endpoints()[0], |connection| connection > 1);
    let primary = primary(&[proxy.endpoint()]);
    primary.head().await.unwrap();
    let from = PrimaryRevision::new(1);
    for connections in 2..4 {
        let failure = primary.watch(KeyRange::all(), from).await.unwrap_err();
        assert_names(&failure, &proxy.endpoint(), &id(&stranger).await, &id(&etcd).await);
        assert_eq!(proxy.connections(), connections, "its connection was given up");
    }
    proxy.lead_home();
    let mut watch = primary.watch(KeyRange::all(), from).await.unwrap();
    etcd.client().await.put("/k", "1", None).await.unwrap();
    assert_eq!(watch.next().await.unwrap().groups.len(), 1);
}

#[tokio::test]
async fn nothing_is_written_over_a_connection_that_has_not_proven_its_cluster() {
    let (etcd, stranger) = tokio::join!(Etcd::start_standby(), stranger());
    let (found, meant) = (id(&stranger).await, id(&etcd).await);
    let untouched = head(&stranger.client().await).await;
    let proxy = Proxy::start(&etcd.endpoints()[0]).await;
    let standby = standby(&[proxy.endpoint()]);
    standby.head().await.unwrap();
    proxy.lead_astray(&stranger.endpoints()[0], |_| true);
    let failure = standby.commit(write("/k/a")).await.unwrap_err();
    assert_names(&failure, &proxy.endpoint(), &found, &meant);
    assert!(!failure.outcome_unknown);
    assert_names(&take(&standby).await.unwrap_err(), &proxy.endpoint(), &found, &meant);
    proxy.lead_home();
    assert!(matches!(standby.commit(write("/k/a")).await.unwrap(), Commit::Done(_)));
    take(&standby).await.unwrap();
    // A connection that has proven it ends; the next one leads elsewhere.
    proxy.lead_astray(&stranger.endpoints()[0], |_| true);
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let failure = standby.commit(write("/k/b")).await.unwrap_err();
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::OtherCluster, false));
    assert_eq!(head(&stranger.client().await).await, untouched, "a stranger was written");
    // One that leads home is made without a word.
    proxy.lead_home();
    standby.commit(write("/k/b")).await.unwrap();
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    standby.commit(write("/k/c")).await.unwrap();
}

#[tokio::test]
async fn one_clusters_members_are_found_among_others() {
    let (mut etcd, stranger) = tokio::join!(Etcd::start(), stranger());
    let endpoints = [etcd.endpoints()[0].clone(), stranger.endpoints()[0].clone()];
    let primary = primary(&endpoints);
    let meant = primary.head().await.unwrap().cluster;
    etcd.kill();
    let failure = primary.head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Retry, "it is away: {failure}");
    assert!(failure.message.contains("answered as cluster"), "{failure}");
    etcd.restart().await;
    assert_eq!(primary.head().await.unwrap().cluster, meant);
    // A pin that is forgotten prefers the cluster of before, whichever endpoint is asked first.
    etcd.kill();
    primary.head().await.unwrap_err();
    primary.repin();
    let _ = primary.head().await;
    etcd.restart().await;
    for _ in 0..3 {
        primary.repin();
        assert_eq!(primary.head().await.unwrap().cluster, meant);
    }
}

#[tokio::test]
async fn every_answer_is_held_against_the_cluster_that_was_asked() {
    // A proxy that hands single requests to another cluster.
    let only = |other: &'static str| move |method: &str| if method == other { 6 } else { 5 };
    let watched = async |other| {
        let fake = FakeEtcd::of(only(other)).await;
        let primary = primary(&[fake.endpoint()]);
        let mut watch = primary.watch(KeyRange::all(), PrimaryRevision::new(1)).await?;
        watch.next().await
    };
    assert_eq!(watched("none").await.unwrap().groups.len(), 1);
    for other in ["Watch/created", "Watch/event"] {
        let failure = watched(other).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::OtherCluster, "{other}: {failure}");
        assert!(failure.message.ends_with("answered as cluster 6; cluster 5 was asked before"));
    }
    let fake = FakeEtcd::of(only("KV/Txn")).await;
    let link = standby(&[fake.endpoint()]);
    let failure = link.commit(write("/k")).await.unwrap_err();
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::OtherCluster, true));
    let keys = [Key::from("/a"), Key::from("/b")];
    assert_eq!(link.read_keys(&keys, None).await.unwrap_err().class, FailureClass::OtherCluster);
    for other in ["Lease/LeaseGrant", "Maintenance/Status"] {
        let fake = FakeEtcd::of(only(other)).await;
        let standby = standby(&[fake.endpoint()]);
        standby.head().await.unwrap();
        let failure = match other {
            "Lease/LeaseGrant" => take(&standby).await.unwrap_err(),
            _ => standby.position().await.unwrap_err(),
        };
        assert_eq!(failure.class, FailureClass::OtherCluster, "{other}: {failure}");
    }
}

#[tokio::test]
async fn a_watch_without_an_id_is_taken_after_a_range_with_one() {
    // As `etcd grpc-proxy` answers the second watch of a range.
    let fake = FakeEtcd::of(|method| if method == "Watch/created" { 0 } else { 5 }).await;
    let primary = primary(&[fake.endpoint()]);
    let mut watch = primary.watch(KeyRange::all(), PrimaryRevision::new(1)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().groups.len(), 1);
    assert_eq!(fake.asked(), ["KV/Range", "Watch/Watch"], "its connection was proven before");
}

#[tokio::test]
async fn what_is_not_an_etcd_says_so_whatever_it_is_asked() {
    let kine = FakeEtcd::kine().await;
    let standby = standby(&[kine.endpoint()]);
    let keys = [leader(), Key::from("/registry/configmaps/team/app")];
    let failures = [
        standby.head().await.unwrap_err(),
        standby.position().await.unwrap_err(),
        standby.read_keys(&keys[..1], None).await.unwrap_err(),
        standby.watch(KeyRange::all(), StandbyRevision::new(1)).await.unwrap_err(),
        standby.commit(write("/k")).await.unwrap_err(),
        take(&standby).await.unwrap_err(),
        standby.read_keys(&keys, None).await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::NotEtcd, false));
        let said = format!("{}: not an etcd: ", kine.endpoint());
        assert!(failure.message.starts_with(&said), "{failure}");
        assert!(failure.message.ends_with("; etcd-sync needs an etcd on both ends"), "{failure}");
    }
    let writes = kine.asked().iter().filter(|it| !it.starts_with("KV/Range")).count();
    assert_eq!(writes, 3, "two statuses at most, and the read of two keys: {:?}", kine.asked());
}

#[tokio::test]
async fn a_watch_that_is_turned_away_from_is_opened_on_another_member() {
    let etcd = Etcd::start().await;
    let endpoint = &etcd.endpoints()[0];
    let (one, other) = tokio::join!(Proxy::start(endpoint), Proxy::start(endpoint));
    let primary = primary(&[one.endpoint(), other.endpoint()]);
    let open = async || primary.watch(KeyRange::all(), PrimaryRevision::new(1)).await.unwrap();
    drop(open().await);
    drop(open().await);
    assert_eq!((one.connections(), other.connections()), (1, 0));
    primary.turn_away();
    drop(open().await);
    assert_eq!((one.connections(), other.connections()), (1, 1));
    primary.turn_away();
    let mut watch = open().await;
    assert_eq!((one.connections(), other.connections()), (2, 1), "over a new connection");
    // One that ends by itself has turned away.
    one.cut();
    watch.next().await.unwrap_err();
    drop(open().await);
    assert_eq!((one.connections(), other.connections()), (2, 2));
}

#[tokio::test]
async fn a_grpc_proxy_is_as_good_as_its_cluster() {
    let etcd = Etcd::start().await;
    let address = format!("127.0.0.1:{}", ports::free());
    let mut command = Command::new(binaries::EtcdBinaries::primary().etcd);
    command
        .args(["grpc-proxy", "start", "--endpoints", &etcd.endpoints()[0]])
        .args(["--listen-addr", &address, "--data-dir"])
        .arg(etcd.dir().join("grpc-proxy"));
    let _proxy = Process::spawn("grpc-proxy", &mut command, &etcd.dir().join("grpc-proxy.log"));
    let endpoints = [format!("http://{address}")];
    let primary = primary(&endpoints);
    let direct = self::primary(&etcd.endpoints()).head().await.unwrap();
    let met = eventually("the proxy answers", LIMIT, async || primary.head().await.ok()).await;
    assert_eq!(met, direct);
    primary.position().await.unwrap();
    // The second watch of one range is created by the proxy itself, without an id.
    let from = PrimaryRevision::new(direct.revision.get() + 1);
    let mut one = primary.watch(KeyRange::all(), from).await.unwrap();
    let mut other = self::primary(&endpoints).watch(KeyRange::all(), from).await.unwrap();
    let standby = standby(&endpoints);
    standby.commit(write("/k")).await.unwrap();
    assert_eq!(one.next().await.unwrap().groups.len(), 1);
    assert_eq!(other.next().await.unwrap().groups.len(), 1);
    let ttl = Duration::from_secs(15);
    let lease = standby.take(&leader(), &Value::from("me"), Expect::Absent, ttl).await.unwrap();
    assert!(standby.keep(lease.unwrap()).await.unwrap());
    standby.give_back(lease.unwrap()).await.unwrap();
    assert!(!standby.keep(lease.unwrap()).await.unwrap());
}
