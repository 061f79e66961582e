//! What differs between the primary at one revision and the standby at another, of the kinds asked
//! for.

use etcd_mvcc::{Entry, Key, PrimaryRevision, StandbyRevision, Step};

use crate::planner::comparison::Comparison;
use crate::planner::{Ledger, Withheld};
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
        /// What it has.
        entry: Entry<StandbyRevision>,
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
            Self::Surplus { entry, .. } => &entry.key,
        }
    }

    /// The last write on the standby that is overwritten or deleted.
    pub(crate) fn modified(&self) -> Option<StandbyRevision> {
        match self {
            Self::Missed(_) => None,
            Self::Different(_, modified) => Some(*modified),
            Self::Surplus { entry, .. } => Some(entry.modified),
        }
    }

    /// The fingerprint of the value that the key gets.
    pub(crate) fn fingerprint(&self) -> Option<u128> {
        match self {
            Self::Missed(entry) | Self::Different(entry, _) => Some(entry.value.fingerprint()),
            Self::Surplus { .. } => None,
        }
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

    /// What is held back is no difference that a repair could mend.
    pub(crate) fn next(&mut self, ledger: &Ledger, withheld: &Withheld) -> Next {
        loop {
            match self.comparison.step() {
                Step::Missed(entry) => {
                    self.compared = entry.key.clone();
                    if self.kinds.missed && !withheld.holds(&entry.key) {
                        return Next::Found(Difference::Missed(entry));
                    }
                }
                Step::Both(primary, standby) => {
                    let held = withheld.holds(&standby.key);
                    self.compared = standby.key;
                    if self.kinds.different && !held && primary.value != standby.value {
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
                        return Next::Found(Difference::Surplus { entry, foreign });
                    }
                    self.foreign_left += u64::from(foreign);
                }
                Step::Need(_) => return Next::Wait,
                Step::Done => return Next::Done,
            }
        }
    }
}
