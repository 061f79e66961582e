//! What a guard stops: nothing is deleted or overwritten before somebody has agreed to exactly that.

use std::time::Duration;

use end_to_end::dump::differences;
use end_to_end::{Dump, Etcd, Mirror, Proxy, assert_equal_in_scope, dump, eventually, everything};
use etcd_client::{DeleteOptions, GetOptions};

use crate::support::{
    assert_caught_up, assert_equal, assert_only_guards, assert_refused, copy_data, fill, give,
    head, mirror, pair, put, release_command, wait_for_block,
};

#[tokio::test]
async fn one_cluster_is_not_mirrored_into_itself() {
    let etcd = Etcd::start().await;
    let proxy = Proxy::start(&etcd.endpoints()[0]).await;
    // Another address, and yet the same cluster.
    let mut mirror = mirror(&etcd.endpoints(), &[proxy.endpoint()]).start();
    let ended =
        eventually("the mirror ends", Duration::from_secs(30), async || mirror.process().ended());
    assert_eq!(ended.await.code(), Some(4));
    let log = mirror.process().output();
    assert!(log.contains("same cluster"), "{log}");
    assert!(dump(&etcd.client().await).await.keys.is_empty(), "it wrote something");
}

/// What the standby holds in scope.
async fn held(standby: &Etcd) -> Dump {
    dump(&standby.client().await).await.filtered(everything)
}

/// A blocked mirror has touched nothing, refuses another plan than its own, and carries out its own.
async fn assert_released_by_its_digest_only(
    mirror: &mut Mirror,
    guard: &str,
    before: &Dump,
    primary: &Etcd,
    standby: &Etcd,
) {
    wait_for_block(mirror, guard).await;
    assert_eq!(held(standby).await.keys, before.keys, "{guard}: the standby was touched");
    let release = release_command(mirror).await;
    let other = "0123456789abcdef0123456789abcdef";
    let refused = mirror.verb(&["resync", "--accept", other]);
    assert_refused(&refused, 4, &[other, &release[2], "etcd-sync resync --accept"]);
    // Neither does it begin to repair: that would not be looked at.
    let repair = mirror.verb(&["repair", "--execute", "--accept", other]);
    assert_refused(&repair, 4, &["blocked", guard, &release[2]]);
    assert_eq!(held(standby).await.keys, before.keys, "{guard}: the standby was touched");
    assert_eq!(release_command(mirror).await, release, "nothing moved, so the plan is the same");
    // It waits for the outcome.
    give(mirror, &release);
    assert_eq!(mirror.status().await.unwrap()["state"], "following");
    assert_caught_up(mirror, primary, standby).await;
    put(&mut primary.client().await, "/after", "released").await;
    assert_caught_up(mirror, primary, standby).await;
    assert_only_guards(mirror);
}

#[tokio::test]
async fn another_cluster_in_the_primarys_place_blocks() {
    let ((first, standby), second) = tokio::join!(pair(), Etcd::start());
    fill(&mut first.client().await, "/a/", 30, "first").await;
    let mut mirrored = mirror(&first.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &first, &standby).await;
    mirrored.kill();
    let before = held(&standby).await;
    fill(&mut second.client().await, "/a/", 10, "second").await;
    fill(&mut second.client().await, "/b/", 300, "second").await;
    let mut mirrored = mirror(&second.endpoints(), &standby.endpoints()).start();
    let guard = "cluster_changed";
    assert_released_by_its_digest_only(&mut mirrored, guard, &before, &second, &standby).await;
}

#[tokio::test]
async fn a_primary_that_was_wiped_blocks() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 300, "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let before = held(&standby).await;
    primary.wipe();
    primary.restart().await;
    let guard = "history_changed";
    assert_released_by_its_digest_only(&mut mirror, guard, &before, &primary, &standby).await;
}

#[tokio::test]
async fn a_primary_restored_from_an_older_copy_blocks() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 30, "1").await;
    let copy = copy_data(&mut primary).await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 5, "2").await;
    fill(&mut client, "/late/", 20, "2").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let before = held(&standby).await;
    copy.put_back(&mut primary).await;
    let guard = "history_changed";
    assert_released_by_its_digest_only(&mut mirror, guard, &before, &primary, &standby).await;
}

