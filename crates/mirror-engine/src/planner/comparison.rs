//! Reading both sides at once: which pages to ask for, and what their merge says.

use etcd_mvcc::{
    Failure, Key, Merge, Page, PageRequest, PageSizes, PrimaryRevision, Side, StandbyRevision,
    Step, Walk,
};
use keyspace_filter::{Scope, Stretch, Turn};

/// A comparison of the scope on both sides, page by page, in the order of the standby's keys: where
/// the primary has them in another, because they are parked, it is walked in the standby's.
///
/// Each side is pinned by its first page. A pin that compaction overtakes is replaced: the
/// comparison goes on, and [`Comparison::pins`] tells that it spans more than one.
#[derive(Debug)]
pub(crate) struct Comparison {
    scope: Scope,
    turns: Turns,
    /// What is walked, in this order.
    stretches: Vec<Stretch>,
    /// What may wait before the next page is asked for.
    page_bytes: usize,
    primary_keys_only: bool,
    standby_keys_only: bool,
    primary: Walk,
    standby: Walk,
    primary_asked: Option<PageRequest<PrimaryRevision>>,
    standby_asked: Option<PageRequest<StandbyRevision>>,
    primary_pin: Option<PrimaryRevision>,
    standby_pin: Option<StandbyRevision>,
    pins: Option<Pins>,
    merge: Merge,
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
        sizes: impl Into<PageSizes>,
        primary_keys_only: bool,
        standby_keys_only: bool,
    ) -> Self {
        let stretches = scope.stretches().to_vec();
        Self::of(scope, Turns::All, stretches, sizes.into(), (primary_keys_only, standby_keys_only))
    }

    /// Compares only the keys that go first.
    pub(crate) fn of_first(scope: &Scope, sizes: PageSizes, keys_only: bool) -> Self {
        let (primary, standby) = scope.first_ranges();
        let both = primary.into_iter().zip(standby);
        let stretches = both.map(|(primary, standby)| Stretch { primary, standby }).collect();
        Self::of(scope, Turns::First, stretches, sizes, (keys_only, keys_only))
    }

    fn of(
        scope: &Scope,
        turns: Turns,
        stretches: Vec<Stretch>,
        sizes: PageSizes,
        keys_only: (bool, bool),
    ) -> Self {
        let (primary_keys_only, standby_keys_only) = keys_only;
        let primary: Vec<_> = stretches.iter().map(|stretch| stretch.primary.clone()).collect();
        let standby: Vec<_> = stretches.iter().map(|stretch| stretch.standby.clone()).collect();
        Self {
            scope: scope.clone(),
            turns,
            stretches,
            page_bytes: sizes.primary.limits().page_bytes,
            primary_keys_only,
            standby_keys_only,
            primary: Walk::new(&primary, sizes.primary, primary_keys_only),
            standby: Walk::new(&standby, sizes.standby, standby_keys_only),
            primary_asked: None,
            standby_asked: None,
            primary_pin: None,
            standby_pin: None,
            pins: None,
            merge: Merge::new(),
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
    pub(crate) fn resume(self, cursor: &Key, base: PrimaryRevision) -> Self {
        let spelt = self.scope.primary_spelling(cursor);
        let sizes = self.page_sizes();
        let rest = self.stretches.into_iter().map(|stretch| {
            let Stretch { primary, standby } = &stretch;
            match (&spelt, standby.contains(cursor.as_bytes())) {
                (Some(key), true) => Stretch {
                    primary: primary.starting_at(key.clone()),
                    standby: standby.starting_at(cursor.clone()),
                },
                (_, false) | (None, true) => stretch,
            }
        });
        let ahead = |stretch: &Stretch| stretch.standby.end().is_none_or(|end| end > cursor);
        let stretches = rest.filter(ahead).collect();
        let keys_only = (self.primary_keys_only, self.standby_keys_only);
        let comparison = Self::of(&self.scope, self.turns, stretches, sizes, keys_only);
        Self { pins: Some(Pins { first: base, last: base }), ..comparison }
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
        let left = self.primary.ranges_left();
        self.primary.advance(&request, &page);
        let walked = self.stretches.iter().filter(|stretch| !stretch.primary.is_empty());
        let Some(stretch) = walked.rev().nth(left.saturating_sub(1)) else { return };
        if request.range == stretch.primary {
            self.keys_counted += page.count;
        }
        let keys = page.entries.len();
        let (scope, turns) = (&self.scope, self.turns);
        let entries: Vec<_> = page
            .entries
            .into_iter()
            .filter_map(|mut entry| {
                entry.key = scope.place(&entry.key)?;
                // What has its place elsewhere is met there.
                (stretch.holds(&entry.key) && turns.has(scope, &entry.key)).then_some(entry)
            })
            .collect();
        let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        self.keys_read += entries.len() as u64;
        self.keys_counted = self.keys_counted.saturating_sub((keys - entries.len()) as u64);
        self.bytes_read += bytes as u64;
        self.waiting_bytes += bytes;
        self.merge.feed_primary(entries);
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

    /// Returns what has been learned of the size of pages, for the next comparison.
    pub(crate) fn page_sizes(&self) -> PageSizes {
        PageSizes { primary: self.primary.page_size(), standby: self.standby.page_size() }
    }

    /// The page of the primary could not be read. Returns whether a smaller one is asked for.
    pub(crate) fn primary_failed(&mut self, failure: &Failure) -> bool {
        let again = self.primary_asked.is_some() && self.primary.failed(failure);
        if again {
            self.primary_asked = None;
        }
        again
    }

    /// The page of the standby could not be read. Returns whether a smaller one is asked for.
    pub(crate) fn standby_failed(&mut self, failure: &Failure) -> bool {
        let again = self.standby_asked.is_some() && self.standby.failed(failure);
        if again {
            self.standby_asked = None;
        }
        again
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
