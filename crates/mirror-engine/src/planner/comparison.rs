//! Reading both sides at once: which pages to ask for, and what their merge says.

use etcd_mvcc::{
    Key, Merge, Page, PageRequest, PrimaryRevision, Side, StandbyRevision, Step, Walk, WalkLimits,
};
use keyspace_filter::{Scope, Turn};

/// A comparison of the scope on both sides, page by page.
///
/// Each side is pinned by its first page. A pin that compaction overtakes is replaced: the
/// comparison goes on, and [`Comparison::pins`] tells that it spans more than one.
#[derive(Debug)]
pub(crate) struct Comparison {
    scope: Scope,
    turns: Turns,
    primary: Walk,
    standby: Walk,
    primary_asked: Option<PageRequest<PrimaryRevision>>,
    standby_asked: Option<PageRequest<StandbyRevision>>,
    primary_pin: Option<PrimaryRevision>,
    standby_pin: Option<StandbyRevision>,
    pins: Option<Pins>,
    merge: Merge,
    page_bytes: usize,
    waiting_bytes: usize,
    /// What the primary's pages held, in scope.
    pub(crate) keys_read: u64,
    pub(crate) bytes_read: u64,
    /// What the primary counted in the ranges that were begun, less what proved out of scope.
    pub(crate) keys_counted: u64,
}

/// The first and the last revision of the primary that a comparison has read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) first: PrimaryRevision,
    pub(crate) last: PrimaryRevision,
}

/// Which of the keys in scope are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turns {
    All,
    First,
}

impl Turns {
    fn has(self, scope: &Scope, standby_key: &Key) -> bool {
        self == Self::All || scope.turn(standby_key.as_bytes()) == Turn::First
    }
}

impl Comparison {
    pub(crate) fn new(
        scope: &Scope,
        limits: WalkLimits,
        primary_keys_only: bool,
        standby_keys_only: bool,
    ) -> Self {
        let primary = Walk::new(scope.primary_ranges(), limits, primary_keys_only);
        let standby = Walk::new(scope.standby_ranges(), limits, standby_keys_only);
        Self::of(scope, Turns::All, primary, standby, limits)
    }

    /// Compares only the keys that go first.
    pub(crate) fn of_first(scope: &Scope, limits: WalkLimits, keys_only: bool) -> Self {
        let (primary, standby) = scope.first_ranges();
        let primary = Walk::new(&primary, limits, keys_only);
        let standby = Walk::new(&standby, limits, keys_only);
        Self::of(scope, Turns::First, primary, standby, limits)
    }

    fn of(scope: &Scope, turns: Turns, primary: Walk, standby: Walk, limits: WalkLimits) -> Self {
        Self {
            scope: scope.clone(),
            turns,
            primary,
            standby,
            primary_asked: None,
            standby_asked: None,
            primary_pin: None,
            standby_pin: None,
            pins: None,
            merge: Merge::new(),
            page_bytes: limits.page_bytes,
            waiting_bytes: 0,
            keys_read: 0,
            bytes_read: 0,
            keys_counted: 0,
        }
    }

    /// Reads both sides at these revisions, the standby at the first that comes if there is none.
    pub(crate) fn pinned(
        mut self,
        primary: PrimaryRevision,
        standby: Option<StandbyRevision>,
    ) -> Self {
        self.primary_pin = Some(primary);
        self.standby_pin = standby;
        self
    }

    /// Skips everything before `cursor`, which an earlier comparison had reached at `base`.
    pub(crate) fn resume(&mut self, cursor: &Key, base: PrimaryRevision) {
        if let Some(key) = self.scope.primary_key(cursor) {
            self.primary.skip_to(&key);
            self.standby.skip_to(cursor);
        }
        self.pins = Some(Pins { first: base, last: base });
    }

    /// Returns the revisions that the primary was read at, once there is one.
    pub(crate) fn pins(&self) -> Option<Pins> {
        self.pins
    }

    /// Tells whether the primary was read at one revision throughout.
    pub(crate) fn is_at_one_pin(&self) -> bool {
        self.pins.is_some_and(|pins| pins.first == pins.last)
    }

    /// The revision that the primary is read at now.
    pub(crate) fn pin(&self) -> Option<PrimaryRevision> {
        self.primary_pin
    }

    /// The revision that the standby is read at now.
    pub(crate) fn standby_pin(&self) -> Option<StandbyRevision> {
        self.standby_pin
    }

    /// Returns the next page of the primary to read, if one is wanted: while one page is being
    /// worked on, the next one is on its way.
    pub(crate) fn want_primary(&mut self) -> Option<PageRequest<PrimaryRevision>> {
        let plenty = self.merge.waiting(Side::Primary) > 0 && self.waiting_bytes > self.page_bytes;
        if self.primary_asked.is_some() || plenty {
            return None;
        }
        let request = self.primary.request(self.primary_pin)?;
        self.primary_asked = Some(request.clone());
        Some(request)
    }

