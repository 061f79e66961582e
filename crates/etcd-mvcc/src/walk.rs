//! Walking a large range page by page, without making the server count the rest of it each time.

use crate::{Entry, Key, KeyRange, Page, PageRequest, Revision, prefix_end};

/// How large a page may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// The size to aim at, in bytes of keys and values. A page may be larger where values are
    /// larger than those before them. 4 to 8 MiB keeps a fast link busy.
    pub page_bytes: usize,
    /// The most keys that one page with values may hold; without values, four times as many: such
    /// a page is read in one go, and a small keyspace needs no second one.
    pub page_keys: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self { page_bytes: 4 << 20, page_keys: 10_000 }
    }
}

/// The first page with values asks for this many keys: nothing is known of their size yet.
const FIRST_PAGE_KEYS: usize = 500;

/// Plans the pages of a walk over ranges, at one revision after another.
///
/// Before 3.7, etcd counts all keys up to the end of the requested range for every page, under a
/// lock that its writers need: a walk with open ends costs the square of the number of keys. So
/// each page ends near: at the next sibling of the prefix that its keys share. The counts that come
/// with the pages say which wider ranges are known to be thick, and those are not asked for again
/// before most of them has been read.
///
/// Pure: [`Walk::request`] says what to read, [`Walk::advance`] takes what came.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What is left to read, first range last.
    ranges: Vec<KeyRange>,
    page_bytes: usize,
    keys_max: usize,
    keys_only: bool,
    /// Keys to ask for, from the size of the keys seen.
    limit: usize,
    /// Ranges around the cursor that hold more keys than two pages, widest first.
    thick: Vec<Thick>,
    /// How many bytes of the cursor the next page keeps to.
    depth: usize,
    /// How many siblings of that prefix the next page spans.
    stride: u8,
}

#[derive(Clone, Debug)]
struct Thick {
    end: Option<Key>,
    keys_left: u64,
    /// The length of the prefix that a page must exceed to be smaller than this range.
    depth: usize,
}

impl Walk {
    /// Plans a walk over `ranges`, in this order; those that are empty are left out.
    #[must_use]
    pub fn new(ranges: &[KeyRange], limits: WalkLimits, keys_only: bool) -> Self {
        let mut ranges: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        ranges.reverse();
        let keys_max =
            if keys_only { limits.page_keys.saturating_mul(4) } else { limits.page_keys };
        let first = if keys_only { keys_max } else { FIRST_PAGE_KEYS };
        Self {
            ranges,
            page_bytes: limits.page_bytes,
            keys_max: keys_max.max(1),
            keys_only,
            limit: first.min(keys_max).max(1),
            thick: Vec::new(),
            depth: 0,
            stride: 1,
        }
    }

    /// Skips everything before `key`, if the ranges are sorted and disjoint.
    pub fn skip_to(&mut self, key: &Key) {
        while let Some(range) = self.ranges.pop() {
            let rest = range.starting_at(key.clone());
            if !rest.is_empty() {
                self.ranges.push(rest);
                break;
            }
        }
        self.thick.clear();
    }

    /// Returns how many ranges have not been read to their end.
    #[must_use]
    pub fn ranges_left(&self) -> usize {
        self.ranges.len()
    }

    /// Returns the first key that has not been read, or `None` at the end of the walk.
    #[must_use]
    pub fn cursor(&self) -> Option<&Key> {
        self.ranges.last().map(KeyRange::start)
    }

    /// Returns the next page to read at `at`, or `None` at the end of the walk.
    pub fn request<R: Revision>(&self, at: Option<R>) -> Option<PageRequest<R>> {
        let range = self.ranges.last()?;
        let range = match self.end(range.start()) {
            Some(end) => range.intersection(&KeyRange::new(range.start().clone(), end)),
            None => range.clone(),
        };
        Some(PageRequest { range, at, limit: self.limit, keys_only: self.keys_only })
    }

    /// The end of a page that starts at `cursor`; `None` for the end of the range.
    fn end(&self, cursor: &Key) -> Option<Key> {
        let around = self.thick.last()?;
        if around.keys_left <= self.two_pages() {
            return around.end.clone();
        }
        let kept = self.depth.clamp(around.depth + 1, cursor.len().max(around.depth + 1)) - 1;
        let (Some(prefix), byte) = (cursor.as_bytes().get(..kept), cursor.as_bytes().get(kept))
        else {
            return around.end.clone();
        };
        match byte.copied().unwrap_or(0).checked_add(self.stride) {
            Some(byte) => Some(Key::from([prefix, &[byte]].concat())),
            None => prefix_end(prefix).or_else(|| around.end.clone()),
        }
    }

    fn two_pages(&self) -> u64 {
        u64::try_from(self.limit * 2).unwrap_or(u64::MAX)
    }

    /// Moves past a page that was read as [`Walk::request`] said.
    pub fn advance<R: Revision>(&mut self, request: &PageRequest<R>, page: &Page<R>) {
        let next = match (page.more, page.entries.last()) {
            (true, Some(last)) => Some(last.key.successor()),
            _ => request.range.end().cloned(),
        };
        let Some(range) = self.ranges.pop() else { return };
        let rest = next.map(|next| range.starting_at(next)).filter(|rest| !rest.is_empty());
        let same_range = rest.is_some();
        self.ranges.extend(rest);
        self.learn_size(&page.entries);
        if same_range {
            self.learn_end(request, page);
        } else {
            self.thick.clear();
        }
    }

