//! Putting changes together: whole revisions into one transaction, within its limits.

use std::collections::{BTreeMap, VecDeque};

use etcd_mvcc::{Expect, Guard, Key, Op, PrimaryRevision, Txn, Write};

use crate::settings::{Coalesce, TxnLimits};

/// More revisions than these waiting means that the mirror lags: one round trip's worth of a
/// busy primary is less.
const LAGGING_GROUPS: usize = 16;

/// One primary revision, filtered and spelt for the standby, that waits to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) revision: PrimaryRevision,
    pub(crate) changes: Vec<Placed>,
    pub(crate) bytes: usize,
}

/// A change, spelt for the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) op: Op,
    /// The key as the primary spells it.
    pub(crate) primary_key: Key,
    pub(crate) modified: PrimaryRevision,
    /// The revision that made the key; `None` for a deletion.
    pub(crate) created: Option<PrimaryRevision>,
    /// The key did not exist before.
    pub(crate) is_new: bool,
}

impl Waiting {
    pub(crate) fn new(revision: PrimaryRevision, changes: Vec<Placed>) -> Self {
        let bytes = changes.iter().map(|change| change.op.size()).sum();
        Self { revision, changes, bytes }
    }
}

/// Takes as many whole revisions off the front of the backlog as belong into one transaction:
/// always at least one, however large.
///
/// Of several writes to one key the last is kept. A key that is deleted and made again ends the
/// batch before it is made: a watcher must see the deletion.
pub(crate) fn next_batch(
    backlog: &mut VecDeque<Waiting>,
    coalesce: Coalesce,
    limits: &TxnLimits,
) -> Option<Waiting> {
    let together = match coalesce {
        Coalesce::Lagging => backlog.len() > LAGGING_GROUPS,
        Coalesce::Always => true,
        Coalesce::Never => false,
    };
    let mut batch = backlog.pop_front()?;
    if !together {
        return Some(batch);
    }
    let mut places: BTreeMap<Key, usize> = batch
        .changes
        .iter()
        .enumerate()
        .map(|(at, change)| (change.op.key().clone(), at))
        .collect();
    while let Some(next) = backlog.front() {
        let full = batch.changes.len() + next.changes.len() > limits.ops
            || batch.bytes + next.bytes > limits.bytes;
        if full || remakes_a_deleted_key(&batch, &places, next) {
            break;
        }
        let Some(next) = backlog.pop_front() else { break };
        batch.revision = next.revision;
        for change in next.changes {
            batch.bytes += change.op.size();
            match places.get(change.op.key()).and_then(|at| batch.changes.get_mut(*at)) {
                Some(earlier) => {
                    batch.bytes -= earlier.op.size();
                    let is_new = earlier.is_new || change.is_new;
                    *earlier = Placed { is_new, ..change };
                }
                None => {
                    places.insert(change.op.key().clone(), batch.changes.len());
                    batch.changes.push(change);
                }
            }
        }
    }
    Some(batch)
}

fn remakes_a_deleted_key(batch: &Waiting, places: &BTreeMap<Key, usize>, next: &Waiting) -> bool {
    next.changes.iter().any(|change| {
        matches!(change.op, Op::Put { .. })
            && places
                .get(change.op.key())
                .and_then(|at| batch.changes.get(*at))
                .is_some_and(|earlier| matches!(earlier.op, Op::Delete { .. }))
    })
}

/// Cuts the writes that do not fit into one request, front first: each part within `bytes` and `ops`
/// operations, or a single write.
pub(crate) fn next_part(writes: &mut VecDeque<Write>, bytes: usize, ops: usize) -> Vec<Write> {
    let mut part = Vec::new();
    let mut size = 0;
    while let Some(write) = writes.front() {
        let more = write_bytes(write);
        if !part.is_empty() && (size + more > bytes || part.len() >= ops) {
            break;
        }
        size += more;
        part.extend(writes.pop_front());
    }
    part
}

/// Returns the size of the request that carries the transaction, in bytes, from above: etcd's
/// protocol buffers, with the nesting that lifts its limit of operations.
pub(crate) fn txn_bytes(txn: &Txn) -> usize {
    guard_bytes(&txn.guard)
        + txn.writes.iter().map(write_bytes).sum::<usize>()
        + txn.own.iter().map(op_bytes).sum::<usize>()
        + FRAME_BYTES
}

/// The message around the operations, and its length in the log's entry.
const FRAME_BYTES: usize = 12;

pub(crate) fn write_bytes(write: &Write) -> usize {
    let op = op_bytes(&write.op);
    match write.expect {
        // A transaction of its own: compare and operation, inside an operation, inside the list.
        Some(_) => field(field(compare_bytes(write.op.key()) + op)) + 1,
        // One byte for its share of the nesting: 12 bytes for some 40 operations.
        None => op + 1,
    }
}

