//! Walking a large range page by page, without making the server count the rest of it each time.

use crate::{
    Entry, Failure, FailureCause, FailureClass, Key, KeyRange, Page, PageRequest, ReadRange,
    Revision, prefix_end,
};

/// How large a page may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// The size to aim at, in bytes of keys and values. A page is larger where values are larger
    /// than those before them; a reader may refuse one that is several times as large, unread, and
    /// the walk then asks for a smaller one ([`Walk::too_large`]). 4 MiB keeps a fast link busy.
    pub page_bytes: usize,
    /// The most keys that one page with values may hold; without values, twice as many. The server
    /// builds a page in memory before it sends it, whatever its size, and reads the values even
    /// where only keys are wanted: this bounds what one page of unknown values costs it.
    pub page_keys: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self { page_bytes: 4 << 20, page_keys: 2_000 }
    }
}

/// The first page with values asks for this many keys, and so does the first one of the next
/// resource: nothing is known of their size yet.
const FIRST_PAGE_KEYS: usize = 64;

/// A page that may run over the end of a resource asks for no more keys than this.
const CROSSING_KEYS: usize = 256;

/// A page gets at most this many times as large as the evidence of the one before it.
const GROWTH: usize = 4;

/// However slow a link is, a page aims at no fewer bytes than this.
const PAGE_BYTES_MIN: usize = 64 << 10;

/// How large a page may get, and how large one proved to be possible: what a walk has learned of a
/// cluster and the link to it. It outlives the walk ([`Walk::page_size`]) where it is handed to the
/// next one.
///
/// A page that was too large, or too slow, lowers it at once. Each full page that comes raises it by
/// a sixteenth, up to the limits: one time-out is worth many pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    limits: WalkLimits,
    keys: usize,
    bytes: usize,
}

impl From<WalkLimits> for PageSize {
    fn from(limits: WalkLimits) -> Self {
        Self { limits, keys: limits.page_keys.max(1), bytes: limits.page_bytes.max(1) }
    }
}

impl Default for PageSize {
    fn default() -> Self {
        WalkLimits::default().into()
    }
}

/// What walks over both clusters have learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageSizes {
    /// Over the primary.
    pub primary: PageSize,
    /// Over the standby.
    pub standby: PageSize,
}

impl From<WalkLimits> for PageSizes {
    fn from(limits: WalkLimits) -> Self {
        Self { primary: limits.into(), standby: limits.into() }
    }
}

impl PageSize {
    /// Returns the limits that it can recover to.
    #[must_use]
    pub fn limits(self) -> WalkLimits {
        self.limits
    }

    fn recover(&mut self) {
        let more = |now: usize, max: usize| (now + now / 16 + 1).min(max.max(1));
        self.keys = more(self.keys, self.limits.page_keys);
        self.bytes = more(self.bytes, self.limits.page_bytes);
    }
}

