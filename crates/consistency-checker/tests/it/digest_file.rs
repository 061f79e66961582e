//! A file reads back as it was written; anything else is refused, and says where.

use std::io::{BufReader, Read};

use consistency_checker::{
    CompareError, DetailWriter, DigestFile, FileDefect, FileLimits, ParseFileError, PinnedPair,
    Pins, RangeFile, RecordError, TreeSettings, compare,
};
use etcd_mvcc::{
    ClusterId, Key, KeyRange, PrimaryRevision, Revision, Side, StandbyRevision, Value,
};
use proptest::prelude::*;

use crate::digest_tree::{Content, compare_files, content, detail_file, fold, header, tree_file};

fn some() -> Content {
    let text = |text: &str| text.as_bytes().to_vec();
    Content::from([
        (text("/registry/pods/a/b"), text("1")),
        (text("/registry/pods/a/c"), text("")),
        (text("/registry/\u{e9}"), text("22")),
        (b"/registry/\x00\xff".to_vec(), text("333")),
        (text("/registry/\u{7}\\\""), text("4")),
    ])
}

fn fine() -> TreeSettings {
    TreeSettings { leaves_max: 4_096, level_min: 1 }
}

fn some_tree() -> Vec<u8> {
    tree_file(&fold(Side::Standby, &some(), fine()))
}

fn some_detail() -> Vec<u8> {
    let ranges = [KeyRange::prefix(b"/registry/"), KeyRange::from_key(Key::from("0"))];
    detail_file(Side::Primary, &some(), &ranges)
}

fn some_ranges() -> RangeFile {
    let header = header(Side::Primary);
    RangeFile {
        pair: PinnedPair {
            mirror: header.mirror,
            scope: header.scope,
            primary: header.cluster,
            standby: ClusterId::new(0xbeef),
            pins: Pins { primary: PrimaryRevision::new(7), standby: StandbyRevision::new(9) },
        },
        ranges: vec![KeyRange::prefix(b"a"), KeyRange::from_key(Key::from(vec![0xff]))],
    }
}

fn written(ranges: &RangeFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    ranges.write_to(&mut bytes, &FileLimits::default()).unwrap();
    bytes
}

/// Reads a file of any kind to its end.
fn read(bytes: &[u8]) -> Result<(), ParseFileError> {
    let limits = FileLimits::default();
    match DigestFile::open(bytes, &limits) {
        Err(ParseFileError { line: 1, defect: FileDefect::Kind }) => {
            RangeFile::read(bytes, &limits).map(drop)
        }
        Err(error) => Err(error),
        Ok(DigestFile::Tree(_)) => Ok(()),
        Ok(DigestFile::Detail(mut detail)) => {
            while detail.next_entry()?.is_some() {}
            assert_eq!(detail.next_entry(), Ok(None));
            Ok(())
        }
    }
}

fn all_kinds() -> [Vec<u8>; 3] {
    [some_tree(), some_detail(), written(&some_ranges())]
}

