//! A guarded transaction in etcd's terms: how it is built, how large it is, what its answer says.

use std::ops::Range;

use etcd_client::proto::{PbResponseOp, PbTxnOpResponse};
use etcd_client::{Compare, CompareOp, TxnOp};
use etcd_mvcc::{Commit, Committed, Expect, Key, Op, Revision, StandbyRevision, Txn, Value, Write};

use crate::pack::{self, Shape, pack};

/// How large a transaction may be in [`request_bytes`] for a cluster with etcd's default limits.
///
/// etcd compares `--max-request-bytes` (1.5 MiB) with the entry that it writes to its log: the
/// request, and up to 40 bytes around it, and the user's name.
pub const REQUEST_BYTES_MAX: usize = (3 << 19) - 512;

/// Returns the size of the request that a transaction becomes, in bytes, exactly, for a cluster
/// with etcd's default `--max-txn-ops`.
#[must_use]
pub fn request_bytes(txn: &Txn) -> usize {
    sized(txn, 128)
}

/// As [`request_bytes`], for any limit of operations.
pub(crate) fn sized(txn: &Txn, ops_max: usize) -> usize {
    let guard: usize =
        txn.guard.0.iter().map(|(key, expect)| message(compare_bytes(key, expect))).sum();
    let leaves: Vec<usize> =
        txn.writes.iter().map(write_bytes).chain(txn.own.iter().map(op_bytes)).collect();
    let Some(shape) = shape(txn, ops_max) else { return usize::MAX };
    guard + nodes_bytes(&shape, 0, 0..leaves.len(), &leaves)
}

/// Chooses how to nest a transaction.
pub(crate) fn shape(txn: &Txn, ops_max: usize) -> Option<Shape> {
    let nested = txn.writes.iter().any(|write| write.expect.is_some());
    pack(txn.writes.len() + txn.own.len(), txn.guard.0.len(), nested, ops_max)
}

/// The most operations that such a transaction can have.
pub(crate) fn most(txn: &Txn, ops_max: usize) -> usize {
    let nested = txn.writes.iter().any(|write| write.expect.is_some());
    pack::most(txn.guard.0.len(), nested, ops_max)
}

fn varint(mut number: u64) -> usize {
    let mut bytes = 1;
    while number >= 0x80 {
        number >>= 7;
        bytes += 1;
    }
    bytes
}

/// The bytes of an embedded message, with its tag (all field numbers here are below 16).
fn message(len: usize) -> usize {
    1 + varint(len as u64) + len
}

/// The bytes of a field of bytes; an empty one is left out.
fn field(len: usize) -> usize {
    if len == 0 { 0 } else { message(len) }
}

fn compare_bytes(key: &Key, expect: &Expect) -> usize {
    field(key.len())
        + match expect {
            // Target and number; a negative number would take ten bytes.
            Expect::ModifiedAt(revision) => 2 + 1 + varint(revision.get().cast_unsigned()),
            Expect::Absent => 2,
        }
}

fn op_bytes(op: &Op) -> usize {
    message(match op {
        Op::Put { key, value } => field(key.len()) + field(value.len()),
        Op::Delete { key } => field(key.len()),
    })
}

fn write_bytes(write: &Write) -> usize {
    let op = op_bytes(&write.op);
    match &write.expect {
        None => op,
        Some(expect) => message(message(compare_bytes(write.op.key(), expect)) + message(op)),
    }
}

fn nodes_bytes(shape: &Shape, level: usize, leaves: Range<usize>, sizes: &[usize]) -> usize {
    shape
        .children(level, leaves)
        .map(|child| match child.len() {
            1 => message(sizes.get(child.start).copied().unwrap_or(0)),
            _ => message(message(nodes_bytes(shape, level + 1, child, sizes))),
        })
        .sum()
}

/// Builds the request. Keys and values move in without being copied where they are not shared.
pub(crate) fn build(txn: Txn, shape: &Shape) -> etcd_client::Txn {
    let Txn { guard, writes, own } = txn;
    let guard: Vec<Compare> =
        guard.0.into_iter().map(|(key, expect)| compare(take_key(key), expect)).collect();
    let leaves = writes.len() + own.len();
    let mut ops = writes.into_iter().map(write_op).chain(own.into_iter().map(op));
    etcd_client::Txn::new().when(guard).and_then(nodes(shape, 0, 0..leaves, &mut ops))
}

fn nodes(
    shape: &Shape,
    level: usize,
    leaves: Range<usize>,
    ops: &mut impl Iterator<Item = TxnOp>,
) -> Vec<TxnOp> {
    let mut made = Vec::new();
    for child in shape.children(level, leaves) {
        if child.len() == 1 {
            made.extend(ops.next());
        } else {
            let inner = nodes(shape, level + 1, child, ops);
            made.push(TxnOp::txn(etcd_client::Txn::new().and_then(inner)));
        }
    }
    made
}

