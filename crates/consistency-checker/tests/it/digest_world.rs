//! Two clusters that are read apart from each other, at pinned revisions.

use std::collections::BTreeMap;

use consistency_checker::{
    Breach, Comparison, DetailWriter, DigestError, DigestFile, FileHeader, FileLimits, Kind,
    Mirrored, Origin, RecordError, TreeBuilder, TreeSettings, compare, digest_side, narrowed,
};
use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, KeyRange, Page, PageRequest, PrimaryRevision,
    ReadRange, Revision, Side, StandbyRevision, Value, WalkLimits,
};
use etcd_sim::{Fault, SimEtcd, SimPrimary, SimStandby};
use futures::executor::block_on;
use keyspace_filter::{Preset, Scope, ScopeSpec, Stretch};
use proptest::prelude::*;

/// The primary's keys under `/p/` are called `/standby/` on the standby; `/p/local/` stays where
/// it is.
fn scope() -> Scope {
    let spec = ScopeSpec {
        preset: Preset::None,
        prefixes: vec!["/p/".to_owned()],
        exclude_prefixes: vec!["/p/local/".to_owned()],
        dest_prefix: Some("/standby/".to_owned()),
        ..ScopeSpec::default()
    };
    Scope::compile(spec).unwrap()
}

const LIMITS: WalkLimits = WalkLimits { page_bytes: 20_000, page_keys: 300 };

/// Both clusters, each read from a place of its own.
pub(crate) struct World {
    pub(crate) scope: Scope,
    pub(crate) primary: SimPrimary,
    pub(crate) standby: SimStandby,
    pub(crate) at: PrimaryRevision,
    pub(crate) standby_at: StandbyRevision,
}

type Content = BTreeMap<String, Vec<u8>>;

impl World {
    fn new(primary: &Content, standby: &Content) -> Self {
        let world = Self {
            scope: scope(),
            primary: SimPrimary::new(ClusterId::new(1)),
            standby: SimStandby::new(ClusterId::new(2)),
            at: PrimaryRevision::default(),
            standby_at: StandbyRevision::default(),
        };
        fill(&world.primary, "/p/", primary);
        fill(&world.standby, "/standby/", standby);
        // Neighbours that are none of ours, on either side.
        world.primary.with(|model| model.put("/p/local/x", "1")).unwrap();
        world.standby.with(|model| model.put("/standby/local/x", "2")).unwrap();
        world.standby.with(|model| model.put("/etcd-sync/default/checkpoint", "…")).unwrap();
        let at = world.primary.with(|model| model.revision());
        let standby_at = world.standby.with(|model| model.revision());
        // What happens after the pins is nobody's business.
        world.primary.with(|model| model.put("/p/later", "1")).unwrap();
        world.standby.with(|model| model.put("/standby/later too", "1")).unwrap();
        Self { at, standby_at, ..world }
    }

    fn header(&self, side: Side) -> FileHeader {
        let (primary, standby) = (ClusterId::new(1), ClusterId::new(2));
        let mirrors = Some(Mirrored { cluster: primary, revision: self.at });
        let (cluster, origin) = match side {
            Side::Primary => (primary, Origin::Primary { at: self.at }),
            Side::Standby => (standby, Origin::Standby { at: self.standby_at, mirrors }),
        };
        FileHeader { mirror: "default".to_owned(), scope: self.scope.hash(), cluster, origin }
    }

    fn read(
        &self,
        side: Side,
        ranges: &[KeyRange],
        sink: impl FnMut(&Key, &Value) -> Result<(), RecordError>,
    ) -> Result<(), DigestError> {
        let narrowed = narrowed(&self.scope, side, ranges);
        let stretches = (side, &narrowed[..]);
        let place = |key: &Key| self.scope.place(key);
        let admit = |key: &Key| self.scope.admits_standby(key.as_bytes()).then(|| key.clone());
        match side {
            Side::Primary => {
                block_on(digest_side(&self.primary, stretches, self.at, place, LIMITS, sink))
            }
            Side::Standby => block_on(digest_side(
                &self.standby,
                stretches,
                self.standby_at,
                admit,
                LIMITS,
                sink,
            )),
        }
    }

    fn tree(&self, side: Side, level_min: u8, leaves_max: usize) -> Vec<u8> {
        let settings = TreeSettings { leaves_max, level_min };
        let mut builder = TreeBuilder::new(self.header(side), &settings);
        self.read(side, &[KeyRange::all()], |key, value| builder.push(key, value)).unwrap();
        let mut bytes = Vec::new();
        builder.finish().write_to(&mut bytes, &FileLimits::default()).unwrap();
        bytes
    }

