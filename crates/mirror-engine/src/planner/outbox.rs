//! Writes that wait for the next transaction, in the order in which they are to happen.

use std::collections::VecDeque;

use etcd_mvcc::{Key, Write};

use super::batch::write_bytes;
use crate::settings::TxnLimits;

/// Writes that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    writes: VecDeque<Write>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, write: Write) {
        self.bytes += write_bytes(&write);
        self.writes.push_back(write);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// What waits, in bytes of requests.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first key that waits.
    pub(super) fn first(&self) -> Option<&Key> {
        self.writes.front().map(|write| write.op.key())
    }

    /// Tells whether as much waits as one transaction aims at.
    pub(super) fn is_due(&self, limits: &TxnLimits) -> bool {
        self.writes.len() >= limits.ops || self.bytes >= limits.bytes
    }

    /// Tells whether nothing more should be found before something is sent.
    pub(super) fn is_full(&self, limits: &TxnLimits) -> bool {
        self.writes.len() >= limits.ops * 2 || self.bytes >= limits.bytes * 2
    }

    /// Takes what goes into one transaction that has room for so many bytes of it, and says how
    /// many they are: always one write, however large, else no more than fit.
    pub(super) fn take(&mut self, limits: &TxnLimits, room: usize) -> (Vec<Write>, usize) {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < limits.ops
            && let Some(write) = self.writes.front()
        {
            let more = write_bytes(write);
            if !taken.is_empty() && bytes + more > limits.bytes.min(room) {
                break;
            }
            bytes += more;
            taken.extend(self.writes.pop_front());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        (taken, bytes)
    }

    /// Takes back what was taken and not sent.
    pub(super) fn put_back(&mut self, writes: Vec<Write>) {
        for write in writes.into_iter().rev() {
            self.bytes += write_bytes(&write);
            self.writes.push_front(write);
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Op, Value};
    use proptest::prelude::*;

    use super::*;

    fn write(at: usize, size: usize) -> Write {
        let key = Key::from(format!("k{at}"));
        Write::from(Op::Put { key, value: Value::from(vec![0; size]) })
    }

    proptest! {
        #[test]
        fn every_write_goes_once_in_order_and_only_one_alone_exceeds_the_room(
            sizes in prop::collection::vec(0usize..500, 0..50),
            ops in 1usize..9,
        ) {
            let limits = TxnLimits { ops, bytes: 700, ..TxnLimits::default() };
            let writes: Vec<_> = sizes.iter().enumerate().map(|(at, size)| write(at, *size)).collect();
            let mut outbox = Outbox::default();
            writes.iter().cloned().for_each(|write| outbox.push(write));
            let mut sent = Vec::new();
            while !outbox.is_empty() {
                let (taken, bytes) = outbox.take(&limits, 300);
                prop_assert!(!taken.is_empty() && taken.len() <= ops);
                prop_assert!(bytes <= 300 || taken.len() == 1);
                outbox.put_back(taken);
                sent.extend(outbox.take(&limits, 300).0);
            }
            prop_assert_eq!(outbox.bytes(), 0);
            prop_assert_eq!(sent, writes);
        }
    }
}
