//! What a check costs: memory, time, and what the mirror feels of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use end_to_end::{Dice, Etcd, Mirror};
use etcd_client::{Client, GetOptions};
use tokio::time::{Duration, Instant};

use crate::support::{caught_up, check, fill, mirror, pair, wait_until_checked};

/// Reads everything as fast as one reader can: pages of 5,000 keys whose ends are known.
async fn read_all(client: &Client, prefix: &str, keys: u32) -> (u64, u64, Duration) {
    let mut kv = client.kv_client().max_decoding_message_size(1 << 30);
    let began = Instant::now();
    let (mut count, mut bytes) = (0, 0);
    for from in (0..keys).step_by(5_000) {
        let end = format!("{prefix}{:06}", from + 5_000);
        let end = if from + 5_000 >= keys { format!("{prefix}~") } else { end };
        let options = GetOptions::new().with_range(end);
        let page = kv.get(format!("{prefix}{from:06}"), Some(options)).await.unwrap();
        for kv in page.kvs() {
            count += 1;
            bytes += (kv.key().len() + kv.value().len()) as u64;
        }
    }
    (count, bytes, began.elapsed())
}

/// Memory of a check of so many keys, and its rate beside that of a plain read.
async fn peak_memory(keys: u32) -> u64 {
    let (primary, standby) = pair().await;
    let client = primary.client().await;
    let prefix = "/registry/configmaps/many/";
    fill(&client, prefix, keys, |n| Dice::new(u64::from(n)).bytes(200)).await;
    let mut mirror = mirror(&primary, &standby).flag("--check-rate").flag("10GiB").start();
    wait_until_checked(&mut mirror).await;
    let mut seconds = Vec::new();
    // The first one knows nothing of the keyspace, the next ones where to cut it.
    for _ in 0..3 {
        let (status, found) = check(&mirror, "").await;
        assert_eq!((status, &found["keys"]), (200, &keys.into()), "{found}");
        seconds.push(found["duration_seconds"].as_f64().unwrap());
    }
    let (_, found) = check(&mirror, "").await;
    let both = found["bytes"].as_f64().unwrap();
    let (count, bytes, plain) = read_all(&client, prefix, keys).await;
    assert_eq!(count, u64::from(keys));
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{keys} keys: checks took {seconds:?} s, {:.0} keys/s, {:.0} MB/s of both sides; a plain \
         read of one side {:.0} keys/s, {:.0} MB/s; ratio {:.2}",
        f64::from(keys) / best,
        both / best / 1e6,
        f64::from(keys) / plain.as_secs_f64(),
        bytes as f64 / plain.as_secs_f64() / 1e6,
        plain.as_secs_f64() / best
    );
    mirror.process().peak_rss().expect("it runs")
}

#[tokio::test]
async fn memory_of_a_check_does_not_grow_with_the_number_of_keys() {
    let few = peak_memory(10_000).await;
    let more = peak_memory(100_000).await;
    let many = peak_memory(300_000).await;
    let [a, b, c] = [few, more, many].map(|bytes| bytes >> 10);
    println!("peak memory: {a} KiB for 10,000 keys, {b} KiB for 100,000, {c} KiB for 300,000");
    // Two pages a side and part fill first. What must not be is that the keys are held.
    assert!(many < few + (48 << 20), "it grows with the number of keys");
}

/// How far behind the standby is while a writer writes, sampled: median and most, in milliseconds,
/// and how many writes were made.
async fn lag(primary: &Etcd, standby: &Etcd, time: Duration) -> (u128, u128, u32) {
    let (mut writer, mut reader) = (primary.client().await, standby.client().await);
    let (began, mut lags, mut number) = (Instant::now(), Vec::new(), 0_u32);
    while began.elapsed() < time {
        number += 1;
        let sent = Instant::now();
        writer.put("/registry/lag", number.to_string(), None).await.unwrap();
        loop {
            let read = reader.get("/registry/lag", None).await.unwrap();
            let seen = read.kvs().first().map(|kv| kv.value().to_vec());
            if seen == Some(number.to_string().into_bytes()) {
                break;
            }
            assert!(sent.elapsed() < Duration::from_secs(20), "the mirror stalls");
        }
        lags.push(sent.elapsed().as_micros());
    }
    lags.sort_unstable();
    (lags[lags.len() / 2], *lags.last().unwrap(), number)
}

/// Checks again and again until told to stop; how many.
async fn check_back_to_back(mirror: &Mirror, stop: &AtomicBool) -> u32 {
    let mut checks = 0;
    while !stop.load(Ordering::Relaxed) {
        let (status, found) = check(mirror, "").await;
        assert_eq!(status, 200, "{found}");
        checks += 1;
    }
    checks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_does_not_make_the_mirror_stall() {
    let (primary, standby) = pair().await;
    let client = primary.client().await;
    fill(&client, "/registry/configmaps/many/", 50_000, |n| Dice::new(u64::from(n)).bytes(400))
        .await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    let time = Duration::from_secs(6);
    let without = lag(&primary, &standby, time).await;
    let stop = Arc::new(AtomicBool::new(false));
    let ((with, ()), checks) = tokio::join!(
        async {
            let with = lag(&primary, &standby, time).await;
            (with, stop.store(true, Ordering::Relaxed))
        },
        check_back_to_back(&mirror, &stop)
    );
    let line = |(median, most, count): (u128, u128, u32)| {
        format!(
            "p50 {median} µs, max {most} µs, {} writes followed/s",
            u64::from(count) / time.as_secs()
        )
    };
    println!("without a check: {}", line(without));
    println!("with {checks} checks back to back: {}", line(with));
    assert!(checks > 1, "the checks did not come to their end");
    assert!(with.1 < 5_000_000, "the mirror stalled for {} µs", with.1);
    caught_up(&mut mirror, &primary).await;
    mirror.assert_no_errors(&[]);
}