    fn detail(&self, side: Side, ranges: &[KeyRange]) -> (u64, Vec<u8>) {
        let (mut bytes, mut read) = (Vec::new(), 0);
        let (header, limits) = (self.header(side), FileLimits::default());
        let mut detail = DetailWriter::new(&mut bytes, &header, ranges, &limits).unwrap();
        self.read(side, ranges, |key, value| {
            read += 1;
            detail.push(key, value)
        })
        .unwrap();
        detail.finish().unwrap();
        (read, bytes)
    }

    /// Compares by files alone, and returns how many keys the second pass read, and what it found.
    pub(crate) fn two_passes(&self) -> (u64, Vec<(Kind, String)>) {
        let limits = FileLimits::default();
        let (left, right) = (self.tree(Side::Primary, 4, 512), self.tree(Side::Standby, 2, 256));
        let open =
            |bytes: &[u8]| DigestFile::open(bytes.to_vec().leak() as &[u8], &limits).unwrap();
        let trees = compare(open(&left), open(&right), |_| panic!("trees name no keys"));
        let Ok(Comparison::Ranges(compared)) = trees else { panic!("{trees:?}") };
        let ranges = compared.to_ranges().ranges;
        if ranges.is_empty() {
            return (0, Vec::new());
        }
        let (read, left) = self.detail(Side::Primary, &ranges);
        let (_, right) = self.detail(Side::Standby, &ranges);
        let mut found = Vec::new();
        compare(open(&left), open(&right), |difference| {
            found.push((difference.kind, difference.key.to_string()));
        })
        .unwrap();
        (read, found)
    }
}

fn fill<R: Revision>(cluster: &SimEtcd<R>, prefix: &str, content: &Content) {
    for (key, value) in content {
        cluster.with(|model| model.put(format!("{prefix}{key}"), value.clone())).unwrap();
    }
}

fn thousands() -> Content {
    (0..3_000_u32)
        .map(|number| {
            let value = vec![b'v'; usize::try_from(number % 97).unwrap() + 2];
            (format!("pods/ns-{:02}/pod-{number:04}", number % 40), value)
        })
        .collect()
}

#[test]
fn two_passes_find_what_was_planted_among_thousands_and_nothing_else() {
    let primary = thousands();
    let mut standby = primary.clone();
    let keys: Vec<String> = primary.keys().cloned().collect();
    let mut planted = Vec::new();
    let mut plant = |kind, key: &str| planted.push((kind, format!("/standby/{key}")));
    for index in [0, 1_234, 2_999] {
        standby.remove(&keys[index]);
        plant(Kind::Missed, &keys[index]);
    }
    for key in ["a", "pods/ns-07/pod-0007a", "z/last"] {
        standby.insert(key.to_owned(), b"v".to_vec());
        plant(Kind::Surplus, key);
    }
    let mut change = |index: usize, change: &dyn Fn(&mut Vec<u8>)| {
        change(standby.get_mut(&keys[index]).unwrap());
        plant(Kind::Different, &keys[index]);
    };
    change(17, &|value| value[0] ^= 1);
    change(900, &|value| *value.last_mut().unwrap() ^= 0x80);
    change(1_500, &|value| value.push(0));
    change(2_000, &|value| value.truncate(value.len() - 1));
    change(2_500, &Vec::clear);
    planted.sort_by(|a, b| a.1.cmp(&b.1));

    let world = World::new(&primary, &standby);
    let (read, found) = world.two_passes();
    assert_eq!(found, planted);
    assert!(read < 1_500, "the second pass read {read} keys");
}

#[test]
fn equal_sides_under_different_prefixes_need_no_second_pass() {
    let world = World::new(&thousands(), &thousands());
    assert_eq!(world.two_passes(), (0, Vec::new()));
}

#[test]
fn an_empty_standby_misses_everything() {
    let primary = thousands();
    let (read, found) = World::new(&primary, &Content::new()).two_passes();
    assert_eq!((read, found.len()), (3_000, 3_000));
    assert!(found.iter().all(|(kind, _)| *kind == Kind::Missed));
}

