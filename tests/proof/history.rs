//! Histories that look like the one that was mirrored and are not, and the reverse.

use std::time::Duration;

use end_to_end::{Copy, Dump, Etcd, Mirror, Proxy, copy_data};
use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

use crate::support::{
    Writer, assert_blocks, assert_caught_up, assert_never_blocked, compact, fill, head, held,
    mirror, pair, put,
};

const ANOTHER_HISTORY: [&str; 2] = ["history_changed", "history_unproven"];

const KEYS: usize = 300;
const CHANGED: usize = 65;
const CREATED: usize = 20;

/// What the primary goes back to.
enum Older {
    Snapshot(std::path::PathBuf),
    Data(Copy),
}

impl Older {
    async fn put_back(&self, primary: &mut Etcd) {
        match self {
            Self::Snapshot(file) => primary.restore_snapshot(file).await,
            Self::Data(copy) => copy.put_back(primary).await,
        }
    }
}

/// What the mirror does between the newest writes and the day on which the primary is put back.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing, for some seconds, and then it is killed.
    Idles,
    /// It is asked to end, at once.
    Ends,
    /// It is killed, at once.
    Dies,
}

/// A pair and its mirror, which has mirrored what is newer than `older`.
struct World {
    primary: Etcd,
    standby: Etcd,
    mirror: Mirror,
    older: Older,
    checkpoint: i64,
    before: Dump,
    proxy: Proxy,
}

/// Keys that are changed, and then keys that are new.
async fn write_the_newest(client: &mut Client) {
    for n in 0..CHANGED {
        put(client, &format!("/d/{n:05}"), "newest").await;
    }
    for n in 0..CREATED {
        put(client, &format!("/d/new/{n:05}"), "newest").await;
    }
}

impl World {
    async fn new(data: bool) -> Self {
        let (mut primary, standby) = pair().await;
        fill(&mut primary.client().await, "/d/", KEYS, "old").await;
        let proxy = Proxy::start(&primary.endpoints()[0]).await;
        let mut mirror = mirror(&[proxy.endpoint()], &standby.endpoints()).start();
        assert_caught_up(&mut mirror, &primary, &standby).await;
        let older = if data {
            Older::Data(copy_data(&mut primary).await)
        } else {
            Older::Snapshot(primary.save_snapshot())
        };
        let mut client = primary.client().await;
        // Whatever is stored now and then only has been stored now.
        put(&mut client, "/d/new/first", "newest").await;
        assert_caught_up(&mut mirror, &primary, &standby).await;
        write_the_newest(&mut client).await;
        assert_caught_up(&mut mirror, &primary, &standby).await;
        let checkpoint = head(&mut client).await;
        let before = held(&standby).await;
        Self { primary, standby, mirror, older, checkpoint, before, proxy }
    }

    /// Puts the primary back while the mirror is down.
    async fn set_back(&mut self, last: Last) -> Client {
        match last {
            Last::Idles => {
                tokio::time::sleep(Duration::from_secs(7)).await;
                self.mirror.kill();
            }
            Last::Ends => drop(self.mirror.terminate()),
            Last::Dies => self.mirror.kill(),
        }
        self.older.put_back(&mut self.primary).await;
        self.primary.client().await
    }

    async fn overtake_with_other_keys(&self, client: &mut Client) {
        for n in 0.. {
            let key = format!("/d/other/{n:05}");
            if put(client, &key, "another life").await > self.checkpoint + 50 {
                break;
            }
        }
    }

    async fn assert_blocks(&mut self) {
        assert_blocks(&mut self.mirror, &self.standby, &self.before, &ANOTHER_HISTORY).await;
    }

    async fn overtake_with_the_same_keys(&self, client: &mut Client) {
        for n in 0.. {
            let key = format!("/d/{:05}", n % CHANGED);
            if put(client, &key, &format!("another life {n}")).await > self.checkpoint + 50 {
                break;
            }
        }
    }
}

/// The log goes on from the copy, and comes to be longer than it was.
async fn a_data_directory_put_back_blocks(last: Last) {
    let mut world = World::new(true).await;
    let mut client = world.set_back(last).await;
    world.overtake_with_other_keys(&mut client).await;
    compact(&mut client).await;
    world.mirror.restart();
    world.assert_blocks().await;
}

#[tokio::test]
async fn a_data_directory_put_back_behind_an_idle_mirror_blocks() {
    a_data_directory_put_back_blocks(Last::Idles).await;
}

#[tokio::test]
async fn a_data_directory_put_back_behind_a_mirror_that_was_ended_blocks() {
    a_data_directory_put_back_blocks(Last::Ends).await;
}

#[tokio::test]
async fn a_data_directory_put_back_behind_a_mirror_that_was_killed_blocks() {
    a_data_directory_put_back_blocks(Last::Dies).await;
}

