//! What differs between the primary at one revision and the standby at another, of the kinds asked
//! for.

use etcd_mvcc::{Entry, Expect, Key, Op, PrimaryRevision, StandbyRevision, Step, Write};

use crate::planner::Ledger;
use crate::planner::comparison::Comparison;
use crate::repair::{RepairKind, RepairKinds, Surplus};

/// A key that a repair mends, spelt as on the standby.
#[derive(Clone, Debug)]
pub(crate) enum Difference {
    /// The primary alone has it.
    Missed(Entry<PrimaryRevision>),
    /// Both have it, with other values; and the last write on the standby.
    Different(Entry<PrimaryRevision>, StandbyRevision),
    /// The standby alone has it.
    Surplus {
        /// The key.
        key: Key,
        /// The last write on the standby.
        modified: StandbyRevision,
        /// Somebody else made it.
        foreign: bool,
    },
}

impl Difference {
    pub(crate) fn kind(&self) -> RepairKind {
        match self {
            Self::Missed(_) => RepairKind::Missed,
            Self::Different(..) => RepairKind::Different,
            Self::Surplus { .. } => RepairKind::Surplus,
        }
    }

    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Missed(entry) | Self::Different(entry, _) => &entry.key,
            Self::Surplus { key, .. } => key,
        }
    }

    /// The last write on the standby that is overwritten or deleted.
    pub(crate) fn modified(&self) -> Option<StandbyRevision> {
        match self {
            Self::Missed(_) => None,
            Self::Different(_, modified) | Self::Surplus { modified, .. } => Some(*modified),
        }
    }

    /// The fingerprint of the value that the key gets.
    pub(crate) fn fingerprint(&self) -> Option<u128> {
        match self {
            Self::Missed(entry) | Self::Different(entry, _) => Some(entry.value.fingerprint()),
            Self::Surplus { .. } => None,
        }
    }

    /// The write that mends it, unless somebody writes the key before.
    pub(crate) fn into_write(self) -> Write {
        let expect = self.modified().map_or(Expect::Absent, Expect::ModifiedAt);
        let op = match self {
            Self::Missed(Entry { key, value, .. })
            | Self::Different(Entry { key, value, .. }, _) => Op::Put { key, value },
            Self::Surplus { key, .. } => Op::Delete { key },
        };
        Write { op, expect: Some(expect) }
    }
}

/// The differences, as they are found, in key order.
#[derive(Debug)]
pub(crate) struct Differences {
    pub(crate) comparison: Comparison,
    kinds: RepairKinds,
    /// The last key that was compared.
    pub(crate) compared: Key,
    /// Keys that others made and that are left alone, because nobody asked for them.
    pub(crate) foreign_left: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Found(Difference),
    /// A page has to come first.
    Wait,
    Done,
}

impl Differences {
    pub(crate) fn new(comparison: Comparison, kinds: RepairKinds) -> Self {
        Self { comparison, kinds, compared: Key::default(), foreign_left: 0 }
    }

    pub(crate) fn next(&mut self, ledger: &Ledger) -> Next {
        loop {
            match self.comparison.step() {
                Step::Missed(entry) => {
                    self.compared = entry.key.clone();
                    if self.kinds.missed {
                        return Next::Found(Difference::Missed(entry));
                    }
                }
                Step::Both(primary, standby) => {
                    self.compared = standby.key;
                    if self.kinds.different && primary.value != standby.value {
                        return Next::Found(Difference::Different(primary, standby.modified));
                    }
                }
                Step::Surplus(entry) => {
                    self.compared = entry.key.clone();
                    let foreign = ledger.is_foreign(&entry);
                    let asked = match self.kinds.surplus {
                        Surplus::Left => false,
                        Surplus::Stale => !foreign,
                        Surplus::All => true,
                    };
                    if asked {
                        let Entry { key, modified, .. } = entry;
                        return Next::Found(Difference::Surplus { key, modified, foreign });
                    }
                    self.foreign_left += u64::from(foreign);
                }
                Step::Need(_) => return Next::Wait,
                Step::Done => return Next::Done,
            }
        }
    }
}
