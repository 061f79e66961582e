//! What a key costs in the filter. Throughput is keys: the time per key is its inverse, printed
//! at the end.
//!
//! The keys are those of a real control plane, in the order in which etcd returns them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etcd_mvcc::Key;
use keyspace_filter::{Action, RuleSpec, Scope, ScopeSpec};

const KEYS: &str = include_str!("../../crates/keyspace-filter/tests/it/real_keys.txt");

fn keys() -> Vec<Key> {
    KEYS.lines()
        .filter_map(|line| line.split_once('/'))
        .map(|(_, path)| format!("/{path}").into())
        .collect()
}

fn default_scope() -> Scope {
    Scope::compile(ScopeSpec::default()).unwrap()
}

/// Twenty rules that match nothing, so that every key is held against all of them.
fn with_twenty_rules() -> Scope {
    let rule = |number: usize| RuleSpec {
        namespace: Some(format!("team-{number}-*")),
        name: Some(format!("*-{number}")),
        ..RuleSpec::new(Action::Local)
    };
    Scope::compile(ScopeSpec { rules: (0..20).map(rule).collect(), ..ScopeSpec::default() })
        .unwrap()
}

fn rewriting() -> Scope {
    let prefixes = vec!["/registry/".to_owned()];
    let dest_prefix = Some("/parked/".to_owned());
    Scope::compile(ScopeSpec { prefixes, dest_prefix, ..ScopeSpec::default() }).unwrap()
}

fn admits(scope: &Scope, keys: &[Key]) -> usize {
    keys.iter().filter(|key| scope.admits(black_box(key.as_bytes()))).count()
}

fn places(scope: &Scope, keys: &[Key]) -> usize {
    keys.iter().filter_map(|key| scope.place(black_box(key))).count()
}

fn filter(c: &mut Criterion) {
    let keys = keys();
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    group.sample_size(30);
    let scope = default_scope();
    group.bench_function("admits", |b| b.iter(|| admits(&scope, &keys)));
    group.bench_function("place", |b| b.iter(|| places(&scope, &keys)));
    let ruled = with_twenty_rules();
    group.bench_function("admits, 20 rules", |b| b.iter(|| admits(&ruled, &keys)));
    let moving = rewriting();
    group.bench_function("place, rewriting", |b| b.iter(|| places(&moving, &keys)));
    group.finish();

    for (name, scope) in [("admits", &scope), ("admits, 20 rules", &ruled)] {
        println!("{name}: {:.1} ns per key", nanoseconds_per_key(scope, &keys));
    }
}

/// The best of many rounds: what the machine does beside this is not the filter's.
fn nanoseconds_per_key(scope: &Scope, keys: &[Key]) -> f64 {
    let round = || {
        let begun = Instant::now();
        black_box(admits(scope, keys));
        begun.elapsed()
    };
    let best = (0..1000).map(|_| round()).min().unwrap_or_default();
    best.as_secs_f64() * 1e9 / keys.len() as f64
}

criterion_group!(benches, filter);
criterion_main!(benches);
