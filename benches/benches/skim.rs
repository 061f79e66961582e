//! What it costs to ask a stored value who it is and who owns it. Throughput is values: the time per
//! value is its inverse, printed at the end, beside that of hashing the same bytes.
//!
//! The values are those of a real control plane.

#![expect(clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use end_to_end::fixture;
use etcd_mvcc::Value;
use kube_meta::{Format, skim};

/// The fixture's values of one format.
fn values(wanted: fn(Format<'_>) -> bool) -> Vec<Value> {
    let values = fixture::primary().into_iter().map(|record| Value::from(record.value));
    values.filter(|value| wanted(skim(value.expose()).format())).collect()
}

fn protobuf() -> Vec<Value> {
    values(|format| matches!(format, Format::Protobuf))
}

fn json() -> Vec<Value> {
    values(|format| matches!(format, Format::Json))
}

/// What a copy asks: uid, and owners.
fn kin(values: &[Value]) -> usize {
    let ask = |value: &Value| {
        let meta = skim(black_box(value.expose()));
        meta.owners().count() + usize::from(meta.uid().is_some())
    };
    values.iter().map(ask).sum()
}

fn hashes(values: &[Value]) -> u128 {
    values.iter().fold(0, |sum, value| sum ^ black_box(value).fingerprint())
}

fn cost(c: &mut Criterion) {
    let mut group = c.benchmark_group("skim");
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    group.sample_size(30);
    for (name, values) in [("protobuf", protobuf()), ("json", json())] {
        group.throughput(Throughput::Elements(values.len() as u64));
        group.bench_function(name, |b| b.iter(|| kin(&values)));
        group.bench_function(format!("{name} hashed"), |b| b.iter(|| hashes(&values)));
    }
    group.finish();
}

/// Prints the time per value, and its ratio to a hash of the same bytes in the same run.
fn per_value(_: &mut Criterion) {
    for (name, values) in [("protobuf", protobuf()), ("json", json())] {
        let time = |work: &dyn Fn()| {
            let rounds = 200u32;
            let begun = Instant::now();
            (0..rounds).for_each(|_| work());
            let values = u32::try_from(values.len()).unwrap_or(u32::MAX);
            begun.elapsed() / rounds / values.max(1)
        };
        let skimmed = time(&|| {
            black_box(kin(&values));
        });
        let hashed = time(&|| {
            black_box(hashes(&values));
        });
        let ratio = skimmed.as_secs_f64() / hashed.as_secs_f64();
        println!("{name}: {skimmed:?} per value, {ratio:.2} of a hash of it ({hashed:?})");
    }
}

criterion_group!(benches, cost, per_value);
criterion_main!(benches);