#[test]
fn a_compacted_revision_is_an_error_at_the_start_and_in_the_middle() {
    let world = World::new(&thousands(), &thousands());
    let mut builder = TreeBuilder::new(world.header(Side::Primary), &TreeSettings::default());
    let mut keys = 0;
    let ended = world.read(Side::Primary, &[KeyRange::all()], |key, value| {
        keys += 1;
        if keys == 1_000 {
            let newest = world.primary.with(|model| model.revision());
            world.primary.with(|model| model.compact(newest)).unwrap();
        }
        builder.push(key, value)
    });
    let error = ended.unwrap_err();
    assert!(matches!(error, DigestError::Compacted(_)), "{error:?}");
    assert_eq!(error.class(), FailureClass::Resync);
    assert!((1_000..3_000).contains(&keys));
    let ended = world.read(Side::Primary, &[KeyRange::all()], |_, _| panic!("nothing is read"));
    assert!(matches!(ended, Err(DigestError::Compacted(_))));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_repeated_and_one_that_keeps_failing_is_an_error() {
    let world = World::new(&thousands(), &thousands());
    let stretches = (Side::Primary, world.scope.stretches());
    let place = |key: &Key| world.scope.place(key);
    for _ in 0..5 {
        world.primary.inject(Fault::ReadFails);
    }
    let mut keys = 0;
    let sink = |_: &Key, _: &Value| {
        keys += 1;
        Ok(())
    };
    digest_side(&world.primary, stretches, world.at, place, LIMITS, sink).await.unwrap();
    assert_eq!(keys, 3_000);
    world.primary.set_away(true);
    let sink = |_: &Key, _: &Value| panic!("nothing is read");
    let ended = digest_side(&world.primary, stretches, world.at, place, LIMITS, sink).await;
    let error = ended.unwrap_err();
    assert!(matches!(error, DigestError::Unread(_)), "{error:?}");
    assert_eq!(error.class(), FailureClass::Retry);
}

#[test]
fn a_key_that_can_not_be_recorded_ends_the_reading() {
    let world = World::new(&thousands(), &thousands());
    let limits = FileLimits { keys: 10, ..FileLimits::default() };
    let (header, all) = (world.header(Side::Primary), [KeyRange::all()]);
    let mut detail = DetailWriter::new(Vec::new(), &header, &all, &limits).unwrap();
    let ended = world.read(Side::Primary, &all, |key, value| detail.push(key, value));
    let Err(DigestError::Unrecorded(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(error.to_string(), "the ranges hold more than 10 keys");
}

/// A standby that repeats the first key of every page.
struct Stutters(SimStandby);

impl ReadRange for Stutters {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        let mut page = self.0.read_page(request).await?;
        page.entries.insert(0, page.entries[0].clone());
        Ok(page)
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.0.read_keys(keys, at).await
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_has_no_digest() {
    let world = World::new(&thousands(), &thousands());
    let liar = Stutters(world.standby.clone());
    let all = Stretch { primary: KeyRange::all(), standby: KeyRange::all() };
    let (all, at) = ((Side::Standby, &[all][..]), world.standby_at);
    let same = |key: &Key| Some(key.clone());
    let limits = WalkLimits::default();
    let sink = |_: &Key, _: &Value| panic!("nothing is believed");
    let error = block_on(digest_side(&liar, all, at, same, limits, sink)).unwrap_err();
    assert!(matches!(error, DigestError::Broken { breach: Breach::Limit | Breach::Order }));
    assert_eq!(error.class(), FailureClass::Fatal);
}

proptest! {
    #[test]
    fn narrowed_ranges_hold_every_key_in_scope_that_the_ranges_hold(
        cuts in prop::collection::btree_set("/(standby|p)/[a-m]{0,2}|/standby/local/x?|[/z]", 1..8),
        names in prop::collection::btree_set("[a-m]{1,2}|local/[xyz]?|local", 1..40),
    ) {
        let scope = scope();
        let cuts: Vec<Key> = cuts.into_iter().map(Key::from).collect();
        let ranges: Vec<KeyRange> = cuts
            .chunks(2)
            .map(|cut| match cut {
                [start, end] => KeyRange::new(start.clone(), end.clone()),
                _ => KeyRange::from_key(cut[0].clone()),
            })
            .collect();
        let holds = |ranges: &[KeyRange], key: &Key| ranges.iter().any(|r| r.contains(key.as_bytes()));
        for side in [Side::Primary, Side::Standby] {
            let read = |stretch: Stretch| match side {
                Side::Primary => stretch.primary,
                Side::Standby => stretch.standby,
            };
            let narrowed = narrowed(&scope, side, &ranges);
            let narrowed: Vec<KeyRange> = narrowed.into_iter().map(read).collect();
            for pair in narrowed.windows(2) {
                prop_assert!(pair[0].end().is_some_and(|end| end <= pair[1].start()));
            }
            for name in &names {
                let source = Key::from(format!("/p/{name}"));
                let Some(placed) = scope.place(&source) else { continue };
                let key = if side == Side::Primary { &source } else { &placed };
                prop_assert!(!holds(&ranges, &placed) || holds(&narrowed, key), "{placed}");
            }
        }
    }
}
