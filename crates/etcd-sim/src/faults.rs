//! What may go wrong, how often, and the dice.

use std::collections::BTreeMap;

/// A small random number generator (SplitMix64): the same seed, the same numbers, for ever.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Returns true `per_thousand` times in a thousand.
    pub fn chance(&mut self, per_thousand: u16) -> bool {
        self.below(1000) < u64::from(per_thousand)
    }
}

/// Something that may go wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A read, or the opening of a watch, is not answered.
    ReadFails,
    /// A watch ends.
    WatchDrops,
    /// A watch delivers earlier revisions again: etcd-io/etcd#15271.
    WatchRepeats,
    /// A transaction is refused for want of a quorum, and was not applied.
    CommitFails,
    /// A transaction is not answered, and was not applied.
    CommitLost,
    /// A transaction is not answered, and was applied.
    CommitUnanswered,
    /// A transaction is not answered, and is applied later: when
    /// [`SimEtcd::land_delayed`](crate::SimEtcd::land_delayed) says so.
    CommitDelayed,
}

/// How often each fault happens, per thousand calls. Never, by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How often [`Fault::ReadFails`].
    pub read_fails: u16,
    /// How often [`Fault::WatchDrops`].
    pub watch_drops: u16,
    /// How often [`Fault::WatchRepeats`].
    pub watch_repeats: u16,
    /// How often [`Fault::CommitFails`].
    pub commit_fails: u16,
    /// How often [`Fault::CommitLost`].
    pub commit_lost: u16,
    /// How often [`Fault::CommitUnanswered`].
    pub commit_unanswered: u16,
    /// How often [`Fault::CommitDelayed`].
    pub commit_delayed: u16,
    /// The most revisions in one answer of a watch. etcd's own limit is 1000.
    pub watch_groups_max: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            read_fails: 0,
            watch_drops: 0,
            watch_repeats: 0,
            commit_fails: 0,
            commit_lost: 0,
            commit_unanswered: 0,
            commit_delayed: 0,
            watch_groups_max: 1000,
        }
    }
}

impl Faults {
    fn rate(&self, fault: Fault) -> u16 {
        match fault {
            Fault::ReadFails => self.read_fails,
            Fault::WatchDrops => self.watch_drops,
            Fault::WatchRepeats => self.watch_repeats,
            Fault::CommitFails => self.commit_fails,
            Fault::CommitLost => self.commit_lost,
            Fault::CommitUnanswered => self.commit_unanswered,
            Fault::CommitDelayed => self.commit_delayed,
        }
    }
}

/// Decides, call by call.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) faults: Faults,
    pub(crate) rng: Rng,
    /// Faults that the next calls of their kind will meet, whatever the dice say.
    due: BTreeMap<Fault, usize>,
}

impl Fate {
    pub(crate) fn new() -> Self {
        Self { faults: Faults::default(), rng: Rng::new(0), due: BTreeMap::new() }
    }

    pub(crate) fn schedule(&mut self, fault: Fault) {
        *self.due.entry(fault).or_default() += 1;
    }

    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        match self.due.get_mut(&fault) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => self.rng.chance(self.faults.rate(fault)),
        }
    }
}
