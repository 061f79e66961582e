//! Files that anybody may have written, and two sides that are compared through files.
//!
//! The first byte says what to do with the rest. Taken as a file, with the header and the checksum
//! put right if it says so, there is an error or something that can be written and read again.
//! Taken as keys of two sides, two passes find what set algebra finds.

#![no_main]

use std::collections::BTreeMap;

use consistency_checker::{
    Comparison, DetailWriter, DigestFile, FileHeader, FileLimits, Mirrored, Origin, RangeFile,
    Tree, TreeBuilder, TreeSettings, compare,
};
use etcd_mvcc::{
    ClusterId, Key, KeyRange, PrimaryRevision, Revision, Side, StandbyRevision, Value,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    match how % 4 {
        0 => read(rest),
        1 => read(&sealed(rest)),
        2 => read(&sealed(&[headed(how / 4), rest.to_vec()].concat())),
        _ => two_passes(rest),
    }
});

/// The first line of a file of one of the three kinds.
fn headed(kind: u8) -> Vec<u8> {
    let kind = match kind % 3 {
        0 => r#""tree","side":"standby","level":0,"cluster":"beef","revision":9"#,
        1 => r#""detail","side":"primary","cluster":"cafe","revision":7"#,
        _ => {
            r#""ranges","primary":{"cluster":"cafe","revision":7},"standby":{"cluster":"beef","revision":9}"#
        }
    };
    let scope = "0123456789abcdef0123456789abcdef";
    let rest = format!(r#""version":1,"mirror":"m","scope":"{scope}","kind":{kind}"#);
    format!("{{\"format\":\"etcd-sync digest\",{rest}}}\n").into_bytes()
}

/// Puts the right end line under some lines.
fn sealed(lines: &[u8]) -> Vec<u8> {
    let mut file = lines.to_vec();
    if file.last().is_some_and(|byte| *byte != b'\n') {
        file.push(b'\n');
    }
    // The checksum is the fingerprint of all bytes above it.
    let checksum = Value::from(file.clone()).fingerprint();
    file.extend(format!("{{\"end\":{{\"checksum\":\"{checksum:032x}\"}}}}\n").into_bytes());
    file
}

fn read(file: &[u8]) {
    let limits = FileLimits { keys: 100, bytes: 100_000 };
    match DigestFile::open(file, &limits) {
        Err(error) => assert!(!error.to_string().contains('\n')),
        Ok(DigestFile::Tree(tree)) => assert_eq!(again(&tree), tree),
        Ok(DigestFile::Detail(mut detail)) => {
            let mut last = Key::default();
            while let Ok(Some((key, _))) = detail.next_entry() {
                assert!(last < key && detail.ranges().iter().any(|r| r.contains(key.as_bytes())));
                last = key;
            }
            let keys = detail.keys();
            assert!(keys <= limits.keys);
            assert!(!matches!(detail.next_entry(), Ok(Some(_))));
        }
    }
    if let Ok(ranges) = RangeFile::read(file, &limits) {
        let mut written = Vec::new();
        ranges.write_to(&mut written, &FileLimits::default()).expect("ranges that were read");
        let again = RangeFile::read(written.as_slice(), &FileLimits::default());
        assert_eq!(again.as_ref(), Ok(&ranges));
    }
}

fn again(tree: &Tree) -> Tree {
    let limits = FileLimits::default();
    let mut written = Vec::new();
    tree.write_to(&mut written, &limits).expect("a tree that was read");
    match DigestFile::open(written.as_slice(), &limits) {
        Ok(DigestFile::Tree(tree)) => tree,
        other => panic!("{other:?}"),
    }
}

type Keys = BTreeMap<Vec<u8>, u8>;

/// Keys between zeros: in the primary, the standby, or both; with equal values or not.
fn keys(bytes: &[u8]) -> [Keys; 2] {
    let mut sides = [Keys::new(), Keys::new()];
    for item in bytes.split(|&byte| byte == 0) {
        let [place, key @ ..] = item else { continue };
        if key.is_empty() {
            continue;
        }
        for (index, side) in sides.iter_mut().enumerate() {
            if place >> index & 1 == 1 {
                side.insert(key.to_vec(), place >> (2 + index) & 1);
            }
        }
    }
    sides
}

fn header(side: Side) -> FileHeader {
    let (primary, standby) = (ClusterId::new(1), ClusterId::new(2));
    let mirrors = Some(Mirrored { cluster: primary, revision: PrimaryRevision::new(7) });
    let (cluster, origin) = match side {
        Side::Primary => (primary, Origin::Primary { at: PrimaryRevision::new(7) }),
        Side::Standby => (standby, Origin::Standby { at: StandbyRevision::new(9), mirrors }),
    };
    let scope = "0123456789abcdef0123456789abcdef".parse().expect("a scope's hash");
    FileHeader { mirror: "m".to_owned(), scope, cluster, origin }
}

fn fold(side: Side, keys: &Keys, settings: TreeSettings) -> Tree {
    let mut builder = TreeBuilder::new(header(side), &settings);
    for (key, value) in keys {
        builder.push(&Key::from(key.clone()), &Value::from(vec![*value])).expect("sorted keys");
    }
    again(&builder.finish())
}

fn detail(side: Side, keys: &Keys, ranges: &[KeyRange]) -> Vec<u8> {
    let (mut bytes, limits) = (Vec::new(), FileLimits::default());
    let writer = DetailWriter::new(&mut bytes, &header(side), ranges, &limits);
    let mut writer = writer.expect("ranges of a comparison");
    for (key, value) in keys {
        writer.push(&Key::from(key.clone()), &Value::from(vec![*value])).expect("sorted keys");
    }
    writer.finish().expect("a vector takes all");
    bytes
}

fn two_passes(data: &[u8]) {
    let Some((&[levels, leaves, more], rest)) = data.split_first_chunk() else { return };
    let [left, right] = keys(rest);
    let settings = |leaves: u8, level_min| TreeSettings { leaves_max: leaves.into(), level_min };
    let trees = (
        fold(Side::Primary, &left, settings(leaves, levels % 8)),
        fold(Side::Standby, &right, settings(more, levels / 8 % 8)),
    );
    let files = (DigestFile::Tree::<&[u8]>(trees.0), DigestFile::Tree::<&[u8]>(trees.1));
    let compared = compare(files.0, files.1, |_| panic!("trees name no keys"));
    let Ok(Comparison::Ranges(compared)) = compared else { panic!("{compared:?}") };
    let ranges = compared.to_ranges().ranges;
    let mut found = Vec::new();
    if !ranges.is_empty() {
        let limits = FileLimits::default();
        let open = |file| DigestFile::open(file, &limits).expect("a file just written");
        let left = detail(Side::Primary, &left, &ranges);
        let right = detail(Side::Standby, &right, &ranges);
        compare(open(left.as_slice()), open(right.as_slice()), |difference| {
            found.push((difference.kind.as_str(), difference.key));
        })
        .expect("two details of one pair");
    }
    assert_eq!(found, by_set_algebra(&left, &right));
}

fn by_set_algebra(left: &Keys, right: &Keys) -> Vec<(&'static str, Key)> {
    let mut all: BTreeMap<&Vec<u8>, &str> = BTreeMap::new();
    for (key, value) in left {
        match right.get(key) {
            None => drop(all.insert(key, "missed")),
            Some(other) if other != value => drop(all.insert(key, "different")),
            Some(_) => {}
        }
    }
    all.extend(right.keys().filter(|key| !left.contains_key(*key)).map(|key| (key, "surplus")));
    all.into_iter().map(|(key, kind)| (kind, Key::from(key.clone()))).collect()
}
