//! The mirror against `etcdctl make-mirror`: the same data, the same etcds, in one run.
//!
//! `cargo xtask bench` brings etcd, builds the mirror for release and runs this. Ratios are what
//! to read: both programs share the machine with both servers, which run without fsync here.
//! `BENCH_KEYS` (20,000), `BENCH_SECONDS` (5) and `BENCH_ROUNDS` (3) change the size.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::large_futures,
    missing_docs,
    reason = "a program that prints a table and ends on the first surprise"
)]

use std::process::Command;
use std::time::Duration;

use end_to_end::process::Process;
use end_to_end::{Etcd, Mirror};
use etcd_client::{Client, Txn, TxnOp, WatchOptions};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Keys of one transaction while the primary is filled.
const FILL_OPS: usize = 100;
/// Writers of the sustained load, each with one put on its way.
const WRITERS: u64 = 16;
/// The open-loop rate of the lag measurement, in puts per second: one that make-mirror can hold.
const LAG_RATE: u64 = 200;
/// A program that has not arrived by then is reported as late.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Mirror,
    MakeMirror,
}

/// A running program, killed when dropped.
struct Running {
    _mirror: Option<Mirror>,
    other: Option<(Process, TempDir)>,
}

impl Running {
    fn start(program: Program, primary: &Etcd, standby: &Etcd) -> Self {
        if program == Program::Mirror {
            let mirror = Mirror::builder(&primary.endpoints(), &standby.endpoints());
            return Self { _mirror: Some(mirror.preset("none").start()), other: None };
        }
        let dir = TempDir::new().unwrap();
        let destination = standby.endpoints()[0].replace("http://", "");
        let mut command = Command::new(end_to_end::binaries::EtcdBinaries::primary().etcdctl);
        command.env("ETCDCTL_API", "3").args(["--endpoints", &primary.endpoints()[0]]);
        command.args(["make-mirror", &destination]);
        let process = Process::spawn("make-mirror", &mut command, &dir.path().join("log"));
        Self { _mirror: None, other: Some((process, dir)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.other {
            process.kill();
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let keys = number("BENCH_KEYS", 20_000);
    let time = Duration::from_secs(number("BENCH_SECONDS", 5));
    let rounds = number("BENCH_ROUNDS", 3);
    let binaries = end_to_end::binaries::EtcdBinaries::primary();
    println!(
        "etcd {}.{} without fsync, {} cores, {keys} keys of 1 KiB, {rounds} rounds\n",
        binaries.series.0,
        binaries.series.1,
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    let mut copy = Table::new("base copy", "s");
    let mut drain = Table::new("sustained: time to drain after the load ends", "s");
    let mut p50 = Table::new("lag at 200 puts/s, p50", "ms");
    let mut p99 = Table::new("lag at 200 puts/s, p99", "ms");
    for _ in 0..rounds {
        for program in [Program::Mirror, Program::MakeMirror] {
            let primary = Etcd::start().await;
            let standby = Etcd::start_standby().await;
            fill(&primary, keys).await;
            let running = Running::start(program, &primary, &standby);
            copy.note(program, arrival(&standby, &key(keys - 1), None).await.as_secs_f64());
            let lags = lags(&primary, &standby, time).await;
            p50.note(program, percentile(&lags, 50));
            p99.note(program, percentile(&lags, 99));
            let (written, last, value) = sustained(&primary, time).await;
            let drained = arrival(&standby, &last, Some(&value)).await.as_secs_f64();
            drain.note(program, drained);
            println!("  {program:?}: {:.0} puts/s offered", written as f64 / time.as_secs_f64());
            drop(running);
        }
    }
    println!();
    for table in [copy, p50, p99, drain] {
        table.print();
    }
}

fn key(n: u64) -> String {
    format!("/bench/{n:08}")
}

/// 1 KiB that no compression and no dedupe could help.
fn value(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(128).flatten().collect()
}

async fn fill(primary: &Etcd, keys: u64) {
    let mut client = primary.client().await;
    let all: Vec<u64> = (0..keys).collect();
    for chunk in all.chunks(FILL_OPS) {
        let ops: Vec<_> = chunk.iter().map(|n| TxnOp::put(key(*n), value(*n), None)).collect();
        client.txn(Txn::new().and_then(ops)).await.unwrap();
    }
}

/// Waits until a key is on the standby, by asking for that one key alone.
async fn arrival(standby: &Etcd, key: &str, value: Option<&[u8]>) -> Duration {
    let mut client = standby.client().await;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let answer = client.get(key, None).await.unwrap();
        if answer.kvs().first().is_some_and(|kv| value.is_none_or(|value| kv.value() == value)) {
            return start.elapsed();
        }
        sleep(Duration::from_millis(5)).await;
    }
    PATIENCE
}

/// Writes as fast as a few writers can; returns how much, and the last write.
async fn sustained(primary: &Etcd, time: Duration) -> (u64, String, Vec<u8>) {
    let deadline = Instant::now() + time;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut client = primary.client().await;
        writers.spawn(async move {
            let mut written = 0;
            while Instant::now() < deadline {
                let name = format!("/bench/load/{writer}/{:03}", written % 600);
                client.put(name, value(written), None).await.unwrap();
                written += 1;
            }
            written
        });
    }
    let written = writers.join_all().await.iter().sum();
    let (key, value) = ("/bench/load/last".to_owned(), value(written));
    primary.client().await.put(key.clone(), value.clone(), None).await.unwrap();
    (written, key, value)
}

/// The times from a put's answer at the primary to its event at the standby, in milliseconds.
async fn lags(primary: &Etcd, standby: &Etcd, time: Duration) -> Vec<f64> {
    let mut client: Client = standby.client().await;
    let options = WatchOptions::new().with_prefix();
    let mut watch = client.watch("/bench/lag/", Some(options)).await.unwrap();
    let count = LAG_RATE * time.as_secs();
    let reader = tokio::spawn(async move {
        let mut seen = vec![None; count as usize];
        let deadline = Instant::now() + time + Duration::from_secs(30);
        while seen.iter().any(Option::is_none) && Instant::now() < deadline {
            let Ok(Some(answer)) = watch.message().await else { break };
            let now = Instant::now();
            for event in answer.events() {
                let name = event.kv().and_then(|kv| kv.key_str().ok().map(str::to_owned));
                let number = name.and_then(|name| name.rsplit('/').next()?.parse::<usize>().ok());
                if let Some(slot) = number.and_then(|number| seen.get_mut(number)) {
                    slot.get_or_insert(now);
                }
            }
        }
        seen
    });
    let mut writer = primary.client().await;
    let (start, mut acked) = (Instant::now(), Vec::new());
    for n in 0..count {
        tokio::time::sleep_until(start + Duration::from_micros(n * 1_000_000 / LAG_RATE)).await;
        writer.put(format!("/bench/lag/{n}"), value(n), None).await.unwrap();
        acked.push(Instant::now());
    }
    let seen = reader.await.unwrap();
    let lag = |(acked, seen): (&Instant, &Option<Instant>)| {
        seen.map_or(PATIENCE, |seen| seen.saturating_duration_since(*acked)).as_secs_f64() * 1e3
    };
    let mut lags: Vec<f64> = acked.iter().zip(&seen).map(lag).collect();
    lags.sort_by(f64::total_cmp);
    lags
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// One figure of both programs, over the rounds.
struct Table {
    title: &'static str,
    unit: &'static str,
    mirror: Vec<f64>,
    make_mirror: Vec<f64>,
}

impl Table {
    const fn new(title: &'static str, unit: &'static str) -> Self {
        Self { title, unit, mirror: Vec::new(), make_mirror: Vec::new() }
    }

    fn note(&mut self, program: Program, figure: f64) {
        match program {
            Program::Mirror => self.mirror.push(figure),
            Program::MakeMirror => self.make_mirror.push(figure),
        }
    }

    /// The medians, and the median of the ratios round by round.
    fn print(self) {
        let mut ratios: Vec<f64> =
            self.make_mirror.iter().zip(&self.mirror).map(|(a, b)| a / b.max(1e-6)).collect();
        let median = |figures: &mut Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            percentile(figures, 50)
        };
        let (mut mirror, mut make_mirror) = (self.mirror, self.make_mirror);
        println!(
            "{:<46} mirror {:>9.2} {unit}  make-mirror {:>9.2} {unit}  ratio {:>6.1} ({:.1} to {:.1})",
            self.title,
            median(&mut mirror),
            median(&mut make_mirror),
            median(&mut ratios),
            ratios.first().copied().unwrap_or_default(),
            ratios.last().copied().unwrap_or_default(),
            unit = self.unit,
        );
    }
}
