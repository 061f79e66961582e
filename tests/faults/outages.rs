//! A side that dies, hangs or vanishes: the mirror says so, waits, and goes on by itself.

use std::time::{Duration, Instant};

use end_to_end::{Direction, Etcd, Mirror, Proxy, Recorder, eventually, everything, seed};
use etcd_client::Client;

use crate::support::{
    assert_caught_up, assert_equal, assert_history, fill, head, mirror, pair, patient_load, put,
    wait_for_lag, wait_for_ready,
};

/// A mirror that counts as ready only while it lags by less than three seconds.
async fn following(primary: &str, standby: &str) -> Mirror {
    let builder = mirror(&[primary.to_owned()], &[standby.to_owned()]);
    let mut mirror = builder.flag("--ready-max-lag").flag("3s").start();
    mirror.wait_for_state("following").await;
    wait_for_ready(&mirror, true).await;
    mirror
}

/// While a side is away the lag grows, second by second, and the mirror does not call itself ready.
async fn assert_lag_grows(mirror: &mut Mirror, upto: f64) {
    wait_for_lag(mirror, 4.0).await;
    wait_for_ready(mirror, false).await;
    let first = mirror.status().await.unwrap()["lag_seconds"].as_f64().unwrap();
    let began = Instant::now();
    let status = wait_for_lag(mirror, upto).await;
    let grown = status["lag_seconds"].as_f64().unwrap() - first;
    let passed = began.elapsed().as_secs_f64();
    assert!((grown - passed).abs() < 3.0, "lag grew by {grown} s in {passed} s");
    wait_for_ready(mirror, false).await;
}

/// Goes on by itself, with what happened meanwhile and what happens next.
async fn assert_goes_on(mirror: &mut Mirror, primary: &Etcd, standby: &Etcd) {
    assert_caught_up(mirror, primary, standby).await;
    fill(&mut primary.client().await, "/after/", 20, "after").await;
    assert_caught_up(mirror, primary, standby).await;
    wait_for_ready(mirror, true).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_killed_primary_is_waited_for() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/a/", 20, "1").await;
    let mut mirror = following(&primary.endpoints()[0], &standby.endpoints()[0]).await;
    for _ in 0..2 {
        put(&mut primary.client().await, "/last", "word").await;
        primary.kill();
        assert_lag_grows(&mut mirror, 7.0).await;
        primary.restart().await;
        assert_goes_on(&mut mirror, &primary, &standby).await;
    }
}

#[tokio::test]
async fn a_killed_standby_is_waited_for() {
    let (primary, mut standby) = pair().await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "1").await;
    let mut mirror = following(&primary.endpoints()[0], &standby.endpoints()[0]).await;
    for round in 0..2 {
        standby.kill();
        fill(&mut client, "/meanwhile/", 50, &round.to_string()).await;
        client.delete("/a/00007", None).await.unwrap();
        assert_lag_grows(&mut mirror, 7.0).await;
        standby.restart().await;
        assert_goes_on(&mut mirror, &primary, &standby).await;
    }
}

#[tokio::test]
async fn a_primary_frozen_for_half_a_minute_is_waited_for() {
    let (mut primary, standby) = pair().await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "1").await;
    let mut mirror = following(&primary.endpoints()[0], &standby.endpoints()[0]).await;
    primary.freeze();
    assert_lag_grows(&mut mirror, 30.0).await;
    primary.thaw();
    assert_goes_on(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn a_standby_frozen_for_half_a_minute_is_waited_for() {
    let (primary, mut standby) = pair().await;
    let recorders = Recorders::start(&primary, &standby);
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "1").await;
    let mut mirror = following(&primary.endpoints()[0], &standby.endpoints()[0]).await;
    standby.freeze();
    // Each is a transaction that is sent, given up, and perhaps done after all.
    for n in 0..30 {
        put(&mut client, "/a/00003", &n.to_string()).await;
        client.delete(format!("/a/{:05}", n % 20), None).await.unwrap();
    }
    assert_lag_grows(&mut mirror, 30.0).await;
    standby.thaw();
    assert_goes_on(&mut mirror, &primary, &standby).await;
    recorders.assert_one_history().await;
}

/// What both sides held over time.
struct Recorders {
    primary: Recorder,
    standby: Recorder,
}

impl Recorders {
    fn start(primary: &Etcd, standby: &Etcd) -> Self {
        Self {
            primary: Recorder::start(primary.access(), everything),
            standby: Recorder::start(standby.access(), everything),
        }
    }

    async fn assert_one_history(self) -> usize {
        let (primary, standby) = tokio::join!(self.primary.finish(), self.standby.finish());
        assert_history(&primary, &standby, 1)
    }
}

