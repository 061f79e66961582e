//! Two trees show every range that differs, and two details every key.

use std::collections::{BTreeMap, BTreeSet};

use consistency_checker::{
    CompareError, Comparison, DetailWriter, DigestFile, FileHeader, FileLimits, KeyComparison,
    Kind, Mirrored, Origin, RangeComparison, RangeFile, Tree, TreeBuilder, TreeSettings, compare,
};
use etcd_mvcc::{
    ClusterId, Key, KeyRange, PrimaryRevision, Revision, Side, StandbyRevision, Value,
};
use proptest::prelude::*;

/// Keys as the standby spells them, with their values.
pub(crate) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn header(side: Side) -> FileHeader {
    let (primary, standby) = (ClusterId::new(0xcafe), ClusterId::new(0xbeef));
    let mirrors = Some(Mirrored { cluster: primary, revision: PrimaryRevision::new(7) });
    let (cluster, origin) = match side {
        Side::Primary => (primary, Origin::Primary { at: PrimaryRevision::new(7) }),
        Side::Standby => (standby, Origin::Standby { at: StandbyRevision::new(9), mirrors }),
    };
    let scope = "0123456789abcdef0123456789abcdef".parse().unwrap();
    FileHeader { mirror: "default".to_owned(), scope, cluster, origin }
}

pub(crate) fn fold(side: Side, content: &Content, settings: TreeSettings) -> Tree {
    let mut builder = TreeBuilder::new(header(side), &settings);
    for (key, value) in content {
        builder.push(&Key::from(key.clone()), &Value::from(value.clone())).unwrap();
    }
    builder.finish()
}

pub(crate) fn tree_file(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    tree.write_to(&mut bytes, &FileLimits::default()).unwrap();
    bytes
}

pub(crate) fn detail_file(side: Side, content: &Content, ranges: &[KeyRange]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let limits = FileLimits::default();
    let mut detail = DetailWriter::new(&mut bytes, &header(side), ranges, &limits).unwrap();
    for (key, value) in content {
        detail.push(&Key::from(key.clone()), &Value::from(value.clone())).unwrap();
    }
    detail.finish().unwrap();
    bytes
}

/// A comparison, and what it says of keys.
pub(crate) type Compared = (Comparison, Vec<(Kind, Vec<u8>)>);

pub(crate) fn compare_files(left: &[u8], right: &[u8]) -> Result<Compared, CompareError> {
    let limits = FileLimits::default();
    let open = |bytes| DigestFile::open(bytes, &limits).unwrap();
    let mut found = Vec::new();
    let compared = compare(open(left), open(right), |difference| {
        found.push((difference.kind, difference.key.as_bytes().to_vec()));
    })?;
    Ok((compared, found))
}

fn compare_trees(left: &Tree, right: &Tree) -> RangeComparison {
    match compare_files(&tree_file(left), &tree_file(right)).unwrap() {
        (Comparison::Ranges(ranges), found) if found.is_empty() => ranges,
        other => panic!("{other:?}"),
    }
}