fn guard_bytes(guard: &Guard) -> usize {
    guard.0.iter().map(|(key, _): &(Key, Expect)| compare_bytes(key)).sum()
}

/// Target, key and a revision of at most nine bytes.
fn compare_bytes(key: &Key) -> usize {
    field(2 + field(key.len()) + 10)
}

pub(crate) fn op_bytes(op: &Op) -> usize {
    let request = match op {
        Op::Put { key, value } => field(key.len()) + field(value.len()),
        Op::Delete { key } => field(key.len()),
    };
    field(field(request))
}

/// A tag, a length, and that many bytes.
fn field(len: usize) -> usize {
    let bits = usize::BITS - len.leading_zeros();
    let length_bytes = usize::try_from(bits.max(1).div_ceil(7)).unwrap_or(10);
    1 + length_bytes + len
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Revision, Value};
    use proptest::prelude::*;

    use super::*;

    fn put(key: u8, revision: i64) -> Placed {
        let key = Key::from(vec![b'k', key]);
        Placed {
            op: Op::Put { key: key.clone(), value: Value::from(revision.to_string().as_str()) },
            primary_key: key,
            modified: PrimaryRevision::new(revision),
            created: Some(PrimaryRevision::new(revision)),
            is_new: false,
        }
    }

    fn delete(key: u8, revision: i64) -> Placed {
        let placed = put(key, revision);
        Placed { op: Op::Delete { key: placed.primary_key.clone() }, ..placed }
    }

    fn waiting(revision: i64, changes: Vec<Placed>) -> Waiting {
        Waiting::new(PrimaryRevision::new(revision), changes)
    }

    #[test]
    fn a_mirror_that_keeps_up_writes_one_revision_at_a_time() {
        let mut backlog: VecDeque<_> = (1..4).map(|n| waiting(n, vec![put(1, n)])).collect();
        let batch = next_batch(&mut backlog, Coalesce::Lagging, &TxnLimits::default()).unwrap();
        assert_eq!((batch.revision.get(), backlog.len()), (1, 2));
    }

    #[test]
    fn a_key_that_is_deleted_and_made_again_ends_the_batch() {
        let mut backlog = VecDeque::from([
            waiting(1, vec![put(1, 1)]),
            waiting(2, vec![delete(1, 2)]),
            waiting(3, vec![put(1, 3)]),
        ]);
        let batch = next_batch(&mut backlog, Coalesce::Always, &TxnLimits::default()).unwrap();
        assert_eq!(batch.revision.get(), 2);
        assert_eq!(batch.changes, vec![delete(1, 2)]);
    }

    proptest! {
        #[test]
        fn batches_in_order_are_the_changes_in_order(
            script in prop::collection::vec(prop::collection::vec((0u8..6, any::<bool>()), 1..4), 1..60),
            ops in 1usize..10,
        ) {
            let groups: VecDeque<_> = script.iter().zip(1i64..).map(|(changes, revision)| {
                let unique: BTreeMap<_, _> = changes.iter().copied().collect();
                waiting(revision, unique.into_iter().map(|(key, is_put)| {
                    if is_put { put(key, revision) } else { delete(key, revision) }
                }).collect())
            }).collect();
            let apply = |state: &mut BTreeMap<Key, Value>, group: &Waiting| {
                for change in &group.changes {
                    match &change.op {
                        Op::Put { key, value } => { state.insert(key.clone(), value.clone()); }
                        Op::Delete { key } => { state.remove(key); }
                    }
                }
            };
            let mut states = BTreeMap::new();
            let mut state = BTreeMap::new();
            for group in &groups {
                apply(&mut state, group);
                states.insert(group.revision, state.clone());
            }
            let limits = TxnLimits { ops, ..TxnLimits::default() };
            let mut backlog = groups;
            let mut mirrored = BTreeMap::new();
            while let Some(batch) = next_batch(&mut backlog, Coalesce::Always, &limits) {
                apply(&mut mirrored, &batch);
                prop_assert_eq!(&mirrored, &states[&batch.revision]);
            }
            prop_assert_eq!(mirrored, state);
        }

        #[test]
        fn parts_hold_every_write_once_in_order(
            sizes in prop::collection::vec(0usize..500, 0..50),
            ops in 1usize..10,
        ) {
            let writes: VecDeque<Write> = sizes.iter().enumerate().map(|(at, size)| {
                let key = Key::from(format!("k{at}"));
                Write::from(Op::Put { key, value: Value::from(vec![0; *size]) })
            }).collect();
            let (mut rest, mut parts) = (writes.clone(), Vec::new());
            while !rest.is_empty() {
                let part = next_part(&mut rest, 600, ops);
                prop_assert!(!part.is_empty());
                let size: usize = part.iter().map(write_bytes).sum();
                prop_assert!((size <= 600 && part.len() <= ops) || part.len() == 1);
                parts.extend(part);
            }
            prop_assert_eq!(parts, Vec::from(writes));
        }
    }
}