#[tokio::test]
async fn a_primary_that_vanishes_without_a_word_is_waited_for() {
    let (primary, standby) = pair().await;
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "1").await;
    let mut mirror = following(&proxy.endpoint(), &standby.endpoints()[0]).await;
    proxy.blackhole();
    fill(&mut client, "/meanwhile/", 20, "1").await;
    client.delete("/a/00001", None).await.unwrap();
    assert_lag_grows(&mut mirror, 12.0).await;
    proxy.heal();
    assert_goes_on(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn a_standby_that_vanishes_without_a_word_is_waited_for() {
    let (primary, standby) = pair().await;
    let recorders = Recorders::start(&primary, &standby);
    let proxy = Proxy::start(&standby.endpoints()[0]).await;
    let mut client = primary.client().await;
    fill(&mut client, "/a/", 20, "1").await;
    let mut mirror = following(&primary.endpoints()[0], &proxy.endpoint()).await;
    proxy.blackhole();
    fill(&mut client, "/meanwhile/", 20, "1").await;
    client.delete("/a/00001", None).await.unwrap();
    assert_lag_grows(&mut mirror, 12.0).await;
    proxy.heal();
    assert_goes_on(&mut mirror, &primary, &standby).await;
    recorders.assert_one_history().await;
}

/// A load that runs until the trouble is over, and a while longer.
fn load(client: Client, time: Duration, test: &str) -> tokio::task::JoinHandle<()> {
    let mut dice = seed::dice(test);
    let mut client = client;
    tokio::spawn(async move {
        let tally = patient_load(time).run(&mut client, &mut dice).await;
        assert!(tally.puts > 0, "{tally:?}");
    })
}

#[tokio::test]
async fn answers_of_the_standby_that_are_lost_mix_nothing_up() {
    let (primary, standby) = pair().await;
    let recorders = Recorders::start(&primary, &standby);
    let proxy = Proxy::start(&standby.endpoints()[0]).await;
    let mut mirror = following(&primary.endpoints()[0], &proxy.endpoint()).await;
    let load = load(primary.client().await, Duration::from_secs(16), "lost answers");
    for _ in 0..2 {
        let sent = proxy.bytes(Direction::ToServer);
        proxy.drop_answers();
        // Requests arrive, are done, and nobody hears of it.
        eventually("requests go on", Duration::from_secs(20), async || {
            (proxy.bytes(Direction::ToServer) > sent + 1_000).then_some(())
        })
        .await;
        wait_for_lag(&mut mirror, 6.0).await;
        proxy.heal();
        let revision = head(&mut primary.client().await).await;
        mirror.wait_for_checkpoint(revision).await;
    }
    load.await.unwrap();
    assert_goes_on(&mut mirror, &primary, &standby).await;
    assert!(recorders.assert_one_history().await > 10);
}

#[tokio::test]
async fn answers_of_the_primary_that_are_lost_lose_nothing() {
    let (primary, standby) = pair().await;
    let recorders = Recorders::start(&primary, &standby);
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    let mut mirror = following(&proxy.endpoint(), &standby.endpoints()[0]).await;
    let load = load(primary.client().await, Duration::from_secs(10), "lost events");
    proxy.drop_answers();
    assert_lag_grows(&mut mirror, 8.0).await;
    proxy.heal();
    load.await.unwrap();
    assert_goes_on(&mut mirror, &primary, &standby).await;
    assert!(recorders.assert_one_history().await > 1);
}

#[tokio::test]
async fn connections_that_are_reset_again_and_again_lose_nothing() {
    let (primary, standby) = pair().await;
    let recorders = Recorders::start(&primary, &standby);
    let front = Proxy::start(&primary.endpoints()[0]).await;
    let back = Proxy::start(&standby.endpoints()[0]).await;
    let mut mirror = following(&front.endpoint(), &back.endpoint()).await;
    let test = "resets";
    let load = load(primary.client().await, Duration::from_secs(12), test);
    let mut dice = seed::dice(test);
    let mut resets = 0;
    while !load.is_finished() {
        // The only pace there is: nothing to wait for.
        tokio::time::sleep(Duration::from_millis(dice.below(700))).await;
        let cut = if dice.chance(50) { &front } else { &back };
        cut.cut();
        resets += 1;
    }
    load.await.unwrap();
    assert!(resets > 10);
    assert_goes_on(&mut mirror, &primary, &standby).await;
    assert!(recorders.assert_one_history().await > 10);
}

/// A write through a member that lives is on the standby within seconds.
async fn assert_follows_within(
    mirror: &mut Mirror,
    client: &mut Client,
    key: &str,
    limit: Duration,
) {
    let began = Instant::now();
    let revision = eventually("the primary takes a write", Duration::from_secs(20), async || {
        let put = client.put(key, "1", None).await.ok()?;
        Some(put.header()?.revision())
    })
    .await;
    mirror.wait_for_checkpoint(revision).await;
    assert!(began.elapsed() < limit, "{key} took {:?}", began.elapsed());
}

#[tokio::test]
async fn with_members_left_the_mirror_goes_on_within_seconds() {
    let limit = Duration::from_secs(20);
    let (mut primary, standby) =
        tokio::join!(Etcd::builder().members(3).start(), Etcd::start_standby());
    put(&mut primary.client().await, "/a", "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    mirror.wait_for_state("following").await;

    // The first endpoint is the one in use.
    primary.kill_member(0);
    let mut client = primary.access().client_of(1).await;
    assert_follows_within(&mut mirror, &mut client, "/first-died", limit).await;
    primary.restart().await;

    let leader = leader(&primary).await;
    primary.kill_member(leader);
    let other = (leader + 1) % 3;
    let mut client = primary.access().client_of(other).await;
    assert_follows_within(&mut mirror, &mut client, "/leader-died", limit).await;

    // A mirror that starts while a member is dead.
    mirror.kill();
    mirror.restart();
    assert_follows_within(&mut mirror, &mut client, "/restarted", limit).await;
    primary.restart().await;

    primary.process(other).freeze();
    let last = (other + 1) % 3;
    let mut client = primary.access().client_of(last).await;
    assert_follows_within(&mut mirror, &mut client, "/frozen", Duration::from_secs(40)).await;
    primary.process(other).thaw();
    assert_equal(&primary, &standby).await;
    mirror.assert_no_errors(&[]);
}

/// The index of the member that leads.
async fn leader(etcd: &Etcd) -> usize {
    for member in 0..3 {
        let status = etcd.access().client_of(member).await.status().await.unwrap();
        if status.header().unwrap().member_id() == status.leader() {
            return member;
        }
    }
    panic!("no member leads");
}