pub(crate) fn compare(key: Vec<u8>, expect: Expect) -> Compare {
    match expect {
        Expect::ModifiedAt(revision) => {
            Compare::mod_revision(key, CompareOp::Equal, revision.get())
        }
        Expect::Absent => Compare::version(key, CompareOp::Equal, 0),
    }
}

fn write_op(write: Write) -> TxnOp {
    match write.expect {
        None => op(write.op),
        Some(expect) => {
            let guard = vec![compare(write.op.key().as_bytes().to_vec(), expect)];
            TxnOp::txn(etcd_client::Txn::new().when(guard).and_then(vec![op(write.op)]))
        }
    }
}

fn op(op: Op) -> TxnOp {
    match op {
        Op::Put { key, value } => TxnOp::put(take_key(key), take_value(value), None),
        Op::Delete { key } => TxnOp::delete(take_key(key), None),
    }
}

/// Takes the bytes out: without a copy, if nobody else holds them.
fn take_key(key: Key) -> Vec<u8> {
    let bytes = key.to_bytes();
    drop(key);
    bytes.into()
}

fn take_value(value: Value) -> Vec<u8> {
    let bytes = value.expose_bytes();
    drop(value);
    bytes.into()
}

/// An answer that is not one to the question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit;

/// Reads the answer to a transaction of this shape with `leaves` operations.
pub(crate) fn outcome(
    answer: etcd_client::TxnResponse,
    shape: &Shape,
    leaves: usize,
) -> Result<Commit, Misfit> {
    let answer = answer.0;
    if !answer.succeeded {
        return Ok(Commit::Refused);
    }
    let revision = StandbyRevision::new(answer.header.ok_or(Misfit)?.revision);
    let mut skipped = Vec::new();
    collect_skipped(shape, 0, 0..leaves, &answer.responses, &mut skipped)?;
    Ok(Commit::Done(Committed { revision, skipped }))
}

fn collect_skipped(
    shape: &Shape,
    level: usize,
    leaves: Range<usize>,
    responses: &[PbResponseOp],
    skipped: &mut Vec<usize>,
) -> Result<(), Misfit> {
    let mut responses = responses.iter();
    for child in shape.children(level, leaves) {
        let response = responses.next().ok_or(Misfit)?;
        match (&response.response, child.len()) {
            (Some(PbTxnOpResponse::ResponseTxn(inner)), 1) => {
                if !inner.succeeded {
                    skipped.push(child.start);
                }
            }
            (Some(PbTxnOpResponse::ResponseTxn(inner)), _) => {
                collect_skipped(shape, level + 1, child, &inner.responses, skipped)?;
            }
            (Some(_), 1) => {}
            _ => return Err(Misfit),
        }
    }
    if responses.next().is_some() { Err(Misfit) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use etcd_client::proto::PbTxnRequest;
    use etcd_mvcc::Guard;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn expects() -> impl Strategy<Value = Expect> {
        prop_oneof![
            Just(Expect::Absent),
            any::<i64>().prop_map(|revision| Expect::ModifiedAt(StandbyRevision::new(revision))),
        ]
    }

    fn keys() -> impl Strategy<Value = Key> {
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Key::from)
    }

    fn ops() -> impl Strategy<Value = Op> {
        prop_oneof![
            (keys(), prop::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(key, value)| Op::Put { key, value: Value::from(value) }),
            keys().prop_map(|key| Op::Delete { key }),
        ]
    }

    fn txns() -> impl Strategy<Value = Txn> {
        let writes =
            (ops(), prop::option::of(expects())).prop_map(|(op, expect)| Write { op, expect });
        (
            prop::collection::vec((keys(), expects()), 0..4),
            prop::collection::vec(writes, 0..150),
            prop::collection::vec(ops(), 0..4),
        )
            .prop_map(|(guard, writes, own)| Txn { guard: Guard(guard), writes, own })
    }

    proptest! {
        #[test]
        fn the_size_told_is_the_size_sent(txn in txns(), ops_max in 20usize..200) {
            let told = sized(&txn, ops_max);
            let shape = shape(&txn, ops_max).expect("packable");
            let request: PbTxnRequest = build(txn, &shape).into();
            prop_assert_eq!(told, request.encoded_len());
        }
    }

    #[test]
    fn a_value_that_nobody_shares_is_not_copied() {
        let bytes = vec![7; 1_000];
        let address = bytes.as_ptr();
        let taken = take_value(Value::from(bytes));
        assert_eq!(taken.as_ptr(), address);
    }

    #[test]
    fn seventy_seven_thousand_deletions_fit_into_a_request() {
        let writes = (0..77_000)
            .map(|n| Write::from(Op::Delete { key: Key::from(format!("/{n:05x}")) }))
            .collect();
        let guard = Guard(vec![(Key::from("/etcd-sync/m/checkpoint"), Expect::Absent)]);
        let txn = Txn { guard, writes, own: Vec::new() };
        assert!(request_bytes(&txn) < REQUEST_BYTES_MAX, "{}", request_bytes(&txn));
    }
}
