//! Where to read what lies in some ranges.

use etcd_mvcc::{Key, KeyRange, Side};
use keyspace_filter::{Scope, Stretch};

/// Returns what to read on one side for the keys in scope that lie in `ranges`, which are spelt as
/// on the standby, sorted and disjoint: parts of the scope's stretches, in their order, in that
/// side's spelling not overlapping within a stretch.
///
/// It may hold more: where an end is no key in scope, the primary may have no spelling for it. So
/// whoever reads it asks of each key whether it is one of them, as [`DetailWriter::push`] does.
///
/// [`DetailWriter::push`]: crate::DetailWriter::push
#[must_use]
pub fn narrowed(scope: &Scope, side: Side, ranges: &[KeyRange]) -> Vec<Stretch> {
    let mut narrowed = Vec::new();
    for stretch in scope.stretches() {
        let mut parts: Vec<Stretch> = Vec::new();
        for range in ranges {
            let standby = stretch.standby.intersection(range);
            if !standby.is_empty() {
                let primary = respelt(scope, stretch, &standby);
                append(&mut parts, side, Stretch { primary, standby });
            }
        }
        narrowed.extend(parts);
    }
    narrowed
}

/// Returns what of a stretch one side reads.
pub(crate) fn read(stretch: &Stretch, side: Side) -> &KeyRange {
    match side {
        Side::Primary => &stretch.primary,
        Side::Standby => &stretch.standby,
    }
}

/// What the primary calls `part` of a stretch.
fn respelt(scope: &Scope, stretch: &Stretch, part: &KeyRange) -> KeyRange {
    let Stretch { primary, standby } = stretch;
    let spelling =
        |key: &Key| scope.primary_spelling(key).filter(|key| primary.contains(key.as_bytes()));
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

/// Appends what begins no earlier than the last one, or joins it to that one.
fn append(parts: &mut Vec<Stretch>, side: Side, part: Stretch) {
    let joins =
        |last: &Stretch| read(last, side).end().is_none_or(|end| read(&part, side).start() <= end);
    match parts.last_mut() {
        Some(last) if joins(last) => {
            let hull = |a: &KeyRange, b: &KeyRange| KeyRange::hull([a, b]).unwrap_or(b.clone());
            *last = Stretch {
                primary: hull(&last.primary, &part.primary),
                standby: hull(&last.standby, &part.standby),
            };
        }
        _ => parts.push(part),
    }
}
