//! Stopped, killed, late: what a mirror makes of the time that it missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use end_to_end::{Etcd, Load, Mirror, dump, everything, seed};
use etcd_client::{Client, EventType, WatchOptions};
use tokio::time::Instant;

use crate::pair::{Pair, Step, check_histories, fill, head, history, recording, value};

/// Compacts everything but the newest revision.
async fn compact(client: &Client) {
    client.clone().compact(head(client).await, None).await.unwrap();
}

/// Ends a mirror in one of two ways.
fn end(mirror: &mut Mirror, kill: bool) {
    if kill {
        mirror.kill();
    } else {
        assert!(mirror.terminate().success());
    }
}

async fn a_gap_is_closed(kill: bool) {
    let pair = Pair::start().await;
    let (mut primary, mut standby) = (pair.primary.client().await, pair.standby.client().await);
    fill(&primary, "/k/", 0..300, |number| number.to_string().into_bytes()).await;
    standby.put("/own/before", "mine", None).await.unwrap();
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    standby.put("/own/while", "mine", None).await.unwrap();
    // Followed, not copied: it is ours all the same.
    primary.put("/k/followed", "1", None).await.unwrap();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    end(&mut mirror, kill);

    standby.put("/own/stopped", "mine", None).await.unwrap();
    let before = dump(&standby).await;
    for number in 0..60 {
        primary.delete(format!("/k/{number:05}"), None).await.unwrap();
    }
    primary.delete("/k/followed", None).await.unwrap();
    for number in 60..110 {
        primary.put(format!("/k/{number:05}"), "changed", None).await.unwrap();
    }
    for number in 300..320 {
        primary.put(format!("/k/{number:05}"), "new", None).await.unwrap();
    }
    // Deleted and made again with the value it had.
    primary.delete("/k/00200", None).await.unwrap();
    primary.put("/k/00200", "200", None).await.unwrap();
    compact(&primary).await;
    mirror.restart();
    let status = mirror.wait_for_state("following").await;
    assert!(status["counters"]["resyncs"].to_string().contains("compacted"), "{status}");
    mirror.wait_for_checkpoint(head(&primary).await).await;

    let (wanted, after) = (dump(&primary).await, dump(&standby).await);
    let own = |key: &[u8]| key.starts_with(b"/own/");
    end_to_end::assert_equal_in_scope(&wanted, &after, |key| everything(key) && !own(key));
    let owned: BTreeSet<_> = after.filtered(own).keys.into_keys().collect();
    let expected = ["/own/before", "/own/stopped", "/own/while"].map(|key| key.as_bytes().to_vec());
    assert_eq!(owned, expected.into());
    for (key, entry) in before.keys.iter().filter(|(key, _)| everything(key)) {
        let number =
            key.strip_prefix(b"/k/").and_then(|key| str::from_utf8(key).ok()?.parse().ok());
        if number.is_none_or(|number: u32| number >= 110 && number != 200) && key != b"/k/followed"
        {
            assert_eq!(after.keys.get(key), Some(entry), "{} was rewritten", key.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_gap_that_was_compacted_is_closed_after_a_stop() {
    a_gap_is_closed(false).await;
}

#[tokio::test]
async fn a_gap_that_was_compacted_is_closed_after_a_kill() {
    a_gap_is_closed(true).await;
}

/// etcd-io/etcd#19179: a watch from there on says nothing of the deletion, and nothing of an error.
#[tokio::test]
async fn a_deletion_at_the_compacted_revision_is_not_lost() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    for key in ["/a", "/b", "/c"] {
        primary.put(key, "1", None).await.unwrap();
    }
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    primary.put("/a", "2", None).await.unwrap();
    for key in ["/b", "/c"] {
        let status = mirror.wait_for_checkpoint(head(&primary).await).await;
        assert!(mirror.terminate().success());
        let deleted = primary.delete(key, None).await.unwrap().header().unwrap().revision();
        assert_eq!(status["checkpoint_revision"], deleted - 1);
        primary.compact(deleted, None).await.unwrap();
        mirror.restart();
        mirror.wait_for_state("following").await;
        pair.assert_equal(&mut mirror).await;
        assert_eq!(value(&pair.standby.client().await, key).await, None);
    }
}

/// Returns the middle and the slow end of what was measured.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn timed_put(client: &mut Client, number: usize) -> Duration {
    let began = Instant::now();
    client.put(format!("/latency/{:02}", number % 50), vec![0; 200], None).await.unwrap();
    began.elapsed()
}

#[tokio::test]
async fn far_behind_it_catches_up_by_a_diff() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    fill(&primary, "/k/", 0..5_000, |_| vec![b'a'; 200]).await;
    let mut mirror = pair.mirror().patience(Duration::from_secs(60)).start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;
    assert!(mirror.terminate().success());

    let writers = (0..24_u32).map(|writer| {
        let mut client = primary.clone();
        tokio::spawn(async move {
            for turn in 0..450 {
                let key = format!("/k/{:05}", (writer * 450 + turn) % 6_000);
                if turn % 10 == 9 {
                    client.delete(key, None).await.unwrap();
                } else {
                    client.put(key, vec![b'b'; 200], None).await.unwrap();
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut idle = Vec::new();
    for number in 0..500 {
        idle.push(timed_put(&mut primary, number).await);
    }
    mirror.restart();
    let began = Instant::now();
    let mut during = Vec::new();
    loop {
        for number in 0..20 {
            during.push(timed_put(&mut primary, number).await);
        }
        let status = mirror.status().await.unwrap_or_default();
        if status["state"] == "following" && status["torn"] == false {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status}");
    }
    let took = began.elapsed();
    let ((p50, p99), (busy50, busy99)) = (quantiles(idle), quantiles(during.clone()));
    println!(
        "caught up in {took:?}; a put on the primary: idle p50 {p50:?} p99 {p99:?}, meanwhile p50 \
         {busy50:?} p99 {busy99:?} ({} puts)",
        during.len()
    );
    pair.assert_equal(&mut mirror).await;
    let counters = mirror.status().await.unwrap()["counters"].clone();
    assert!(counters["resyncs"].to_string().contains(r#""behind""#), "{counters}");
    let watched = counters["puts_received"].as_u64().unwrap();
    assert!(watched < 2_000 + during.len() as u64, "{watched} puts came by watch: {counters}");
    mirror.assert_no_errors(&[]);
}

/// Watches a primary from its first revision on and compacts it again and again, up to what was
/// seen: the mirror loses its history, and the test does not.
async fn compact_behind(etcd: Etcd, stop: Arc<AtomicBool>) -> (Etcd, Vec<Step>, u32) {
    let client = etcd.client().await;
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut watcher = client.watch_client().max_decoding_message_size(1 << 30);
    let mut stream = watcher.watch(Vec::new(), Some(options)).await.unwrap();
    let (mut steps, mut compactions) = (Vec::<Step>::new(), 0);
    let mut due = Instant::now();
    let mut until = None;
    loop {
        if until.is_none() && stop.load(Ordering::Relaxed) {
            until = Some(head(&client).await);
        }
        let seen = steps.last().map_or(1, |step| step.revision);
        if until.is_some_and(|until| seen >= until) {
            return (etcd, steps, compactions);
        }
        if due.elapsed() > Duration::from_millis(120) && seen > 1 {
            due = Instant::now();
            compactions += u32::from(client.clone().compact(seen, None).await.is_ok());
        }
        let wait = tokio::time::timeout(Duration::from_millis(20), stream.message());
        let Ok(answer) = wait.await else { continue };
        let answer = answer.unwrap().expect("the watch goes on");
        assert!(!answer.canceled(), "{}", answer.cancel_reason());
        for event in answer.events() {
            let kv = event.kv().expect("a key");
            if steps.last().is_none_or(|step| step.revision < kv.mod_revision()) {
                steps.push(Step { revision: kv.mod_revision(), changes: Vec::new() });
            }
            let value = (event.event_type() == EventType::Put).then(|| kv.value().to_vec());
            let step = steps.last_mut().expect("one was pushed");
            step.changes.push((kv.key().to_vec(), value));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_time_it_never_shows_what_the_primary_never_had() {
    let mut dice = seed::dice("killed_at_any_time_it_never_shows_what_the_primary_never_had");
    let Pair { primary, standby } = Pair::start().await;
    let mut client = primary.client().await;
    let mut mirror =
        Mirror::builder(&primary.endpoints(), &standby.endpoints()).preset("none").start();
    let (stop, stop_compacting) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let compacting = tokio::spawn(compact_behind(primary, Arc::clone(&stop_compacting)));
    let writes = {
        let (stop, mut dice) = (Arc::clone(&stop), end_to_end::Dice::new(dice.next()));
        let load =
            Load { keys: 200, requests: 20, pause: Duration::from_millis(2), ..Load::default() };
        let mut client = client.clone();
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                load.run(&mut client, &mut dice).await;
            }
        })
    };
    for _ in 0..20 {
        // Chance decides when: in the claim, the copy, the first commits or later.
        tokio::time::sleep(Duration::from_millis(60 + dice.below(700))).await;
        mirror.kill();
        tokio::time::sleep(Duration::from_millis(dice.below(250))).await;
        mirror.restart();
    }
    stop.store(true, Ordering::Relaxed);
    writes.await.unwrap();
    client.put("/last", "1", None).await.unwrap();
    // Only now: its record has to reach to the last write.
    stop_compacting.store(true, Ordering::Relaxed);
    let (primary, steps, compactions) = compacting.await.unwrap();
    let pair = Pair { primary, standby };
    pair.assert_equal(&mut mirror).await;
    let checked =
        check_histories(&recording(&steps, everything), &history(&pair.standby).await, everything);
    println!("20 kills, {compactions} compactions, {} revisions: {checked:?}", steps.len());
    assert!(compactions > 10 && checked.whole > 50, "{compactions} compactions, {checked:?}");
    assert!(checked.copying > 0, "compaction never overtook the mirror: {checked:?}");
}
