//! Two clusters with a rewritten prefix, and what their difference is by set algebra.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use consistency_checker::{Cut, Diff, Difference, Options, PrimarySide, StandbySide};
use etcd_mvcc::{
    ClusterId, Entry, Failure, Key, KeyRange, Page, PageRequest, PrimaryRevision, ReadRange,
    Revision, StandbyRevision, WalkLimits,
};
use etcd_sim::SimEtcd;
use proptest::prelude::*;

/// Keys below a side's prefix, with values; keys that end in an odd byte are out of scope.
pub(crate) type Keys = BTreeMap<Vec<u8>, u8>;

pub(crate) fn keys() -> impl Strategy<Value = Keys> {
    let key = prop::collection::vec(prop_oneof![0u8..4, Just(0xff)], 0..4);
    prop::collection::btree_map(key, 0u8..3, 0..60)
}

pub(crate) fn limits() -> impl Strategy<Value = WalkLimits> {
    (1usize..200, 1usize..20)
        .prop_map(|(page_bytes, page_keys)| WalkLimits { page_bytes, page_keys })
}

pub(crate) const PRIMARY_PREFIX: &[u8] = b"/p/";
pub(crate) const STANDBY_PREFIX: &[u8] = b"/standby/";

pub(crate) fn in_scope(suffix: &[u8]) -> bool {
    suffix.last().is_none_or(|last| last % 2 == 0 || *last == 0xff)
}

pub(crate) fn join(prefix: &[u8], suffix: &[u8]) -> Key {
    Key::from([prefix, suffix].concat())
}

pub(crate) fn map(key: &Key) -> Option<Key> {
    let suffix = key.as_bytes().strip_prefix(PRIMARY_PREFIX)?;
    in_scope(suffix).then(|| join(STANDBY_PREFIX, suffix))
}

pub(crate) fn admits(key: &Key) -> bool {
    key.as_bytes().strip_prefix(STANDBY_PREFIX).is_some_and(in_scope)
}

pub(crate) fn cluster<R: Revision>(id: u64, prefix: &[u8], keys: &Keys) -> SimEtcd<R> {
    let sim = SimEtcd::new(ClusterId::new(id));
    sim.with(|model| {
        // Neighbours of the prefix, which nobody may report.
        model.put("/", "").unwrap();
        model.put("/z", "").unwrap();
        for (suffix, value) in keys {
            model.put(join(prefix, suffix), vec![*value]).unwrap();
        }
    });
    sim
}

/// The ranges of one side: its prefix, cut in two.
pub(crate) fn ranges(prefix: &[u8]) -> [KeyRange; 2] {
    let cut = join(prefix, &[2]);
    [
        KeyRange::new(Key::from(prefix.to_vec()), cut.clone()),
        KeyRange::new(cut, etcd_mvcc::prefix_end(prefix).unwrap()),
    ]
}

/// (kind, key as the standby spells it), ascending by key.
pub(crate) type Found = Vec<(&'static str, Key)>;

pub(crate) fn by_set_algebra(primary: &Keys, standby: &Keys, keys_only: bool) -> Found {
    let all: std::collections::BTreeSet<_> = primary.keys().chain(standby.keys()).collect();
    let kind = |suffix: &Vec<u8>| match (primary.get(suffix), standby.get(suffix)) {
        (Some(_), None) => Some("missed"),
        (None, Some(_)) => Some("surplus"),
        (a, b) if a != b && !keys_only => Some("different"),
        _ => None,
    };
    all.into_iter()
        .filter(|suffix| in_scope(suffix))
        .filter_map(|suffix| Some((kind(suffix)?, join(STANDBY_PREFIX, suffix))))
        .collect()
}

pub(crate) fn record(difference: &Difference) -> (&'static str, Key) {
    if let Difference::Missed { source, primary } | Difference::Different { source, primary, .. } =
        difference
    {
        assert_eq!(map(source).as_ref(), Some(&primary.key));
    }
    (difference.kind(), difference.key().clone())
}

/// A reader that counts its pages and does something of its own before each.
pub(crate) struct Reader<R, F> {
    pub(crate) sim: SimEtcd<R>,
    pub(crate) pages: AtomicUsize,
    /// Where the page asked for last begins.
    pub(crate) asked: Mutex<Key>,
    pub(crate) before: F,
}

impl<R: Revision, F: Fn(usize) + Send + Sync> Reader<R, F> {
    pub(crate) fn new(sim: &SimEtcd<R>, before: F) -> Self {
        Self { sim: sim.clone(), pages: AtomicUsize::new(0), asked: Mutex::default(), before }
    }
}

impl<R: Revision, F: Fn(usize) + Send + Sync> ReadRange for Reader<R, F> {
    type Revision = R;

    async fn read_page(&self, request: PageRequest<R>) -> Result<Page<R>, Failure> {
        (self.before)(self.pages.fetch_add(1, Ordering::Relaxed));
        *self.asked.lock().unwrap() = request.range.start().clone();
        self.sim.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<R>,
    ) -> Result<Vec<Option<Entry<R>>>, Failure> {
        self.sim.read_keys(keys, at).await
    }
}

pub(crate) type Map = fn(&Key) -> Option<Key>;
pub(crate) type Admits = fn(&Key) -> bool;

pub(crate) struct Plan {
    pub(crate) primary_ranges: [KeyRange; 2],
    pub(crate) standby_ranges: [KeyRange; 2],
    pub(crate) options: Options,
}

impl Plan {
    pub(crate) fn new(limits: WalkLimits, keys_only: bool) -> Self {
        Self {
            primary_ranges: ranges(PRIMARY_PREFIX),
            standby_ranges: ranges(STANDBY_PREFIX),
            options: Options { sizes: limits.into(), keys_only, after: None },
        }
    }

    pub(crate) fn after(mut self, cut: Option<Cut>) -> Self {
        self.options.after = cut;
        self
    }

    pub(crate) fn start<'a, P, S>(
        &'a self,
        (primary, at): (&'a P, PrimaryRevision),
        (standby, standby_at): (&'a S, StandbyRevision),
    ) -> Diff<'a, P, S, Map, Admits>
    where
        P: ReadRange<Revision = PrimaryRevision>,
        S: ReadRange<Revision = StandbyRevision>,
    {
        Diff::new(
            PrimarySide { reader: primary, ranges: &self.primary_ranges, at, map: map as Map },
            StandbySide {
                reader: standby,
                ranges: &self.standby_ranges,
                at: standby_at,
                admits: admits as Admits,
            },
            &self.options,
        )
    }
}