#[test]
fn the_written_form_of_a_tree_is_for_ever() {
    let golden = concat!(
        r#"{"format":"etcd-sync digest","version":1,"kind":"tree","side":"standby","#,
        r#""mirror":"default","scope":"0123456789abcdef0123456789abcdef","cluster":"beef","#,
        r#""revision":9,"pair":{"cluster":"cafe","primary":7,"standby":9},"level":1}"#,
        "\n",
        r#"{"leaf":{"keys":1,"sum":"f5ce71e100950e4e43cd889d6600a042"}}"#,
        "\n",
        r#"{"leaf":{"from":{"hex":"2f72656769737472792f075c22"},"keys":1,"#,
        r#""sum":"5f863886f79f970b8ed77c02b8a5916f"}}"#,
        "\n",
        r#"{"leaf":{"from":"/registry/pods/a/b","keys":1,"#,
        r#""sum":"e588d655dbc228f4dbe02b9d5ba9e1c8"}}"#,
        "\n",
        r#"{"leaf":{"from":"/registry/pods/a/c","keys":1,"#,
        r#""sum":"39e19f27705e379f5fab978f0a1ae753"}}"#,
        "\n",
        r#"{"leaf":{"from":"/registry/é","keys":1,"#,
        r#""sum":"0f16e650a9bf08fa223e007a1af7006c"}}"#,
        "\n",
        r#"{"totals":{"keys":5,"bytes":80}}"#,
        "\n",
        r#"{"end":{"checksum":"ac407aa17c11bac8943e8172854509e6"}}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(some_tree()).unwrap(), golden);
}

#[test]
fn the_written_form_of_a_detail_is_for_ever() {
    let golden = concat!(
        r#"{"format":"etcd-sync digest","version":1,"kind":"detail","side":"primary","#,
        r#""mirror":"default","scope":"0123456789abcdef0123456789abcdef","cluster":"cafe","#,
        r#""revision":7}"#,
        "\n",
        r#"{"range":{"start":"/registry/","end":"/registry0"}}"#,
        "\n",
        r#"{"range":{"start":"0"}}"#,
        "\n",
        r#"{"entry":{"key":{"hex":"2f72656769737472792f00ff"},"#,
        r#""fingerprint":"cffeb72ce5f96f63e1112ca849347b78"}}"#,
        "\n",
        r#"{"entry":{"key":{"hex":"2f72656769737472792f075c22"},"#,
        r#""fingerprint":"475982afbcaa3f3ce28911027fcf803f"}}"#,
        "\n",
        r#"{"entry":{"key":"/registry/pods/a/b","#,
        r#""fingerprint":"df3ce784d856334d65cd25028f98f158"}}"#,
        "\n",
        r#"{"entry":{"key":"/registry/pods/a/c","#,
        r#""fingerprint":"99aa06d3014798d86001c324468d497f"}}"#,
        "\n",
        r#"{"entry":{"key":"/registry/é","fingerprint":"41bca5cc346b1c1ba2d9242e96f5dfac"}}"#,
        "\n",
        r#"{"totals":{"keys":5,"bytes":80}}"#,
        "\n",
        r#"{"end":{"checksum":"b23e7a7db1aebff7a12672dbd1e25fc6"}}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(some_detail()).unwrap(), golden);
}

#[test]
fn the_written_form_of_ranges_is_for_ever() {
    let golden = concat!(
        r#"{"format":"etcd-sync digest","version":1,"kind":"ranges","mirror":"default","#,
        r#""scope":"0123456789abcdef0123456789abcdef","primary":{"cluster":"cafe","#,
        r#""revision":7},"standby":{"cluster":"beef","revision":9}}"#,
        "\n",
        r#"{"range":{"start":"a","end":"b"}}"#,
        "\n",
        r#"{"range":{"start":{"hex":"ff"}}}"#,
        "\n",
        r#"{"end":{"checksum":"de746c72bc4aa752358cfb7aecaba9fd"}}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(written(&some_ranges())).unwrap(), golden);
}

proptest! {
    #[test]
    fn a_tree_reads_back_as_it_was_written(content in content(), leaves_max in 1usize..40) {
        let settings = TreeSettings { leaves_max, level_min: 0 };
        let tree = fold(Side::Standby, &content, settings);
        let bytes = tree_file(&tree);
        let file = DigestFile::open(bytes.as_slice(), &FileLimits::default()).unwrap();
        let DigestFile::Tree(read) = file else { panic!() };
        prop_assert_eq!(read, tree);
    }

    #[test]
    fn a_detail_reads_back_as_it_was_written(content in content()) {
        let bytes = detail_file(Side::Standby, &content, &[KeyRange::all()]);
        let file = DigestFile::open(bytes.as_slice(), &FileLimits::default()).unwrap();
        let DigestFile::Detail(mut detail) = file else { panic!() };
        prop_assert_eq!(detail.header(), &header(Side::Standby));
        // A key of zeros alone is no smaller than the range of all keys.
        for (key, value) in &content {
            let expected = (Key::from(key.clone()), Value::from(value.clone()).fingerprint());
            prop_assert_eq!(detail.next_entry(), Ok(Some(expected)));
        }
        prop_assert_eq!(detail.next_entry(), Ok(None));
        prop_assert_eq!(detail.keys(), content.len() as u64);
    }

    #[test]
    fn any_bytes_are_refused_on_one_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let error = read(&bytes).unwrap_err();
        prop_assert_eq!(error.line, 1);
        prop_assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_file_of_which_any_one_bit_was_changed_is_refused() {
    for whole in all_kinds() {
        for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn a_file_that_was_cut_is_refused_wherever() {
    for whole in all_kinds() {
        assert_eq!(read(&whole), Ok(()));
        for length in 0..whole.len() {
            let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
            let error = read(&whole[..length]).unwrap_err();
            assert_eq!(error, ParseFileError { line: lines + 1, defect: FileDefect::Cut });
        }
    }
}

/// Puts an end line under whatever stands there: what the checksum can't refuse.
fn sealed(lines: &str) -> Vec<u8> {
    // The checksum is the fingerprint of all bytes above it.
    let checksum = Value::from(lines).fingerprint();
    format!("{lines}{{\"end\":{{\"checksum\":\"{checksum:032x}\"}}}}\n").into_bytes()
}

fn edited(file: Vec<u8>, old: &str, new: &str) -> (u64, FileDefect) {
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains(old), "no {old} in {text}");
    let text = text.replacen(old, new, 1);
    let end = text.rfind("{\"end\"").unwrap();
    let error = read(&sealed(&text[..end])).unwrap_err();
    (error.line, error.defect)
}

#[test]
fn lines_that_contradict_each_other_are_refused_although_the_checksum_holds() {
    let tree = |old, new| edited(some_tree(), old, new);
    assert_eq!(tree("etcd-sync digest", "something"), (1, FileDefect::Foreign));
    let newer = FileDefect::Version { found: 2, known: 1 };
    assert_eq!(tree("\"version\":1", "\"version\":2"), (1, newer));
    assert_eq!(tree("\"standby\":9", "\"standby\":8"), (1, FileDefect::Header));
    assert_eq!(tree("\"side\":\"standby\"", "\"side\":\"primary\""), (1, FileDefect::Header));
    assert_eq!(tree("\"level\":1", "\"level\":66"), (1, FileDefect::Header));
    assert_eq!(tree(",\"level\":1", ""), (1, FileDefect::Header));
    // Keys that begin a leaf at level 1 need not do so at a higher one.
    assert_eq!(tree("\"level\":1", "\"level\":60").1, FileDefect::Range);
    assert_eq!(tree("{\"leaf\":{", "{\"leaf\":{\"from\":\"a\","), (2, FileDefect::Misplaced));
    assert_eq!(tree("\"keys\":5,\"bytes\"", "\"keys\":6,\"bytes\"").1, FileDefect::Totals);
    assert!(matches!(tree("\"beef\"", "\"beer\""), (1, FileDefect::Syntax { column: 2.. })));

    let detail = |old, new| edited(some_detail(), old, new);
    assert_eq!(detail("\"start\":\"0\"", "\"start\":\"/\""), (3, FileDefect::Range));
    assert_eq!(detail("\"end\":\"/registry0\"", "\"end\":\"\""), (2, FileDefect::Range));
    assert_eq!(detail("pods/a/c", "pods/a/a"), (7, FileDefect::Order));
    assert_eq!(detail("/pods/a/b", "0"), (6, FileDefect::OutOfRange));
    assert_eq!(detail("\"keys\":5", "\"keys\":4"), (9, FileDefect::Totals));
    let syntax = detail("{\"entry\"", "{\"leaf\"");
    assert!(matches!(syntax, (4, FileDefect::Syntax { .. })), "{syntax:?}");
}

#[test]
fn what_follows_the_end_is_refused() {
    for whole in all_kinds() {
        let lines = whole.iter().filter(|byte| **byte == b'\n').count() as u64;
        for tail in [&b"\n"[..], b"x", b"{\"totals\":{\"keys\":0,\"bytes\":0}}\n"] {
            let error = read(&[&whole, tail].concat()).unwrap_err();
            assert_eq!(error, ParseFileError { line: lines + 1, defect: FileDefect::Trailing });
        }
    }
}

#[test]
fn a_later_form_with_more_to_say_is_read() {
    let text = String::from_utf8(some_tree()).unwrap();
    let text = text.replacen("\"keys\":", "\"more\":[{}],\"keys\":", 1);
    let text = text.replacen("\"version\"", "\"note\":{\"a\":null},\"version\"", 1);
    let end = text.rfind("{\"end\"").unwrap();
    assert_eq!(read(&sealed(&text[..end])), Ok(()));
}

#[test]
fn a_file_without_an_end_costs_bounded_memory() {
    let limits = FileLimits { keys: 10, bytes: 10_000 };
    let open = |input: &mut dyn Read| DigestFile::open(BufReader::new(input), &limits).err();
    let error = open(&mut std::io::repeat(b'{')).unwrap();
    assert!(matches!(error.defect, FileDefect::LineTooLong { .. }), "{error}");
    let error = open(&mut std::io::repeat(b'\n')).unwrap();
    assert_eq!(error, ParseFileError { line: 1, defect: FileDefect::Foreign });

    let tree = some_tree();
    let error = DigestFile::open(tree.as_slice(), &FileLimits { bytes: 300, ..limits }).err();
    assert!(matches!(error.unwrap().defect, FileDefect::FileTooLong { max: 300 }));
}

#[test]
fn more_leaves_than_any_tree_has_are_refused() {
    let mut text = String::from_utf8(some_tree()).unwrap();
    text = text.lines().take(1).collect::<String>().replace("\"level\":1", "\"level\":0");
    let sum = "0".repeat(32);
    text.push_str(&format!("\n{{\"leaf\":{{\"keys\":0,\"sum\":\"{sum}\"}}}}\n"));
    for number in 0..65_536 {
        let leaf =
            format!("{{\"leaf\":{{\"from\":\"{number:05}\",\"keys\":1,\"sum\":\"{sum}\"}}}}\n");
        text.push_str(&leaf);
    }
    let error = read(text.as_bytes()).unwrap_err();
    // The header, the first leaf, 65,535 others, and one too many.
    let defect = FileDefect::TooMany { max: 65_536 };
    assert_eq!(error, ParseFileError { line: 65_538, defect });
}

#[test]
fn more_keys_than_a_detail_may_name_are_refused_on_both_ends() {
    let (few, ranges) = (FileLimits { keys: 2, ..FileLimits::default() }, [KeyRange::all()]);
    let mut detail = DetailWriter::new(Vec::new(), &header(Side::Primary), &ranges, &few).unwrap();
    let mut push = |key: &str| detail.push(&Key::from(key), &Value::from("v"));
    push("a").unwrap();
    push("b").unwrap();
    assert!(matches!(push("c"), Err(RecordError::TooManyKeys { max: 2 })));

    let file = DigestFile::open(some_detail().leak() as &[u8], &few).unwrap();
    let DigestFile::Detail(mut detail) = file else { panic!() };
    assert!(detail.next_entry().is_ok() && detail.next_entry().is_ok());
    let error = detail.next_entry().unwrap_err();
    assert_eq!(error.defect, FileDefect::TooMany { max: 2 });
    assert_eq!(detail.next_entry(), Err(error), "an error does not turn into an end");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let limits = FileLimits { bytes: 500, ..FileLimits::default() };
    let tree = fold(Side::Standby, &some(), fine());
    let refused = tree.write_to(Vec::new(), &limits);
    assert!(matches!(refused, Err(RecordError::FileTooLong { max: 500 })));

    let limits = FileLimits::default();
    let new = |ranges: &[KeyRange]| {
        DetailWriter::new(Vec::new(), &header(Side::Primary), ranges, &limits).map(drop)
    };
    assert!(matches!(new(&[]), Err(RecordError::Ranges)));
    let (a, b) = (KeyRange::prefix(b"a"), KeyRange::prefix(b"b"));
    assert!(new(&[a.clone(), b.clone()]).is_ok());
    assert!(matches!(new(&[b, a.clone()]), Err(RecordError::Ranges)));
    assert!(matches!(new(&[a, KeyRange::from_key(Key::from("a1"))]), Err(RecordError::Ranges)));

    let all = [KeyRange::all()];
    let mut detail = DetailWriter::new(Vec::new(), &header(Side::Primary), &all, &limits).unwrap();
    let push = |detail: &mut DetailWriter<_>, length: usize| {
        detail.push(&Key::from(vec![b'"'; length]), &Value::default())
    };
    push(&mut detail, 1_572_864).unwrap();
    let refused = push(&mut detail, 4 << 20);
    assert!(matches!(refused, Err(RecordError::LineTooLong { .. })));
}

#[test]
fn a_detail_that_was_cut_gives_no_comparison() {
    let all = [KeyRange::all()];
    let primary = detail_file(Side::Primary, &some(), &all);
    let standby = detail_file(Side::Standby, &Content::new(), &all);
    let cut = primary.len() - 1;
    let mut found = 0;
    let limits = FileLimits::default();
    let open = |bytes| DigestFile::open(bytes, &limits).unwrap();
    let compared = compare(open(&primary[..cut]), open(&standby[..]), |_| found += 1);
    let Err(CompareError::Parse { side: Side::Primary, error }) = compared else { panic!() };
    assert_eq!((error.defect, found), (FileDefect::Cut, 5));
}

#[test]
fn equal_sums_of_different_sizes_are_no_answer() {
    let text = String::from_utf8(some_tree()).unwrap();
    let bytes = text.find("\"bytes\":").unwrap();
    let forged = sealed(&format!("{}\"bytes\":1}}}}\n", &text[..bytes]));
    let primary = tree_file(&fold(Side::Primary, &some(), fine()));
    assert!(compare_files(&primary, &some_tree()).unwrap().0.is_clean());
    assert_eq!(compare_files(&primary, &forged).unwrap_err(), CompareError::Contradiction);
}
