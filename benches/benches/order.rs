//! What it costs to write owners before their dependents: a base copy in the order of owners
//! against one in the order of keys, of the same Kubernetes keyspace, in one run.
//!
//! `BENCH_OBJECTS` (100,000) and `BENCH_ROUNDS` (3) change the size. The ratio is what to read:
//! both share the machine with both servers, which run without fsync here.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::large_futures,
    missing_docs,
    reason = "a program that prints a table and ends on the first surprise"
)]

use std::time::Duration;

use end_to_end::{Etcd, Mirror, fixture};
use etcd_client::{Txn, TxnOp};
use keyspace_filter::{Scope, ScopeSpec};
use tokio::time::Instant;

/// A transaction while the primary is filled.
const FILL_OPS: usize = 100;
const FILL_BYTES: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(300);
/// What a uid looks like: 36 characters.
const UID: usize = 36;

/// An object of the fixture, and where in its value uids are: its own and others'.
struct Pattern {
    key: Vec<u8>,
    value: Vec<u8>,
    uids: Vec<usize>,
}

impl Pattern {
    fn new(record: &fixture::Record) -> Self {
        let value = record.value.clone();
        let uids = (0..value.len()).filter(|at| is_uid(&value[*at..])).collect();
        Self { key: record.key.clone(), value, uids }
    }

    /// The object in copy `number`: another name in its key, and other uids, the same for the same
    /// object, so that each copy has its own owners. (The name in the value stays: neither the
    /// mirror nor its order looks at it.)
    fn copy(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let mut value = self.value.clone();
        let text = format!("{number:06x}");
        for at in &self.uids {
            // The tail of a uid is random; its length must stay, since protobuf counts it.
            value[at + 24..at + 30].copy_from_slice(text.as_bytes());
        }
        ([&self.key[..], format!("-{number:06}").as_bytes()].concat(), value)
    }
}

fn is_uid(text: &[u8]) -> bool {
    text.len() >= UID
        && text[..UID].iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (objects, rounds) = (number("BENCH_OBJECTS", 100_000), number("BENCH_ROUNDS", 3));
    let primary = Etcd::builder().flag("--quota-backend-bytes=8589934592").start().await;
    let (owned, bytes) = fill(&primary, objects).await;
    println!(
        "{objects} Kubernetes objects, {owned} of them owned, {} MiB of values, {rounds} rounds",
        bytes >> 20
    );
    let mut ratios = Vec::new();
    for round in 0..rounds {
        // Whoever goes first has no advantage of it in the end.
        let orders = if round % 2 == 0 { ["owners", "keys"] } else { ["keys", "owners"] };
        let mut seconds = std::collections::BTreeMap::new();
        for order in orders {
            seconds.insert(order, copy(&primary, objects, order).await.as_secs_f64());
        }
        let (owners, keys) = (seconds["owners"], seconds["keys"]);
        println!("  owners {owners:>6.2} s  keys {keys:>6.2} s  ratio {:.2}", owners / keys);
        ratios.push(owners / keys);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "base copy, the order of owners against that of keys: ratio {:.2} ({:.2} to {:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// Fills the primary with copies of the fixture's objects; returns how many of them are owned, and
/// the bytes of all values.
async fn fill(primary: &Etcd, objects: usize) -> (usize, usize) {
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let records = fixture::primary();
    let patterns: Vec<Pattern> = records
        .iter()
        .filter(|record| scope.admits(&record.key))
        .map(Pattern::new)
        .filter(|pattern| scope.admits(&pattern.copy(0).0))
        .collect();
    let mut client = primary.client().await;
    let (mut ops, mut waiting, mut owned, mut bytes) = (Vec::new(), 0, 0, 0);
    for at in 0..objects {
        let pattern = &patterns[at % patterns.len()];
        let (key, value) = pattern.copy(at / patterns.len());
        owned += usize::from(kube_meta::skim(&value).owners().next().is_some());
        bytes += value.len();
        waiting += value.len();
        ops.push(TxnOp::put(key, value, None));
        if ops.len() == FILL_OPS || waiting > FILL_BYTES / 2 || at + 1 == objects {
            client.txn(Txn::new().and_then(std::mem::take(&mut ops))).await.unwrap();
            waiting = 0;
        }
    }
    (owned, bytes)
}

/// The time of one base copy, from the start of the mirror until it follows.
async fn copy(primary: &Etcd, objects: usize, order: &str) -> Duration {
    let standby = Etcd::builder().standby().flag("--quota-backend-bytes=8589934592").start().await;
    let began = Instant::now();
    let mut mirror = Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .preset("kubernetes")
        .patience(PATIENCE)
        .flag("--order")
        .flag(order)
        .start();
    let status = mirror.wait_for_state("following").await;
    let took = began.elapsed();
    let written = status["copy"]["keys_written"].as_u64().unwrap();
    let held = status["held_back"]["count"].as_u64().unwrap();
    assert_eq!(written + held, objects as u64, "{status}");
    took
}
