//! One address, two clusters: a misrouted load balancer, an address that was given away. Every
//! answer is from the cluster that was asked first, or it counts for nothing.

use std::time::Duration;

use end_to_end::{Etcd, Mirror, Proxy, dump};

use crate::support::{
    assert_caught_up, fill, give, head, mirror, pair, put, release_command, wait_for_block,
};

/// A cluster that knows nothing of the others and is further along.
async fn stranger() -> Etcd {
    let stranger = Etcd::start().await;
    let mut client = stranger.client().await;
    for n in 0..40 {
        put(&mut client, &format!("/strange/{n:02}"), "strange").await;
    }
    stranger
}

/// Nothing of the stranger's keys is on the standby.
async fn assert_nothing_strange(standby: &Etcd) {
    let held = dump(&standby.client().await).await;
    let strange = held.keys.keys().filter(|key| key.starts_with(b"/strange/")).count();
    assert_eq!(strange, 0, "keys of another cluster were mirrored");
}

#[tokio::test]
async fn an_address_of_two_primaries_mirrors_one_of_them() {
    let ((primary, standby), stranger) = tokio::join!(pair(), stranger());
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "first").await;
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    // Reads are answered by the primary, the watch is not.
    proxy.lead_astray(&stranger.endpoints()[0], |connection| connection > 1);
    let mut mirror = mirror(&[proxy.endpoint()], &standby.endpoints()).start();
    let blocked = mirror.wait_for_state("blocked").await;
    assert_eq!(blocked["blocked"]["guard"], "cluster_changed", "{blocked}");
    let reason = blocked["blocked"]["reason"].as_str().unwrap();
    assert!(reason.contains("answered as cluster"), "{reason}");
    for n in 0..20 {
        put(&mut stranger.client().await, &format!("/strange/more/{n}"), "strange").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_nothing_strange(&standby).await;
    proxy.lead_home();
    mirror.wait_for_state("following").await;
    put(&mut client, "/a/after", "home").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;

    // Every other connection of a mirror that follows.
    proxy.lead_astray(&stranger.endpoints()[0], |connection| connection % 2 == 0);
    for n in 0..3 {
        proxy.cut();
        put(&mut client, &format!("/a/more/{n}"), "home").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_nothing_strange(&standby).await;
    proxy.lead_home();
    proxy.cut();
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn an_address_of_two_standbys_writes_one_of_them() {
    let ((primary, standby), stranger) = tokio::join!(pair(), stranger());
    let mut client = primary.client().await;
    fill(&mut client, "/strange/", 30, "ours").await;
    let untouched = head(&mut stranger.client().await).await;
    let proxy = Proxy::start(&standby.endpoints()[0]).await;
    // Reads are answered by the standby, leases and transactions are not.
    proxy.lead_astray(&stranger.endpoints()[0], |connection| connection > 1);
    let mut mirror = mirror(&primary.endpoints(), &[proxy.endpoint()]).start();
    let blocked = mirror.wait_for_state("blocked").await;
    assert_eq!(blocked["blocked"]["guard"], "standby_changed", "{blocked}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(head(&mut stranger.client().await).await, untouched, "a stranger was written");
    proxy.lead_home();
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;

    // Every other connection of a mirror that follows.
    proxy.lead_astray(&stranger.endpoints()[0], |connection| connection % 2 == 0);
    for n in 0..4 {
        proxy.cut();
        put(&mut client, &format!("/a/more/{n}"), "home").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(head(&mut stranger.client().await).await, untouched, "a stranger was written");
    proxy.lead_home();
    proxy.cut();
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert_eq!(head(&mut stranger.client().await).await, untouched, "a stranger was written");
}

/// What `/check` says.
async fn verdict(mirror: &Mirror) -> String {
    let answer = mirror.get("/check").await.unwrap();
    answer.header("X-Etcd-Sync-Verdict").map_or(answer.body.clone(), str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_given_to_another_cluster_is_gone_on_with_once_that_is_accepted() {
    let ((primary, standby), stranger) = tokio::join!(pair(), stranger());
    fill(&mut primary.client().await, "/a/", 20, "first").await;
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    let mut mirror = mirror(&[proxy.endpoint()], &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert_eq!(verdict(&mirror).await, "in-sync");
    proxy.lead_astray(&stranger.endpoints()[0], |_| true);
    proxy.cut();
    wait_for_block(&mut mirror, "cluster_changed").await;
    assert_nothing_strange(&standby).await;
    give(&mirror, &release_command(&mirror).await);
    mirror.wait_for_state("following").await;
    assert_caught_up(&mut mirror, &stranger, &standby).await;
    // The check has connections of its own, and had met the former cluster over them.
    assert_eq!(verdict(&mirror).await, "in-sync");
}