// The proxy goes on while an order waits for its outcome.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_primary_blocks_also_once_it_has_overtaken_the_checkpoint() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 30, "1").await;
    let copy = copy_data(&mut primary).await;
    let mut client = primary.client().await;
    for n in 0..10 {
        put(&mut client, &format!("/late/{n}"), "lost by the restore").await;
    }
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    let mut mirror = mirror(&[proxy.endpoint()], &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let before = held(&standby).await;
    // The mirror sees nothing of the restore but its outcome.
    proxy.refuse(true);
    proxy.cut();
    copy.put_back(&mut primary).await;
    let mut client = primary.client().await;
    while head(&mut client).await < before.revision + 20 {
        put(&mut client, "/new", "history").await;
    }
    proxy.heal();
    let guard = "history_changed";
    assert_released_by_its_digest_only(&mut mirror, guard, &before, &primary, &standby).await;
}

#[tokio::test]
async fn a_filter_that_was_changed_blocks_and_leaves_what_it_no_longer_admits() {
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 30, "1").await;
    fill(&mut client, "/b/", 30, "1").await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    mirrored.kill();
    let before = held(&standby).await;
    put(&mut client, "/a/00001", "2").await;
    put(&mut client, "/b/00001", "2").await;
    let narrowed = mirror(&primary.endpoints(), &standby.endpoints());
    let narrowed = narrowed.connection_flag("--exclude-prefix").connection_flag("/b/");
    let mut mirror = narrowed.start();
    wait_for_block(&mut mirror, "scope_changed").await;
    assert_eq!(held(&standby).await.keys, before.keys);
    give(&mirror, &release_command(&mirror).await);
    mirror.wait_for_state("following").await;
    let in_scope = |key: &[u8]| everything(key) && !key.starts_with(b"/b/");
    let revision = put(&mut client, "/a/00002", "2").await;
    mirror.wait_for_checkpoint(revision).await;
    let after = held(&standby).await;
    assert_equal_in_scope(&dump(&client).await, &after, in_scope);
    let left = |dump: &Dump| dump.filtered(|key| !in_scope(key)).keys;
    assert_eq!(left(&after), left(&before), "what left the scope was touched");
}

/// Mirrors 2,000 keys, ends the mirror, and makes the primary forget `deletes` of them, together
/// with the history that tells which.
async fn forget_keys(primary: &Etcd, standby: &Etcd, mirror: &mut Mirror, deletes: usize) {
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 2_000, "1").await;
    assert_caught_up(mirror, primary, standby).await;
    mirror.kill();
    let end = format!("/a/{deletes:05}");
    let range = DeleteOptions::new().with_range(end);
    client.delete("/a/", Some(range)).await.unwrap();
    put(&mut client, "/a/01999", "2").await;
    let head = put(&mut client, "/b", "2").await;
    client.compact(head, None).await.unwrap();
}

