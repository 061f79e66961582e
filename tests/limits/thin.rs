//! Thin and long links, through a proxy: a deadline counts silence, not size.

use std::time::{Duration, Instant};

use end_to_end::{Direction, Etcd, Faults, Mirror, Proxy};

use crate::support::{assert_caught_up, fill, mirror};

struct Thin {
    primary: Etcd,
    standby: Etcd,
    proxy: Proxy,
    rate: u64,
    bytes: u64,
}

impl Thin {
    async fn new(keys: usize, size: usize, rate: u64, latency: Duration) -> Self {
        let (primary, standby) = tokio::join!(Etcd::start(), Etcd::start_standby());
        fill(&mut primary.client().await, "/registry/things/", keys, size).await;
        let proxy = Proxy::start(&primary.endpoints()[0]).await;
        let line = Faults { bandwidth: Some(rate), latency, ..Faults::default() };
        proxy.set(Direction::ToClient, line);
        proxy.set(Direction::ToServer, line);
        Self { primary, standby, proxy, rate, bytes: (keys * (size + 60)) as u64 }
    }

    fn mirror(&self) -> Mirror {
        mirror(&[self.proxy.endpoint()], &self.standby)
    }

    fn own_time(&self) -> Duration {
        Duration::from_secs_f64(self.bytes as f64 / self.rate as f64)
    }
}

async fn copied_and_checked_in_time(thin: Thin) {
    let own = thin.own_time();
    // What a start and a look at the heads take, whatever the data.
    let most = own.mul_f64(1.5) + Duration::from_secs(2);
    let began = Instant::now();
    let mut mirror = thin.mirror();
    assert_caught_up(&mut mirror, &thin.primary, &thin.standby).await;
    let copied = began.elapsed();
    let began = Instant::now();
    let audit = mirror.audit(&[]);
    let checked = began.elapsed();
    println!("own time {own:?}, copied in {copied:?}, checked in {checked:?}");
    assert!(audit.status.success(), "{audit:?}");
    assert!(copied < most, "copied in {copied:?}, the data takes {own:?}");
    assert!(checked < most, "checked in {checked:?}, the data takes {own:?}");
    let peak = mirror.process().peak_rss().unwrap();
    assert!(peak < 200 << 20, "the mirror took {} MiB", peak >> 20);
}

fn scaled(keys: usize) -> usize {
    let full = std::env::var_os("THIN_LINKS_IN_FULL").is_some();
    if full { keys } else { keys / 2 }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_over_a_thin_link_take_their_own_time() {
    let thin = Thin::new(scaled(600), 100_000, 5_000_000, Duration::from_millis(5)).await;
    copied_and_checked_in_time(thin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_values_over_a_thinner_link_take_their_own_time() {
    let keys = scaled(3_000) / 4;
    let thin = Thin::new(keys, 8_000, 500_000, Duration::from_millis(5)).await;
    copied_and_checked_in_time(thin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_modem_makes_progress_in_bounded_memory() {
    let thin = Thin::new(40, 8_000, 100_000, Duration::from_millis(250)).await;
    // No page can be smaller than one value, and this one takes longer than any time-out.
    fill(&mut thin.primary.client().await, "/registry/things/large", 1, 700_000).await;
    let mut mirror = thin.mirror();
    assert_caught_up(&mut mirror, &thin.primary, &thin.standby).await;
    let peak = mirror.process().peak_rss().unwrap();
    assert!(peak < 200 << 20, "the mirror took {} MiB", peak >> 20);
    let status = mirror.status().await.unwrap();
    assert_eq!(status["state"], "following", "{status}");
}