    /// Returns the next page of the standby to read, if one is wanted. `quiet` says that no
    /// transaction of ours is on its way: only then may a new pin be taken.
    pub(crate) fn want_standby(&mut self, quiet: bool) -> Option<PageRequest<StandbyRevision>> {
        let plenty = self.merge.waiting(Side::Standby) > 0 && self.waiting_bytes > self.page_bytes;
        let may_pin = quiet || self.standby_pin.is_some();
        if self.standby_asked.is_some() || plenty || !may_pin {
            return None;
        }
        let request = self.standby.request(self.standby_pin)?;
        self.standby_asked = Some(request.clone());
        Some(request)
    }

    pub(crate) fn primary_page(&mut self, page: Page<PrimaryRevision>) {
        let Some(request) = self.primary_asked.take() else { return };
        self.primary_pin = Some(page.at);
        let first = self.pins.map_or(page.at, |pins| pins.first);
        self.pins = Some(Pins { first, last: page.at });
        if request.range.end() == self.primary_range_end(&request) {
            self.keys_counted += page.count;
        }
        self.primary.advance(&request, &page);
        let keys = page.entries.len();
        let (scope, turns) = (&self.scope, self.turns);
        let entries: Vec<_> = page
            .entries
            .into_iter()
            .filter_map(|mut entry| {
                entry.key = scope.place(&entry.key)?;
                turns.has(scope, &entry.key).then_some(entry)
            })
            .collect();
        let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        self.keys_read += entries.len() as u64;
        self.keys_counted = self.keys_counted.saturating_sub((keys - entries.len()) as u64);
        self.bytes_read += bytes as u64;
        self.waiting_bytes += bytes;
        self.merge.feed_primary(entries);
    }

    /// The end of the scope's range that a request begins, if it begins one.
    fn primary_range_end<'a>(&'a self, request: &PageRequest<PrimaryRevision>) -> Option<&'a Key> {
        let ranges = self.scope.primary_ranges();
        ranges.iter().find(|range| range.start() == request.range.start())?.end()
    }

    pub(crate) fn standby_page(&mut self, page: Page<StandbyRevision>) {
        let Some(request) = self.standby_asked.take() else { return };
        self.standby_pin = Some(page.at);
        self.standby.advance(&request, &page);
        let (scope, turns) = (&self.scope, self.turns);
        let entries: Vec<_> = page
            .entries
            .into_iter()
            .filter(|entry| scope.admits_standby(entry.key.as_bytes()))
            .filter(|entry| turns.has(scope, &entry.key))
            .collect();
        self.waiting_bytes +=
            entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
        self.merge.feed_standby(entries);
    }

    /// The primary compacted the pin: the page is asked for again, at a new one.
    pub(crate) fn primary_compacted(&mut self) {
        self.primary_asked = None;
        self.primary_pin = None;
    }

    /// The standby compacted the pin: the page is asked for again, at a new one.
    pub(crate) fn standby_compacted(&mut self) {
        self.standby_asked = None;
        self.standby_pin = None;
    }

    /// Returns the next finding; [`Step::Need`] waits for a page.
    pub(crate) fn step(&mut self) -> Step {
        if self.primary.cursor().is_none() && self.primary_asked.is_none() {
            self.merge.end(Side::Primary);
        }
        if self.standby.cursor().is_none() && self.standby_asked.is_none() {
            self.merge.end(Side::Standby);
        }
        let step = self.merge.step();
        let taken = match &step {
            Step::Missed(entry) => entry.key.len() + entry.value.len(),
            Step::Surplus(entry) => entry.key.len() + entry.value.len(),
            Step::Both(a, b) => a.key.len() + a.value.len() + b.key.len() + b.value.len(),
            Step::Need(_) | Step::Done => 0,
        };
        self.waiting_bytes = self.waiting_bytes.saturating_sub(taken);
        step
    }

    /// Tells whether an answer to a page that was asked for is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.primary_asked.is_some() || self.standby_asked.is_some()
    }

    /// Tells whether entries of the standby wait to be compared.
    pub(crate) fn standby_waits(&self) -> bool {
        self.merge.waiting(Side::Standby) > 0
    }

    /// Tells whether the standby has been read to its end and nothing of it waits: what is left
    /// can only be missed keys.
    pub(crate) fn standby_is_spent(&self) -> bool {
        self.standby.cursor().is_none()
            && self.standby_asked.is_none()
            && self.merge.waiting(Side::Standby) == 0
    }
}