#[tokio::test]
async fn a_resync_that_would_delete_too_much_blocks() {
    let (primary, standby) = pair().await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    forget_keys(&primary, &standby, &mut mirror, 600).await;
    let before = held(&standby).await;
    mirror.restart();
    let status = wait_for_block(&mut mirror, "too_many_deletes").await;
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("600 of 2000 keys"), "{reason}");
    // It looks again every few seconds, and does not seem to copy meanwhile.
    let looked = std::time::Instant::now();
    while looked.elapsed() < Duration::from_secs(12) {
        let status = mirror.status().await.unwrap();
        assert_eq!(status["state"], "blocked", "{status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let guard = "too_many_deletes";
    assert_released_by_its_digest_only(&mut mirror, guard, &before, &primary, &standby).await;
}

#[tokio::test]
async fn a_resync_that_deletes_less_than_the_fuse_allows_asks_nobody() {
    let (primary, standby) = pair().await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    forget_keys(&primary, &standby, &mut mirror, 400).await;
    mirror.restart();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_plan_is_refused_once_what_it_deletes_has_changed() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 100, "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    primary.wipe();
    primary.restart().await;
    wait_for_block(&mut mirror, "history_changed").await;
    let release = release_command(&mirror).await;
    // One of the keys to be deleted is back: not what was agreed to.
    put(&mut primary.client().await, "/a/00050", "back").await;
    let before = held(&standby).await;
    // By the command, if the mirror has stored its new plan by now; else by the mirror.
    let refused = mirror.verb(&["resync", "--accept", &release[2]]);
    assert_refused(&refused, 4, &[&release[2], "current plan", "etcd-sync resync --accept"]);
    assert_eq!(held(&standby).await.keys, before.keys);
    let renewed = eventually("a plan of today", Duration::from_secs(20), async || {
        Some(release_command(&mirror).await).filter(|renewed| *renewed != release)
    });
    give(&mirror, &renewed.await);
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn an_accepted_plan_does_not_allow_the_next_one() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 20, "1").await;
    let copy = copy_data(&mut primary).await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    for round in ["first", "second"] {
        // Overwritten only: neither plan deletes anything, and yet they are not the same plan.
        fill(&mut primary.client().await, "/a/", 20, round).await;
        assert_caught_up(&mut mirror, &primary, &standby).await;
        let before = held(&standby).await;
        copy.put_back(&mut primary).await;
        wait_for_block(&mut mirror, "history_changed").await;
        assert_eq!(held(&standby).await.keys, before.keys, "after the {round} restore");
        give(&mirror, &release_command(&mirror).await);
        mirror.wait_for_state("following").await;
        assert_caught_up(&mut mirror, &primary, &standby).await;
    }
}

#[tokio::test]
async fn a_plan_that_is_shown_is_the_plan_that_is_accepted() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 30, "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    // Down meanwhile: what is blocked shows a plan of the last minute, and that may lack the key.
    mirror.terminate();
    primary.wipe();
    primary.restart().await;
    put(&mut primary.client().await, "/a/00003", "1").await;
    mirror.restart();
    wait_for_block(&mut mirror, "history_changed").await;
    let output = mirror.verb(&["plan", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["deletes"], 29, "{plan}");
    let digest = plan["digest"].as_str().unwrap();
    assert_eq!(release_command(&mirror).await[2], digest);
    give(&mirror, &["resync".into(), "--accept".into(), digest.into()]);
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn keys_that_others_made_on_the_standby_survive_a_resync() {
    let (mut primary, standby) = pair().await;
    let mut theirs = standby.client().await;
    put(&mut theirs, "/theirs/before", "1").await;
    fill(&mut primary.client().await, "/a/", 30, "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    let revision = head(&mut primary.client().await).await;
    mirror.wait_for_checkpoint(revision).await;
    put(&mut theirs, "/theirs/since", "1").await;
    primary.wipe();
    primary.restart().await;
    wait_for_block(&mut mirror, "history_changed").await;
    give(&mirror, &release_command(&mirror).await);
    mirror.wait_for_state("following").await;
    let revision = put(&mut primary.client().await, "/a/new", "1").await;
    mirror.wait_for_checkpoint(revision).await;
    let found = differences(
        &dump(&primary.client().await).await,
        &dump(&standby.client().await).await,
        everything,
    );
    assert_eq!(found, ["surplus   /theirs/before", "surplus   /theirs/since"]);
    let kept = theirs.get("/theirs/", Some(GetOptions::new().with_prefix())).await.unwrap();
    assert_eq!(kept.count(), 2);
}

#[tokio::test]
async fn what_a_plan_would_do_to_one_cluster_is_refused() {
    let etcd = Etcd::start().await;
    let endpoint = &etcd.endpoints()[0];
    let both = ["--primary-endpoints", endpoint, "--standby-endpoints", endpoint];
    let output = crate::support::etcd_sync(&[&["plan"], &both[..]].concat());
    assert_refused(&output, 4, &["same cluster"]);
    assert_equal(&etcd, &etcd).await;
}
