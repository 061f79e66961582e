//! What the standby deletes again and again is left alone after a while, and told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use end_to_end::{Etcd, eventually};
use etcd_client::{EventType, WatchOptions};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::object::object;
use crate::support::{
    PATIENCE, arrives, assert_in_sync, caught_up, check, delete, expected, mirror, named, pair,
    put, settled, value,
};

const OWNER: &str = "/registry/example.io/things/shop/owner";
const OWNED: &str = "/registry/example.io/things/shop/owned";
const SECRET: &str = "/registry/secrets/shop/robot-token";
const OTHER: &str = "/registry/configmaps/shop/settings";
const UNWANTED: [&str; 3] = [OWNED, SECRET, OTHER];

/// Somebody who deletes some keys of the standby whenever they are there.
struct Deleter {
    puts: Arc<Mutex<BTreeMap<String, u32>>>,
    task: JoinHandle<()>,
}

impl Deleter {
    async fn start(standby: &Etcd) -> Self {
        let mut client = standby.client().await;
        let options = WatchOptions::new().with_prefix();
        let mut stream = client.watch("/registry/", Some(options)).await.unwrap();
        let puts = Arc::new(Mutex::new(BTreeMap::new()));
        let counts = Arc::clone(&puts);
        let task = tokio::spawn(async move {
            while let Ok(Some(answer)) = stream.message().await {
                for event in answer.events() {
                    let key = event.kv().unwrap().key_str().unwrap().to_owned();
                    if event.event_type() == EventType::Put && UNWANTED.contains(&key.as_str()) {
                        client.delete(key.as_str(), None).await.unwrap();
                        *counts.lock().unwrap().entry(key).or_default() += 1;
                    }
                }
            }
        });
        Self { puts, task }
    }

    /// How often each key came back.
    fn puts(&self) -> Vec<u32> {
        let puts = self.puts.lock().unwrap();
        UNWANTED.iter().map(|key| puts.get(*key).copied().unwrap_or(0)).collect()
    }
}

fn refused(count: u64) -> impl Fn(&Value) -> bool {
    move |status| status["drift"]["refused"] == count && status["drift"]["waiting"] == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_something_keeps_deleting_is_told_as_refused_and_not_fought_for_ever() {
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    let owned = |content: &str| object("Thing", "owned").owned_by("owner").holding(content);
    put(&from, OWNER, object("Thing", "owner").stored()).await;
    put(&from, OWNED, owned("1").stored()).await;
    put(&from, SECRET, object("Secret", "robot-token").stored()).await;
    put(&from, OTHER, "1").await;
    let mut mirror = mirror(&primary, &standby).flag("--heal-limit").flag("2").start();
    settled(&mut mirror, &primary).await;

    let deleter = Deleter::start(&standby).await;
    for key in UNWANTED {
        delete(&to, key).await;
    }
    let status = mirror.wait_for("three keys are refused", refused(3)).await;
    assert_eq!(status["drift"]["healed"], 6, "{status}");
    let reasons = status["drift"]["refused_keys"].as_array().unwrap();
    for (key, words) in [
        (OWNED, "the garbage collector"),
        (SECRET, "the token controller"),
        (OTHER, "a controller, an operator or a person"),
    ] {
        let told = reasons.iter().find(|told| told["key"] == key).unwrap();
        let reason = told["reason"].as_str().unwrap();
        assert!(reason.contains("put back 2 times") && reason.contains(words), "{told}");
    }
    eventually("`etcd-sync status` tells of them", PATIENCE, async || {
        let said = String::from_utf8(mirror.verb(&["status"]).stdout).unwrap();
        (said.contains("refused") && said.contains("3 keys: ")).then_some(())
    })
    .await;
    let missed = UNWANTED.map(|key| (key, "missed", "foreign-write"));
    assert_eq!(named(&check(&mirror).await.1), expected(&missed));

    // Nobody fights on: what the primary writes elsewhere comes, and these stay away.
    put(&from, "/registry/configmaps/shop/another", "1").await;
    caught_up(&mut mirror, &primary).await;
    assert_eq!(deleter.puts(), [2, 2, 2]);

    // A new value is written once, as any change is, and is watched again.
    put(&from, OTHER, "2").await;
    put(&from, OWNED, owned("2").stored()).await;
    mirror.wait_for("a new value had a new chance", |status| status["drift"]["refused"] == 1).await;
    let status = mirror.wait_for("and was refused again", refused(3)).await;
    assert_eq!(status["drift"]["healed"], 10, "{status}");
    assert_eq!(deleter.puts(), [5, 2, 5]);

    // Once nobody deletes it any more, the next value stays.
    deleter.task.abort();
    put(&from, OTHER, "3").await;
    put(&from, SECRET, object("Secret", "robot-token").holding("3").stored()).await;
    put(&from, OWNED, owned("3").stored()).await;
    arrives(&to, OWNED, owned("3").stored().as_bytes()).await;
    caught_up(&mut mirror, &primary).await;
    let status = mirror.wait_for("nothing is refused", refused(0)).await;
    assert_eq!(status["drift"]["healed"], 10, "{status}");
    assert_eq!(value(&to, OTHER).await.as_deref(), Some(&b"3"[..]));
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}