fn compare_details(left: &[u8], right: &[u8]) -> (KeyComparison, Vec<(Kind, Vec<u8>)>) {
    match compare_files(left, right).unwrap() {
        (Comparison::Keys(keys), found) => (keys, found),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn by_set_algebra(primary: &Content, standby: &Content) -> Vec<(Kind, Vec<u8>)> {
    let all: BTreeSet<_> = primary.keys().chain(standby.keys()).collect();
    all.into_iter()
        .filter_map(|key| match (primary.get(key), standby.get(key)) {
            (Some(_), None) => Some((Kind::Missed, key.clone())),
            (None, Some(_)) => Some((Kind::Surplus, key.clone())),
            (a, b) => (a != b).then(|| (Kind::Different, key.clone())),
        })
        .collect()
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let key = prop::collection::vec(prop_oneof![0u8..4, Just(b'a'), Just(0xff)], 1..5);
    let value = prop::collection::vec(0u8..2, 0..3);
    prop::collection::btree_map(key, value, 0..80)
}

/// Two sides that have much in common.
fn two_sides() -> impl Strategy<Value = (Content, Content)> {
    (content(), content(), content()).prop_map(|(common, mut primary, mut standby)| {
        for (key, value) in common {
            if value.len() != 1 {
                primary.insert(key.clone(), value.clone());
            }
            standby.insert(key, value);
        }
        (primary, standby)
    })
}

fn settings() -> impl Strategy<Value = TreeSettings> {
    let leaves_max = prop_oneof![1usize..6, Just(4_096)];
    (leaves_max, 0u8..7).prop_map(|(leaves_max, level_min)| TreeSettings { leaves_max, level_min })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn ranges_cover_every_key_that_differs_and_nothing_is_read_for_none(
        (primary, standby) in two_sides(),
        left in settings(),
        right in settings(),
        in_order in any::<bool>(),
    ) {
        let left = fold(Side::Primary, &primary, left);
        let right = fold(Side::Standby, &standby, right);
        let compared =
            if in_order { compare_trees(&left, &right) } else { compare_trees(&right, &left) };
        let differences = by_set_algebra(&primary, &standby);
        let holds = |range: &KeyRange| differences.iter().filter(|(_, key)| range.contains(key)).count();
        let covered: usize = compared.differing.iter().map(|differing| holds(&differing.range)).sum();
        prop_assert_eq!(covered, differences.len());
        for differing in &compared.differing {
            let inside = |side: &Content| side.keys().filter(|key| differing.range.contains(key)).count() as u64;
            prop_assert!(holds(&differing.range) > 0, "{:?} holds no difference", differing.range);
            prop_assert_eq!(differing.primary_keys, inside(&primary));
            prop_assert_eq!(differing.standby_keys, inside(&standby));
        }
        for pair in compared.differing.windows(2) {
            prop_assert!(pair[0].range.end().is_some_and(|end| end <= pair[1].range.start()));
        }
        prop_assert_eq!(compared.primary.keys, primary.len() as u64);
        prop_assert_eq!(compared.standby.keys, standby.len() as u64);
    }

    #[test]
    fn two_passes_name_exactly_the_keys_of_set_algebra(
        (primary, standby) in two_sides(),
        left in settings(),
        right in settings(),
    ) {
        let trees = (fold(Side::Primary, &primary, left), fold(Side::Standby, &standby, right));
        let ranges = compare_trees(&trees.0, &trees.1).to_ranges();
        let mut carried = Vec::new();
        ranges.write_to(&mut carried, &FileLimits::default()).unwrap();
        let carried = RangeFile::read(carried.as_slice(), &FileLimits::default()).unwrap();
        prop_assert_eq!(&carried, &ranges);
        let differences = by_set_algebra(&primary, &standby);
        prop_assert_eq!(carried.ranges.is_empty(), differences.is_empty());
        if !differences.is_empty() {
            let left = detail_file(Side::Primary, &primary, &carried.ranges);
            let right = detail_file(Side::Standby, &standby, &carried.ranges);
            let (keys, found) = compare_details(&right, &left);
            let of = |kind| found.iter().filter(|(found, _)| *found == kind).count() as u64;
            prop_assert_eq!(
                (keys.missed, keys.surplus, keys.different),
                (of(Kind::Missed), of(Kind::Surplus), of(Kind::Different))
            );
            prop_assert_eq!(keys.ranges, carried.ranges);
            prop_assert_eq!(found, differences);
        }
    }

    #[test]
    fn a_tree_keeps_to_its_leaves_and_forgets_the_finer_ones(
        content in content(),
        settings in settings(),
    ) {
        let tree = fold(Side::Primary, &content, settings);
        prop_assert!(tree.leaves() <= settings.leaves_max);
        let again = TreeSettings { leaves_max: 4_096, level_min: tree.level() };
        prop_assert_eq!(&fold(Side::Primary, &content, again), &tree);
        if tree.level() > settings.level_min {
            let finer = TreeSettings { level_min: tree.level() - 1, ..again };
            prop_assert!(fold(Side::Primary, &content, finer).leaves() > settings.leaves_max);
        }
    }

    #[test]
    fn details_of_any_ranges_agree_with_set_algebra_inside_them(
        (primary, standby) in two_sides(),
        cuts in prop::collection::btree_set(prop::collection::vec(0u8..4, 1..3), 2..7),
    ) {
        let cuts: Vec<_> = cuts.into_iter().map(Key::from).collect();
        let ranges: Vec<_> = cuts
            .chunks_exact(2)
            .map(|cut| KeyRange::new(cut[0].clone(), cut[1].clone()))
            .collect();
        let left = detail_file(Side::Primary, &primary, &ranges);
        let right = detail_file(Side::Standby, &standby, &ranges);
        let mut expected = by_set_algebra(&primary, &standby);
        expected.retain(|(_, key)| ranges.iter().any(|range| range.contains(key)));
        let (keys, found) = compare_details(&left, &right);
        prop_assert_eq!(found, expected);
        let all: BTreeSet<_> = primary.keys().chain(standby.keys()).collect();
        let inside = |key: &&&Vec<u8>| ranges.iter().any(|range| range.contains(key));
        prop_assert_eq!(keys.keys, all.iter().filter(inside).count() as u64);
    }
}

#[test]
fn a_million_keys_and_one_that_differs_leave_few_to_look_at_again() {
    let fold = |side, changed| {
        let mut builder = TreeBuilder::new(header(side), &TreeSettings::default());
        for number in 0..1_000_000_u32 {
            let value = if number == changed { "other" } else { "value" };
            let key = Key::from(format!("/registry/pods/ns-{:03}/pod-{number:07}", number / 1_000));
            builder.push(&key, &Value::from(value)).unwrap();
        }
        builder.finish()
    };
    let (left, right) = (fold(Side::Primary, u32::MAX), fold(Side::Standby, 654_321));
    assert!((2_000..=4_096).contains(&left.leaves()), "{} leaves", left.leaves());
    let bytes = tree_file(&left).len();
    assert!(bytes < 500_000, "{bytes} bytes");
    let compared = compare_trees(&left, &right);
    assert_eq!(compared.differing.len(), 1);
    let again = compared.differing[0].primary_keys;
    assert!(again < 3_000, "{again} keys to look at again");
}

#[test]
fn keys_that_come_twice_or_out_of_order_or_empty_are_refused() {
    let mut builder = TreeBuilder::new(header(Side::Primary), &TreeSettings::default());
    let mut detail = DetailWriter::new(
        Vec::new(),
        &header(Side::Primary),
        &[KeyRange::all()],
        &FileLimits::default(),
    )
    .unwrap();
    let mut push = |key: &str| {
        let (key, value) = (Key::from(key), Value::from("v"));
        let (tree, detail) = (builder.push(&key, &value), detail.push(&key, &value));
        assert_eq!(tree.is_ok(), detail.is_ok());
        tree.map_err(|error| error.to_string())
    };
    assert_eq!(push(""), Err(" is out of order".to_owned()));
    assert_eq!(push("b"), Ok(()));
    assert_eq!(push("b"), Err("b is out of order".to_owned()));
    assert_eq!(push("a\n"), Err(r"a\x0a is out of order".to_owned()));
    assert_eq!(push("c"), Ok(()));
}

/// Compares two empty trees with these headers, in both orders, which must not matter.
fn refusal(primary: &FileHeader, standby: &FileHeader) -> Option<CompareError> {
    let file = |header: &FileHeader| {
        tree_file(&TreeBuilder::new(header.clone(), &TreeSettings::default()).finish())
    };
    let (primary, standby) = (file(primary), file(standby));
    let error = compare_files(&primary, &standby).err();
    assert_eq!(error, compare_files(&standby, &primary).err());
    error
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let (primary, standby) = (header(Side::Primary), header(Side::Standby));
    assert_eq!(refusal(&primary, &standby), None);

    let same = |side| Some(CompareError::SameSide { side });
    assert_eq!(refusal(&primary, &primary), same(Side::Primary));
    assert_eq!(refusal(&standby, &standby), same(Side::Standby));

    let scope = "0".repeat(32).parse().unwrap();
    let other = FileHeader { scope, ..standby.clone() };
    let expected = CompareError::Scope { primary: primary.scope, standby: scope };
    assert_eq!(refusal(&primary, &other), Some(expected));

    let other = FileHeader { mirror: "other".to_owned(), ..primary.clone() };
    let error = refusal(&other, &standby).unwrap();
    assert_eq!(
        error.to_string(),
        r#"the mirrors differ: "other" on the primary, "default" on the standby"#
    );

    let other = FileHeader { cluster: primary.cluster, ..standby.clone() };
    let expected = CompareError::SameCluster { cluster: primary.cluster };
    assert_eq!(refusal(&primary, &other), Some(expected));

    let origin = Origin::Standby { at: StandbyRevision::new(9), mirrors: None };
    let other = FileHeader { origin, ..standby.clone() };
    assert_eq!(refusal(&primary, &other), Some(CompareError::NotPinned));

    let found = ClusterId::new(0xdead);
    let other = FileHeader { cluster: found, ..primary.clone() };
    let expected = CompareError::Cluster { expected: primary.cluster, found };
    assert_eq!(refusal(&other, &standby), Some(expected));

    let found = PrimaryRevision::new(8);
    let other = FileHeader { origin: Origin::Primary { at: found }, ..primary.clone() };
    let expected = CompareError::Revision { expected: found.previous(), found };
    assert_eq!(refusal(&other, &standby), Some(expected));
}

#[test]
fn files_of_two_kinds_or_over_other_ranges_are_refused() {
    let content = Content::from([(b"a".to_vec(), vec![1])]);
    let tree = tree_file(&fold(Side::Primary, &content, TreeSettings::default()));
    let detail = |range| detail_file(Side::Standby, &content, &[range]);
    let whole = detail(KeyRange::all());
    assert_eq!(compare_files(&tree, &whole).unwrap_err(), CompareError::Kind);
    assert_eq!(compare_files(&whole, &tree).unwrap_err(), CompareError::Kind);
    let primary = detail_file(Side::Primary, &content, &[KeyRange::all()]);
    assert_eq!(
        compare_files(&primary, &detail(KeyRange::prefix(b"a"))).unwrap_err(),
        CompareError::Ranges
    );
    let (keys, found) = compare_details(&primary, &whole);
    assert_eq!((keys.keys, found.len()), (1, 0));
}

#[test]
fn ranges_that_touch_lose_no_key_between_them() {
    let content: Content = ["a", "b", "c", "d"].map(|key| (key.into(), Vec::new())).into();
    let key = Key::from;
    let ranges = [
        KeyRange::new(key("a"), key("b")),
        KeyRange::new(key("b"), key("c")),
        KeyRange::new(key("c"), key("d")),
    ];
    let primary = detail_file(Side::Primary, &content, &ranges);
    let standby = detail_file(Side::Standby, &Content::new(), &ranges);
    let missed = ["a", "b", "c"].map(|key| (Kind::Missed, key.as_bytes().to_vec()));
    assert_eq!(compare_details(&primary, &standby).1, missed);
}