    fn learn_size<R>(&mut self, entries: &[Entry<R>]) {
        if entries.is_empty() {
            return;
        }
        let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        let mean = (bytes / entries.len()).max(1);
        let fitting = self.page_bytes / mean;
        // Growing at most fourfold keeps one page of tiny keys from inviting one of huge values.
        self.limit = fitting.clamp(1, (self.limit * 4).min(self.keys_max));
    }

    fn learn_end<R: Revision>(&mut self, request: &PageRequest<R>, page: &Page<R>) {
        let seen = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        for thick in &mut self.thick {
            thick.keys_left = thick.keys_left.saturating_sub(seen);
        }
        let cursor = self.cursor().cloned().unwrap_or_default();
        self.thick.retain(|thick| thick.end.as_ref().is_none_or(|end| *end > cursor));
        let keys_left = page.count.saturating_sub(seen);
        let floor = self.thick.last().map_or(0, |thick| thick.depth + 1);
        if let (true, [first, .., last]) = (page.more, page.entries.as_slice()) {
            let end = request.range.end().cloned();
            // A page over several siblings says nothing yet of a single one.
            let depth = if self.stride > 1 { floor.saturating_sub(1) } else { self.depth };
            if self.thick.last().is_none_or(|around| around.end != end) {
                self.thick.push(Thick { end, keys_left, depth });
            }
            self.depth = common_prefix(first.key.as_bytes(), last.key.as_bytes()) + 1;
            self.stride = 1;
        } else if self.depth > floor {
            self.depth -= 1;
            self.stride = 1;
        } else if seen * 4 < self.two_pages() {
            self.stride = self.stride.saturating_mul(2);
        }
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{PrimaryRevision, Value};

    /// Reads as etcd does, and counts what etcd's index would have visited.
    fn read(
        keys: &BTreeSet<Key>,
        request: &PageRequest<PrimaryRevision>,
        visited: &mut usize,
    ) -> Page<PrimaryRevision> {
        let at = PrimaryRevision::new(1);
        let from = request.range.start().clone();
        let found: Vec<_> =
            keys.range(from..).take_while(|key| request.range.contains(key.as_bytes())).collect();
        *visited += found.len();
        let entries = found
            .iter()
            .take(request.limit)
            .map(|key| Entry {
                key: (*key).clone(),
                value: Value::from("0123456789"),
                created: at,
                modified: at,
                version: 1,
                lease: 0,
            })
            .collect();
        Page { entries, at, more: found.len() > request.limit, count: found.len() as u64 }
    }

    fn walk(ranges: &[KeyRange], limits: WalkLimits, keys: &BTreeSet<Key>) -> (Vec<Key>, usize) {
        let mut walk = Walk::new(ranges, limits, false);
        let (mut read_keys, mut visited) = (Vec::new(), 0);
        while let Some(request) = walk.request(None) {
            let page = read(keys, &request, &mut visited);
            walk.advance(&request, &page);
            read_keys.extend(page.entries.into_iter().map(|entry| entry.key));
        }
        (read_keys, visited)
    }

    proptest! {
        #[test]
        fn a_walk_reads_every_key_of_its_ranges_once_in_order(
            keys in prop::collection::btree_set(prop::collection::vec(0u8..4, 1..6), 0..200),
            cut in prop::collection::vec(0u8..4, 1..4),
            page_keys in 1usize..30,
        ) {
            let keys: BTreeSet<Key> = keys.into_iter().map(Key::from).collect();
            let cut = Key::from(cut);
            let ranges =
                [KeyRange::new(Key::from_static(b"\0"), cut.clone()), KeyRange::from_key(cut.successor())];
            let limits = WalkLimits { page_bytes: 200, page_keys };
            let (read_keys, _) = walk(&ranges, limits, &keys);
            let expected: Vec<_> =
                keys.iter().filter(|key| ranges.iter().any(|r| r.contains(key.as_bytes()))).cloned().collect();
            prop_assert_eq!(read_keys, expected);
        }
    }

    #[test]
    fn a_walk_over_many_keys_visits_few_more_than_it_reads() {
        let keys: BTreeSet<Key> = (0..40)
            .flat_map(|namespace| (0..1_000).map(move |name| (namespace, name)))
            .map(|(namespace, name)| Key::from(format!("/registry/pods/ns-{namespace}/p-{name}")))
            .collect();
        let limits = WalkLimits { page_bytes: 1 << 20, page_keys: 500 };
        let (read_keys, visited) = walk(&[KeyRange::all()], limits, &keys);
        assert_eq!(read_keys.len(), keys.len());
        assert!(visited < keys.len() * 8, "{visited} index entries for {} keys", keys.len());
    }

    #[test]
    fn a_walk_that_skips_goes_on_from_there() {
        let ranges = [KeyRange::prefix(b"a"), KeyRange::prefix(b"c")];
        let mut walk = Walk::new(&ranges, WalkLimits::default(), false);
        walk.skip_to(&Key::from("b"));
        assert_eq!(walk.cursor(), Some(&Key::from("c")));
        walk.skip_to(&Key::from("d"));
        assert_eq!(walk.cursor(), None);
    }
}
