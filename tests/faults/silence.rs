//! A watch that is open and brings nothing, and questions that are not answered: noticed, said, ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use end_to_end::Etcd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    PATIENCE, assert_caught_up, assert_equal, fill, mirror, pair, put, wait_for_ready,
};

/// A proxy that, once told to, swallows what the server sends on streams that have been open for a
/// second, of the connections that are there at that moment: a watch falls silent, its connection
/// answers pings, and every other question is answered.
struct Swallower {
    endpoint: String,
    swallows: Arc<AtomicBool>,
    accept: tokio::task::JoinHandle<()>,
}

impl Swallower {
    async fn start(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let swallows = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&swallows);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that is made later is well.
                let old = !told.load(Ordering::Relaxed);
                tokio::spawn(connection(client, target.clone(), old.then(|| told.clone())));
            }
        });
        Self { endpoint, swallows, accept }
    }

    fn swallow(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }
}

impl Drop for Swallower {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn connection(client: TcpStream, target: String, swallows: Option<Arc<AtomicBool>>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async move {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async move {
        let mut opened: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut head = [0; 9];
        while from_server.read_exact(&mut head).await.is_ok() {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut body = vec![0; length];
            if from_server.read_exact(&mut body).await.is_err() {
                break;
            }
            let since = *opened.entry(stream).or_insert_with(Instant::now);
            let is_data = head[3] == 0;
            let told = swallows.as_ref().is_some_and(|told| told.load(Ordering::Relaxed));
            if is_data && told && since.elapsed() > Duration::from_secs(1) {
                continue;
            }
            if to_client.write_all(&head).await.is_err()
                || to_client.write_all(&body).await.is_err()
            {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(up, down);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_noticed_said_and_opened_again() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    let between = Swallower::start(&primary.endpoints()[0]).await;
    let builder = mirror(&[between.endpoint.clone()], &standby.endpoints());
    let mut mirror = builder.flag("--log-format").flag("text").start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    between.swallow();
    let begin = Instant::now();
    fill(&mut primary.client().await, "/late/", 20, "1").await;
    // The lag grows meanwhile, and nobody says that all is well.
    let behind = mirror
        .wait_for("behind", |status| status["lag_seconds"].as_f64().is_some_and(|lag| lag > 2.0))
        .await;
    assert_ne!(behind["lag_revisions"], 0, "{behind}");
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert!(begin.elapsed() < Duration::from_secs(12), "it took {:?}", begin.elapsed());
    let metrics = mirror.get("/metrics").await.unwrap().body;
    let stalls = metrics
        .lines()
        .find(|line| line.starts_with("etcd_sync_watch_stalls_total{side=\"primary\"}"))
        .unwrap_or_else(|| panic!("no stall is counted: {metrics}"));
    assert!(!stalls.ends_with(" 0"), "{stalls}");
    let log = mirror.process().output();
    assert!(log.contains("watch brings nothing"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_of_the_standby_is_opened_again() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    let between = Swallower::start(&standby.endpoints()[0]).await;
    let mut mirror = mirror(&primary.endpoints(), &[between.endpoint.clone()]).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    between.swallow();
    // Somebody takes a key away; the mirror's own writes show that its watch is dead.
    standby.client().await.delete("/k/00003", None).await.unwrap();
    put(&mut primary.client().await, "/k/00001", "2").await;
    end_to_end::eventually("the key is put back", PATIENCE, async || {
        let found = standby.client().await.get("/k/00003", None).await.ok()?;
        (found.kvs().len() == 1).then_some(())
    })
    .await;
    assert_equal(&primary, &standby).await;
    let log = mirror.process().output();
    assert!(log.contains("standby's watch brings nothing"), "{log}");
}

#[tokio::test]
async fn a_role_that_is_revoked_while_the_watch_lives_is_said() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    primary.enable_auth("secret").await;
    for args in [
        ["user", "add", "mirror:word"].as_slice(),
        &["role", "add", "reader"],
        &["role", "grant-permission", "reader", "read", "", "--from-key=true"],
        &["user", "grant-role", "mirror", "reader"],
    ] {
        primary.etcdctl(args);
    }
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "word").unwrap();
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let mut mirror = builder
        .connection_flag("--primary-user")
        .connection_flag("mirror")
        .connection_flag("--primary-password-file")
        .connection_flag(password.path())
        .flag("--ready-max-lag")
        .flag("5s")
        .start();
    mirror.wait_for_state("following").await;
    wait_for_ready(&mirror, true).await;
    primary.etcdctl(&["user", "revoke-role", "mirror", "reader"]);
    let status = mirror
        .wait_for("the silence is said", |status| {
            let silent = status["reason"].as_str().unwrap_or_default().contains("has not answered");
            silent && status["lag_seconds"].as_f64().is_some_and(|lag| lag > 5.0)
        })
        .await;
    assert_ne!(status["verdict"], "ok", "{status}");
    wait_for_ready(&mirror, false).await;
    let log = mirror.process().output();
    assert!(log.contains("the primary has not answered"), "{log}");
    primary.etcdctl(&["user", "grant-role", "mirror", "reader"]);
    wait_for_ready(&mirror, true).await;
    let _: &Etcd = &standby;
}
