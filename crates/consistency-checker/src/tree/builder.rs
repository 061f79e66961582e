//! Folding one side into a tree of a bounded number of leaves.

use etcd_mvcc::{Key, Value};

use super::error::RecordError;
use super::header::{FileHeader, FileTotals};
use super::sum::{LEVEL_MAX, RangeSum, begins_leaf};

/// The most leaves that any tree has, however it is configured: at most some 150 MB of file and of
/// memory, if every leaf begins with a key as long as one may be.
pub(crate) const LEAVES_MAX: usize = 65_536;

/// How fine a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSettings {
    /// The most leaves. Default 4,096: some 400 kB of file, and, of a million keys, some 250 to
    /// look at again for every one that differs. From 1 to 65,536; beyond, the nearest is taken.
    pub leaves_max: usize,
    /// The level to begin at: one key in 2^level begins a leaf, until that makes too many leaves.
    /// Default 4. Two trees need not agree on it. At 65, no key does.
    pub level_min: u8,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { leaves_max: 4_096, level_min: 4 }
    }
}

/// One side, folded into leaves: ranges of keys, each with a count and a sum.
///
/// Every leaf but the first begins with a key that a hash of it alone has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub(crate) header: FileHeader,
    pub(crate) level: u8,
    /// What comes before the first leaf that begins with a key.
    pub(crate) head: RangeSum,
    /// Ascending.
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) totals: FileTotals,
}

/// All keys from `from` on, up to the next leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) from: Key,
    pub(crate) sum: RangeSum,
}

impl Tree {
    pub(crate) fn empty(header: FileHeader, level: u8) -> Self {
        let (head, totals) = (RangeSum::default(), FileTotals::default());
        Self { header, level, head, leaves: Vec::new(), totals }
    }

    /// Returns whose keys these are.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Returns how much was folded.
    #[must_use]
    pub fn totals(&self) -> FileTotals {
        self.totals
    }

    /// Returns the level: about one key in 2^level begins a leaf.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Returns the number of leaves, the first one included, which may be empty.
    #[must_use]
    pub fn leaves(&self) -> usize {
        self.leaves.len() + 1
    }

    /// The sum of the leaf that is being filled.
    fn last_sum(&mut self) -> &mut RangeSum {
        self.leaves.last_mut().map_or(&mut self.head, |leaf| &mut leaf.sum)
    }

    /// Lets fewer keys begin a leaf, and adds the others' leaves to the ones before them.
    fn raise(&mut self) {
        self.level += 1;
        for leaf in std::mem::take(&mut self.leaves) {
            if begins_leaf(&leaf.from, self.level) {
                self.leaves.push(leaf);
            } else {
                self.last_sum().add(leaf.sum);
            }
        }
    }
}

/// Folds entries into a [`Tree`]. Memory is bounded by the number of leaves, however many keys
/// there are.
#[derive(Clone, Debug)]
pub struct TreeBuilder {
    tree: Tree,
    leaves_max: usize,
    last: Key,
    frame: Vec<u8>,
}

impl TreeBuilder {
    /// Starts with nothing.
    #[must_use]
    pub fn new(header: FileHeader, settings: &TreeSettings) -> Self {
        Self {
            tree: Tree::empty(header, settings.level_min.min(LEVEL_MAX)),
            leaves_max: settings.leaves_max.clamp(1, LEAVES_MAX),
            last: Key::default(),
            frame: Vec::new(),
        }
    }

    /// Adds a key, as the standby spells it. Keys come in ascending order.
    ///
    /// # Errors
    ///
    /// [`RecordError::Order`] if it is not beyond the one before it, or is empty; it was not added.
    pub fn push(&mut self, key: &Key, value: &Value) -> Result<(), RecordError> {
        if *key <= self.last {
            return Err(RecordError::Order { key: key.clone() });
        }
        self.last = key.clone();
        if begins_leaf(key, self.tree.level) {
            // A copy: the key that was read may share its memory with the whole page.
            let from = Key::from(key.as_bytes().to_vec());
            self.tree.leaves.push(Leaf { from, sum: RangeSum::default() });
        }
        let sum = RangeSum::of(key, value.fingerprint(), &mut self.frame);
        self.tree.last_sum().add(sum);
        self.tree.totals.add(key.len(), value.len());
        while self.tree.leaves() > self.leaves_max {
            self.tree.raise();
        }
        Ok(())
    }

    /// Returns the tree of everything that was added.
    #[must_use]
    pub fn finish(self) -> Tree {
        self.tree
    }
}