/// What was changed last is changed in the other life as well, and later than the checkpoint. What
/// shows it was noted earlier, and is stored a few seconds after the last change.
#[tokio::test]
async fn a_data_directory_put_back_that_overtakes_with_the_same_keys_blocks() {
    let mut world = World::new(true).await;
    let mut client = world.set_back(Last::Idles).await;
    world.overtake_with_the_same_keys(&mut client).await;
    compact(&mut client).await;
    world.mirror.restart();
    world.assert_blocks().await;
}

/// A mirror that runs sees a primary that was away for a moment and is now ahead.
#[tokio::test]
async fn a_restore_behind_the_back_of_a_mirror_that_runs_blocks() {
    let mut world = World::new(false).await;
    world.proxy.refuse(true);
    world.proxy.cut();
    world.older.put_back(&mut world.primary).await;
    let mut client = world.primary.client().await;
    world.overtake_with_the_same_keys(&mut client).await;
    compact(&mut client).await;
    world.proxy.heal();
    world.assert_blocks().await;
}

/// The log of the restored primary is as long as the old one, and its term as high: it was restarted
/// often, and has seen many transactions that changed nothing.
#[tokio::test]
async fn a_restored_primary_whose_log_has_overtaken_too_blocks() {
    let mut world = World::new(false).await;
    drop(world.set_back(Last::Idles).await);
    for _ in 0..3 {
        world.primary.kill();
        world.primary.restart().await;
    }
    let mut client = world.primary.client().await;
    let lost = Compare::create_revision("/d/00000", CompareOp::Equal, 0);
    for _ in 0..world.checkpoint + 100 {
        let txn = Txn::new().when([lost.clone()]).and_then([TxnOp::put("/d/00000", "", None)]);
        assert!(!client.txn(txn).await.unwrap().succeeded());
    }
    world.overtake_with_other_keys(&mut client).await;
    compact(&mut client).await;
    world.mirror.restart();
    world.assert_blocks().await;
}

/// It was restored once, and that was accepted. It is restored again, from a snapshot of this life.
#[tokio::test]
async fn a_second_restore_with_a_bumped_revision_blocks_again() {
    let mut world = World::new(false).await;
    for _ in 0..2 {
        let snapshot = world.primary.save_snapshot();
        write_the_newest(&mut world.primary.client().await).await;
        put(&mut world.primary.client().await, "/d/new/late", "newest").await;
        assert_caught_up(&mut world.mirror, &world.primary, &world.standby).await;
        world.before = held(&world.standby).await;
        world.mirror.terminate();
        world.primary.restore_bumped(&snapshot, 1_000_000_000).await;
        world.mirror.restart();
        world.assert_blocks().await;
        let status = world
            .mirror
            .wait_for("a plan", |status| {
                let release = status["blocked"]["release"].as_str().unwrap_or_default();
                release.contains("--accept ")
            })
            .await;
        let release = status["blocked"]["release"].as_str().unwrap();
        let (_, digest) = release.split_once("--accept ").unwrap();
        let digest = digest.split(|c: char| !c.is_ascii_hexdigit()).next().unwrap();
        // Not waited for: the mirror reaches the primary through a proxy of this very thread.
        let verb = ["resync", "--accept", digest, "--wait=false"];
        let output = world.mirror.verb(&verb);
        assert!(output.status.success(), "{output:?}");
        world.mirror.wait_for_state("following").await;
        assert_caught_up(&mut world.mirror, &world.primary, &world.standby).await;
    }
}

/// Hundreds of writes a second, compacted every two seconds, before, while and after the mirror is
/// down.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_primary_compacted_every_two_seconds_is_followed_after_an_outage() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", KEYS, "old").await;
    let every = Some(Duration::from_secs(2));
    let writer = Writer::start(&primary, "/d/busy/", Duration::from_millis(2), every).await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_follows(&mut mirror, &primary).await;
    mirror.terminate();
    tokio::time::sleep(Duration::from_secs(10)).await;
    mirror.restart();
    assert_follows(&mut mirror, &primary).await;
    // The lease of a leader that was killed has to end first: another such outage.
    mirror.kill();
    mirror.restart();
    assert_follows(&mut mirror, &primary).await;
    writer.stop();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert_never_blocked(&mut mirror);
}

/// It has come as far as the primary is now, though that goes on.
async fn assert_follows(mirror: &mut Mirror, primary: &Etcd) {
    let revision = head(&mut primary.client().await).await;
    mirror.wait_for_checkpoint(revision).await;
    mirror.wait_for_state("following").await;
}

/// Everything that could bear witness is gone: the scope was emptied during the outage, and filled
/// with other keys.
#[tokio::test]
async fn a_primary_that_deleted_all_that_was_mirrored_is_followed() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", KEYS, "old").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    write_the_newest(&mut primary.client().await).await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.kill();
    for _ in 0..2 {
        primary.kill();
        primary.restart().await;
    }
    let mut client = primary.client().await;
    let all = etcd_client::DeleteOptions::new().with_prefix();
    client.delete("/d/", Some(all)).await.unwrap();
    fill(&mut client, "/e/", KEYS, "new").await;
    compact(&mut client).await;
    mirror.restart();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert_never_blocked(&mut mirror);
}