/// Plans the pages of a walk over ranges, at one revision after another.
///
/// Before 3.7, etcd counts all keys up to the end of the requested range for every page, under a
/// lock that its writers need: a walk with open ends costs the square of the number of keys. So
/// each page ends near: at the next sibling of the prefix that its keys share. The counts that come
/// with the pages say which wider ranges are known to be thick, and those are not asked for again
/// before most of them has been read.
///
/// Nothing is known of values before they are read, and a page is built by the server before it can
/// be refused. So a page is small where values of another kind may begin: at the start, and behind
/// the end of a resource (`/registry/pods/`). It grows with what was seen, fourfold at most.
///
/// [`Walk::request`] says what to read, [`Walk::advance`] takes what came. [`Walk::next_page`] does
/// both.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What is left to read, first range last.
    ranges: Vec<KeyRange>,
    size: PageSize,
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
    pub fn new(ranges: &[KeyRange], size: impl Into<PageSize>, keys_only: bool) -> Self {
        let mut ranges: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        ranges.reverse();
        let mut walk = Self {
            ranges,
            size: size.into(),
            keys_only,
            limit: 1,
            thick: Vec::new(),
            depth: 0,
            stride: 1,
        };
        walk.limit = walk.first_keys();
        walk
    }

    /// Begins with what an earlier walk has learned.
    #[must_use]
    pub fn sized(self, size: PageSize) -> Self {
        let mut walk = Self { size, ..self };
        walk.limit = walk.first_keys();
        walk
    }

    /// Returns what the walk has learned of the size of pages, for the next one.
    #[must_use]
    pub fn page_size(&self) -> PageSize {
        self.size
    }

    fn first_keys(&self) -> usize {
        let max = self.keys_max();
        if self.keys_only { max } else { max.min(FIRST_PAGE_KEYS) }
    }

    fn keys_max(&self) -> usize {
        let factor = if self.keys_only { 2 } else { 1 };
        self.size.keys.saturating_mul(factor).max(1)
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
        let start = range.start();
        let mut range = match self.end(start) {
            Some(end) => range.intersection(&KeyRange::new(start.clone(), end)),
            None => range.clone(),
        };
        if !self.keys_only
            && self.limit > CROSSING_KEYS
            && let Some(end) = prefix_end(resource(range.start()))
        {
            range = range.intersection(&KeyRange::new(range.start().clone(), end));
        }
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
        u64::try_from(self.limit.saturating_mul(2)).unwrap_or(u64::MAX)
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
        if page.more {
            self.size.recover();
        }
        if same_range {
            self.learn_end(request, page);
        } else {
            self.thick.clear();
        }
        let left = page.entries.last().map_or(request.range.start(), |last| &last.key);
        let new_resource = self.cursor().is_none_or(|next| resource(next) != resource(left));
        // What may run over the end of a resource is small enough as it is.
        if (!same_range || new_resource) && self.limit > CROSSING_KEYS {
            self.limit = self.first_keys();
        }
    }

    /// The page that was asked for is larger than its reader takes: `bytes` in all, where that is
    /// known. Returns whether the next request is smaller; `false` for a page of one key.
    pub fn too_large(&mut self, bytes: Option<u64>) -> bool {
        let fitting = bytes.and_then(|bytes| usize::try_from(bytes).ok()).map(|bytes| {
            let mean = bytes.div_ceil(self.limit.max(1)).max(1);
            self.size.bytes / mean
        });
        self.shrink(fitting.unwrap_or(self.limit / 2))
    }

    /// The page that was asked for did not come in time. Returns whether the next request is
    /// smaller; `false` for a page of one key.
    pub fn slower(&mut self) -> bool {
        let shrunk = self.shrink(self.limit / 2);
        if shrunk {
            let least = PAGE_BYTES_MIN.min(self.size.limits.page_bytes).max(1);
            self.size.bytes = (self.size.bytes / 2).max(least);
        }
        shrunk
    }

    fn shrink(&mut self, keys: usize) -> bool {
        if self.limit <= 1 {
            return false;
        }
        self.limit = keys.clamp(1, self.limit / 2);
        self.size.keys = if self.keys_only { self.limit.div_ceil(2) } else { self.limit };
        true
    }

    /// Learns from a page that could not be read: returns whether a smaller one may be.
    pub fn failed(&mut self, failure: &Failure) -> bool {
        match (failure.class, failure.cause) {
            (FailureClass::TooLarge, FailureCause::Size(bytes)) => self.too_large(Some(bytes)),
            (FailureClass::TooLarge, _) => self.too_large(None),
            (FailureClass::Retry, FailureCause::TimedOut) => self.slower(),
            _ => false,
        }
    }

    /// Reads the next page at `at`, in smaller pieces where it is too large or does not come in
    /// time, and moves past it; `None` at the end of the walk.
    ///
    /// # Errors
    ///
    /// Whatever kept the page from being read, though it was small. The walk stands where it stood.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the walk where it stood.
    pub async fn next_page<C: ReadRange>(
        &mut self,
        reader: &C,
        at: Option<C::Revision>,
    ) -> Result<Option<Page<C::Revision>>, Failure> {
        while let Some(request) = self.request(at) {
            match reader.read_page(request.clone()).await {
                Ok(page) => {
                    self.advance(&request, &page);
                    return Ok(Some(page));
                }
                Err(failure) if self.failed(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    fn learn_size<R>(&mut self, entries: &[Entry<R>]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        let late = entries.get(entries.len() - entries.len().div_ceil(4)..).unwrap_or_default();
        let fitting = self.size.bytes / mean(entries).max(mean(late)).max(1);
        // Fourfold of what was seen, not of what was asked for: one page of few tiny keys must not
        // invite one of huge values.
        let grown = self.limit.max(entries.len().saturating_mul(GROWTH)).min(self.keys_max());
        let crossed = !self.keys_only && resource(&first.key) != resource(&last.key);
        let max = if crossed { grown.min(CROSSING_KEYS) } else { grown };
        self.limit = fitting.clamp(1, max);
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

/// The mean size of an entry, in bytes.
fn mean<R>(entries: &[Entry<R>]) -> usize {
    let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
    bytes / entries.len().max(1)
}

/// The part of a key that its resource's keys share: `/registry/pods/`, or
/// `/registry/example.com/widgets/` where the second part looks like a group's name. Values of one
/// resource are more alike than those of two. Empty if the key has too few parts.
fn resource(key: &Key) -> &[u8] {
    let bytes = key.as_bytes();
    let slashes = |(at, byte): (usize, &u8)| (*byte == b'/' && at > 0).then_some(at);
    let mut slashes = bytes.iter().enumerate().filter_map(slashes);
    let (Some(root), Some(name)) = (slashes.next(), slashes.next()) else { return &[] };
    let grouped = bytes.get(root..name).is_some_and(|part| part.contains(&b'.'));
    let end = if grouped { slashes.next().unwrap_or(name) } else { name };
    bytes.get(..=end).unwrap_or_default()
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

    /// A server whose values have sizes, and a reader that refuses large pages unread.
    struct Sized {
        values: std::collections::BTreeMap<Key, usize>,
        refuse_bytes: usize,
        requests: usize,
        refused: usize,
        largest: usize,
        /// The most that the server had to put together for one answer.
        built: usize,
    }

    impl Sized {
        fn new(values: impl IntoIterator<Item = (String, usize)>, limits: WalkLimits) -> Self {
            let values = values.into_iter().map(|(key, size)| (Key::from(key), size)).collect();
            let refuse_bytes = limits.page_bytes * 4;
            Self { values, refuse_bytes, requests: 0, refused: 0, largest: 0, built: 0 }
        }

        fn walk(&mut self, walk: &mut Walk) -> Vec<Key> {
            let at = PrimaryRevision::new(1);
            let mut read = Vec::new();
            while let Some(request) = walk.request::<PrimaryRevision>(None) {
                self.requests += 1;
                let from = self.values.range(request.range.start().clone()..);
                let found: Vec<_> =
                    from.take_while(|(key, _)| request.range.contains(key.as_bytes())).collect();
                let entries: Vec<_> = found
                    .iter()
                    .take(request.limit)
                    .map(|(key, size)| Entry {
                        key: (*key).clone(),
                        value: Value::from(vec![0; **size]),
                        created: at,
                        modified: at,
                        version: 1,
                        lease: 0,
                    })
                    .collect();
                let bytes: usize = entries.iter().map(|it| it.key.len() + it.value.len()).sum();
                self.built = self.built.max(bytes);
                if request.limit > 1 && bytes > self.refuse_bytes {
                    self.refused += 1;
                    assert!(walk.too_large(Some(bytes as u64)), "a smaller page is asked for");
                    let next = walk.request::<PrimaryRevision>(None).unwrap();
                    assert!(next.limit <= request.limit / 2, "halved at least");
                    continue;
                }
                if request.limit > 1 {
                    self.largest = self.largest.max(bytes);
                }
                read.extend(entries.iter().map(|entry| entry.key.clone()));
                let more = found.len() > request.limit;
                let page = Page { entries, at, more, count: found.len() as u64 };
                walk.advance(&request, &page);
            }
            read
        }
    }

    proptest! {
        #[test]
        fn whatever_sizes_come_a_page_is_within_bounds_and_every_walk_ends(
            runs in prop::collection::vec((0u8..4, 1usize..200, 0usize..3_000), 1..12),
            page_keys in 1usize..500,
        ) {
            let limits = WalkLimits { page_bytes: 2_000, page_keys };
            let mut number = 0;
            let mut values = Vec::new();
            for (resource, keys, size) in runs {
                for _ in 0..keys {
                    number += 1;
                    values.push((format!("/registry/r{resource}/{number:06}"), size));
                }
            }
            let mut server = Sized::new(values, limits);
            let mut walk = Walk::new(&[KeyRange::all()], limits, false);
            let read = server.walk(&mut walk);
            prop_assert!(read.iter().eq(server.values.keys()), "each key once, in order");
            prop_assert!(server.largest <= server.refuse_bytes);
            // Each refusal halves the limit, and only pages that come raise it.
            let pages = server.requests - server.refused;
            prop_assert!(server.refused <= 10 + pages, "{} refused, {pages} read", server.refused);
            // Pages that end near, for the server's sake, may be empty.
            prop_assert!(pages <= 50 + 4 * read.len(), "{pages} pages for {} keys", read.len());
        }
    }

    fn objects(
        resource: &str,
        keys: usize,
        size: usize,
    ) -> impl Iterator<Item = (String, usize)> + use<'_> {
        (0..keys).map(move |n| (format!("/registry/{resource}/ns-{}/{n:06}", n % 7), size))
    }

    #[test]
    fn large_values_behind_many_small_ones_cost_few_large_answers() {
        let limits = WalkLimits { page_bytes: 400_000, page_keys: 2_000 };
        // A tenth of the sizes that were met in the field.
        let small = || objects("events", 20_000, 5);
        let elsewhere = small().chain(objects("secrets", 2_000, 10_000)).collect::<Vec<_>>();
        let mut server = Sized::new(elsewhere, limits);
        server.walk(&mut Walk::new(&[KeyRange::all()], limits, false));
        assert!(server.built <= FIRST_PAGE_KEYS * 11_000, "built {}", server.built);
        assert!(server.requests < 150, "{} requests", server.requests);
        // In one resource nothing announces them.
        let large = (0..2_000).map(|n| (format!("/registry/events/ns-6/x{n:06}"), 10_000));
        let mut server = Sized::new(small().chain(large), limits);
        let mut walk = Walk::new(&[KeyRange::all()], limits, false);
        server.walk(&mut walk);
        assert!(server.refused <= 2, "{} refused", server.refused);
        // The next walk remembers.
        let mut again = Walk::new(&[KeyRange::all()], walk.page_size(), false);
        server.refused = 0;
        server.built = 0;
        server.walk(&mut again);
        assert!(server.built <= 2_000 * 10_000, "built {}", server.built);
    }

    #[test]
    fn a_walk_over_ordinary_keyspaces_takes_few_pages() {
        let limits = WalkLimits::default();
        let kinds = (0..150).map(|n| format!("kind-{n:03}")).collect::<Vec<_>>();
        let cluster = kinds.iter().flat_map(|kind| objects(kind, 3, 1_000));
        let cluster = cluster.chain(objects("pods", 10_000, 4_000));
        let tenants = (0..20_000).map(|n| (format!("/app/tenant-{n:05}/settings"), 500));
        let flat = (0..50_000).map(|n| (format!("key-{n:08}"), 100));
        for (name, mut server, pages_max) in [
            ("a cluster", Sized::new(cluster, limits), 60),
            ("many prefixes", Sized::new(tenants, limits), 120),
            ("one prefix", Sized::new(flat, limits), 60),
        ] {
            server.walk(&mut Walk::new(&[KeyRange::all()], limits, false));
            assert!(server.requests <= pages_max, "{name}: {} pages", server.requests);
        }
    }

    #[test]
    fn a_page_that_does_not_come_in_time_is_asked_for_in_smaller_pieces() {
        let limits = WalkLimits::default();
        let mut walk = Walk::new(&[KeyRange::all()], limits, false);
        let keys = |walk: &Walk| walk.request::<PrimaryRevision>(None).unwrap().limit;
        let first = keys(&walk);
        let mut asked = 0;
        while walk.slower() {
            asked += 1;
            assert!(keys(&walk) <= first >> asked);
        }
        assert_eq!(keys(&walk), 1);
        let remembered = Walk::new(&[KeyRange::all()], walk.page_size(), false);
        assert_eq!(keys(&remembered), 1);
        let mut pages = 0;
        let mut size = walk.page_size();
        while size != PageSize::from(limits) {
            size.recover();
            pages += 1;
        }
        assert!((60..200).contains(&pages), "recovers in {pages} pages");
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
