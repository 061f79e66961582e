//! What a gate found: the number is exact, and some are shown.

use etcd_mvcc::Key;
use serde::Serialize;

/// One thing that a gate found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The key, printable, as its own cluster spells it; for gates that are not about keys, what
    /// else it is about (`primary`, `standby`).
    pub key: String,
    /// What is wrong with it. Never a value.
    pub detail: String,
}

/// A list with a bound, and a number without one.
#[derive(Debug)]
pub(crate) struct Findings {
    count: u64,
    shown: Vec<Finding>,
    shown_max: usize,
}

impl Findings {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self { count: 0, shown: Vec::new(), shown_max }
    }

    /// Counts one, and keeps it while there is room. The detail is only made then.
    pub(crate) fn add(&mut self, key: &Key, detail: impl FnOnce() -> String) {
        self.add_named(|| key.to_string(), detail);
    }

    /// Counts one that is no key.
    pub(crate) fn add_named(
        &mut self,
        name: impl FnOnce() -> String,
        detail: impl FnOnce() -> String,
    ) {
        self.count += 1;
        if self.shown.len() < self.shown_max {
            self.shown.push(Finding { key: name(), detail: detail() });
        }
    }

    /// Counts some that are not shown.
    pub(crate) fn count_more(&mut self, more: u64) {
        self.count += more;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn into_shown(self) -> Vec<Finding> {
        self.shown
    }
}
