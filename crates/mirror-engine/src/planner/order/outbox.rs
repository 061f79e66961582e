//! Writes that wait for the next transaction, in the order in which they are to happen.

use std::collections::VecDeque;

use etcd_mvcc::{Key, Write};

use crate::planner::batch::write_bytes;
use crate::settings::TxnLimits;

/// Writes that wait.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    writes: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    write: Write,
    /// It belongs into one transaction with the write before it, if the two fit into one.
    tied: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, write: Write) {
        self.add(write, false);
    }

    /// Adds a write that belongs into one transaction with the one before it.
    pub(crate) fn push_tied(&mut self, write: Write) {
        self.add(write, true);
    }

    fn add(&mut self, write: Write, tied: bool) {
        self.bytes += write_bytes(&write);
        self.writes.push_back(Waiting { write, tied });
    }

    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// What waits, in bytes of requests.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first key that waits.
    pub(crate) fn first(&self) -> Option<&Key> {
        self.writes.front().map(|waiting| waiting.write.op.key())
    }

    /// Tells whether as much waits as one transaction aims at.
    pub(crate) fn is_due(&self, limits: &TxnLimits) -> bool {
        self.writes.len() >= limits.ops || self.bytes >= limits.bytes
    }

    /// Tells whether nothing more should be found before something is sent.
    pub(crate) fn is_full(&self, limits: &TxnLimits) -> bool {
        self.writes.len() >= limits.ops * 2 || self.bytes >= limits.bytes * 2
    }

    /// Takes what goes into one transaction that has room for so many bytes of it, and says how
    /// many they are: always one write, however large, else no more than fit. Writes that are tied
    /// together stay together, unless they alone are more than fit.
    pub(crate) fn take(&mut self, limits: &TxnLimits, room: usize) -> (Vec<Write>, usize) {
        let most = limits.bytes.min(room);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some((count, more)) = self.next_group() {
            let fits = taken.len() + count <= limits.ops && bytes + more <= most;
            if !fits && !taken.is_empty() {
                break;
            }
            for _ in 0..count {
                let Some(waiting) = self.writes.front() else { break };
                let more = write_bytes(&waiting.write);
                let full = taken.len() >= limits.ops || bytes + more > most;
                if full && !taken.is_empty() {
                    break;
                }
                bytes += more;
                taken.extend(self.writes.pop_front().map(|waiting| waiting.write));
            }
            if !fits {
                break;
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        (taken, bytes)
    }

    /// The number of writes that belong together at the front, and their bytes.
    fn next_group(&self) -> Option<(usize, usize)> {
        let mut waiting = self.writes.iter();
        let first = write_bytes(&waiting.next()?.write);
        let tied = waiting.take_while(|waiting| waiting.tied);
        Some(tied.fold((1, first), |(count, bytes), waiting| {
            (count + 1, bytes + write_bytes(&waiting.write))
        }))
    }

    /// Forgets the write that was added last.
    pub(crate) fn forget_last(&mut self) {
        if let Some(waiting) = self.writes.pop_back() {
            self.bytes = self.bytes.saturating_sub(write_bytes(&waiting.write));
        }
    }

    /// Takes back what was taken and not sent.
    pub(crate) fn put_back(&mut self, writes: Vec<Write>) {
        for write in writes.into_iter().rev() {
            self.bytes += write_bytes(&write);
            // Whatever it was tied to: it did not fit beside it, or it is alone.
            self.writes.push_front(Waiting { write, tied: false });
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

    #[test]
    fn writes_that_are_tied_stay_together_if_they_fit_and_are_cut_if_they_alone_do_not() {
        let limits = TxnLimits { ops: 3, ..TxnLimits::default() };
        let mut outbox = Outbox::default();
        outbox.push(write(0, 1));
        outbox.push(write(1, 1));
        outbox.push(write(2, 1));
        outbox.push_tied(write(3, 1));
        outbox.push(write(4, 1));
        (5..9).for_each(|at| outbox.push_tied(write(at, 1)));
        let mut sizes = Vec::new();
        while !outbox.is_empty() {
            sizes.push(outbox.take(&limits, 1 << 20).0.len());
        }
        assert_eq!(sizes, [2, 2, 3, 2]);
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
