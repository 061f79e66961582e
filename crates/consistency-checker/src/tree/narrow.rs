//! Where to read what lies in some ranges.

use etcd_mvcc::{Key, KeyRange, Side};
use keyspace_filter::Scope;

/// Returns the ranges to read on one side for the keys in scope that lie in `ranges`, which are
/// spelt as on the standby, sorted and disjoint. What is returned is so, too, in that side's
/// spelling.
///
/// It may hold more: where an end is no key in scope, the primary may have no spelling for it. So
/// whoever reads it asks of each key whether it is one of them, as [`DetailWriter::push`] does.
///
/// [`DetailWriter::push`]: crate::DetailWriter::push
#[must_use]
pub fn narrowed(scope: &Scope, side: Side, ranges: &[KeyRange]) -> Vec<KeyRange> {
    let mut narrowed: Vec<KeyRange> = Vec::new();
    for (primary, standby) in scope.primary_ranges().iter().zip(scope.standby_ranges()) {
        for range in ranges {
            let common = standby.intersection(range);
            if common.is_empty() {
                continue;
            }
            let range = match side {
                Side::Standby => common,
                Side::Primary => respelt(scope, primary, standby, &common),
            };
            append(&mut narrowed, range);
        }
    }
    narrowed
}

/// What the primary calls `part` of a range that both sides have a spelling of.
fn respelt(scope: &Scope, primary: &KeyRange, standby: &KeyRange, part: &KeyRange) -> KeyRange {
    let spelling =
        |key: &Key| scope.primary_key(key).filter(|key| primary.contains(key.as_bytes()));
    let start = if part.start() == standby.start() { None } else { spelling(part.start()) };
    let end = if part.end() == standby.end() { None } else { part.end().and_then(spelling) };
    let range = match start {
        Some(start) => primary.starting_at(start),
        None => primary.clone(),
    };
    match end {
        Some(end) => KeyRange::new(range.start().clone(), end),
        None => range,
    }
}

/// Appends a range that begins no earlier than the last one, or joins it to that one.
fn append(ranges: &mut Vec<KeyRange>, range: KeyRange) {
    match ranges.last_mut() {
        Some(last) if last.end().is_none_or(|end| range.start() <= end) => {
            *last = KeyRange::hull([&*last, &range]).unwrap_or(range);
        }
        _ => ranges.push(range),
    }
}
