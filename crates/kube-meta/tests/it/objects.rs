//! Objects that can be read, and those that look like it.

use kube_meta::{Format, Owner, skim};
use serde_json::{Value, json};

use crate::assert_opaque;
use crate::encode::{Object, message, number, text};

/// A value in protobuf with this metadata.
fn with_metadata(metadata: &[u8]) -> Vec<u8> {
    [b"k8s\0", &*message(2, &message(1, metadata))].concat()
}

#[test]
fn an_object_tells_the_same_in_every_format() {
    let pod = Object::pod();
    let in_place = Object { deleting: false, owners: vec![], finalizers: vec![], ..pod.clone() };
    for object in [pod, in_place] {
        for (value, format) in [
            (object.protobuf(), Format::Protobuf),
            (object.json(), Format::Json),
            (object.cbor(true), Format::Cbor),
            (object.cbor(false), Format::Cbor),
        ] {
            let meta = skim(&value);
            assert_eq!(meta.format(), format);
            assert!(meta.is_readable());
            assert_eq!(meta.api_version(), Some("v1"));
            assert_eq!(meta.kind(), Some("Pod"));
            assert_eq!(meta.name(), Some("web-574bd6ddb7-x2x7p"));
            assert_eq!(meta.namespace(), Some("shop"));
            assert_eq!(meta.uid(), Some("pod-uid"));
            assert_eq!(meta.is_deleting(), object.deleting);
            assert_eq!(meta.owners().collect::<Vec<_>>(), object.owners());
            assert_eq!(meta.finalizers().collect::<Vec<_>>(), object.finalizers);
        }
    }
}

#[test]
fn an_object_without_a_uid_is_readable() {
    let object = Object { uid: String::new(), ..Object::pod() };
    for value in [object.protobuf(), object.json(), object.cbor(true)] {
        assert!(skim(&value).is_readable());
        assert_eq!(skim(&value).uid(), None);
    }
    for metadata in [json!({}), json!({"uid": null, "ownerReferences": null, "finalizers": null})] {
        let value = json!({"metadata": metadata}).to_string();
        let meta = skim(value.as_bytes());
        assert_eq!((meta.format(), meta.uid(), meta.kind()), (Format::Json, None, None));
        assert_eq!((meta.owners().count(), meta.finalizers().count()), (0, 0));
    }
}

#[test]
fn debug_shows_no_annotation() {
    let object = Object { rest: "hunter2".into(), ..Object::pod() };
    for value in [object.protobuf(), object.json(), object.cbor(true)] {
        let shown = format!("{:?}", skim(&value));
        assert!(shown.contains("pod-uid") && !shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("104, 117"), "{shown}");
    }
}

#[test]
fn a_value_cut_short_is_opaque() {
    let object = Object::pod();
    for value in [object.protobuf(), object.json(), object.cbor(true), object.cbor(false)] {
        for length in 0..value.len() {
            let meta = skim(&value[..length]);
            // Protobuf may end between two fields; what follows the object says nothing of it.
            let whole = meta.format() == Format::Protobuf && length + 4 >= value.len();
            assert!(whole || meta.format() == Format::Opaque, "{length} of {}", value.len());
        }
    }
}

#[test]
fn protobuf_around_something_else_is_opaque() {
    let object = Object::pod().protobuf();
    for (field, content, readable) in [
        (3, "gzip", false),
        (4, "application/json", false),
        (4, "application/vnd.kubernetes.protobuf", true),
        (9, "of a later version", true),
    ] {
        let value = [&*object, &text(field, content)].concat();
        assert_eq!(skim(&value).is_readable(), readable, "{content}");
    }
    assert_opaque(b"k8s\0");
    assert_opaque(&[b"k8s\0", &*message(1, &text(2, "Pod"))].concat());
    assert_opaque(&[b"k8s\0", &*message(2, &text(2, "no metadata"))].concat());
    assert_opaque(&[b"k8s\0", &*number(2, 1)].concat());
}

#[test]
fn protobuf_fields_of_another_type_are_opaque() {
    assert!(skim(&with_metadata(&text(5, "uid"))).is_readable());
    for metadata in [
        number(1, 1),
        number(3, 1),
        number(5, 1),
        number(9, 1),
        number(13, 1),
        number(14, 1),
        message(1, b"\xff"),
        message(3, b"\xff"),
        message(5, b"\xff"),
        message(14, b"\xff"),
        message(13, &number(4, 1)),
        message(13, &message(1, b"\xff")),
        message(13, b"\x0a"),
    ] {
        assert_opaque(&with_metadata(&metadata));
    }
}

#[test]
fn a_deletion_mark_counts_whatever_time_it_names() {
    assert!(skim(&with_metadata(&message(9, b""))).is_deleting());
    for (mark, deleting) in [(json!(""), true), (json!(null), false)] {
        let value = json!({"metadata": {"deletionTimestamp": mark}}).to_string();
        assert_eq!(skim(value.as_bytes()).is_deleting(), deleting, "{value}");
    }
}

#[test]
fn json_of_another_shape_is_opaque() {
    let shapes: [Value; 15] = [
        json!({}),
        json!({"kind": "Pod"}),
        json!({"metadata": null}),
        json!({"metadata": "uid"}),
        json!({"metadata": ["uid", null, [], []]}),
        json!({"metadata": {}, "kind": 1}),
        json!({"metadata": {"name": 1}}),
        json!({"metadata": {"namespace": {}}}),
        json!({"metadata": {"uid": 1}}),
        json!({"metadata": {"uid": ["u"]}}),
        json!({"metadata": {"deletionTimestamp": 0}}),
        json!({"metadata": {"finalizers": "f"}}),
        json!({"metadata": {"finalizers": [null]}}),
        json!({"metadata": {"ownerReferences": {}}}),
        json!({"metadata": {"ownerReferences": [["v1", "Pod", "p", "u"]]}}),
    ];
    for shape in shapes {
        assert_opaque(shape.to_string().as_bytes());
    }
    for text in [
        r#"{"metadata":{"uid":"a","uid":"b"}}"#,
        r#"{"metadata":{"uid":"a"}} {}"#,
        r#"{"metadata":{"uid":"a"}"#,
        r#" {"metadata":{"uid":"a"}}"#,
        r#"[{"metadata":{"uid":"a"}}]"#,
        r#"{"metadata":{"uid":"\ud800"}}"#,
    ] {
        assert_opaque(text.as_bytes());
    }
}

#[test]
fn an_escape_in_json_is_resolved() {
    let value = br#"{"metadata":{"uid":"\u0061\"","ownerReferences":[{"name":"\n"}]}}"#;
    let meta = skim(value);
    assert_eq!(meta.uid(), Some("a\""));
    let owner = Owner { name: "\n", ..Owner::default() };
    assert_eq!(meta.owners().collect::<Vec<_>>(), [owner]);
}

#[test]
fn cbor_that_an_apiserver_refuses_or_never_writes_is_opaque() {
    let tagged = |item: &[u8]| [&[0xd9, 0xd9, 0xf7], item].concat();
    let metadata = |pairs: &[u8]| tagged(&[b"\xa1\x48metadata", pairs].concat());
    assert_eq!(skim(&metadata(b"\xa1\x43uid\x41u")).uid(), Some("u"));
    assert_eq!(skim(&metadata(b"\xa1\x63uid\x61u")).uid(), Some("u"));
    assert_eq!(skim(&metadata(b"\xa1\x43uid\xf6")).uid(), None);
    for value in [
        tagged(b""),
        tagged(b"\xa0"),
        tagged(b"\x80"),
        tagged(b"\xa1\x01\x02"),
        metadata(b"\xf6"),
        metadata(b"\x80"),
        metadata(b"\xa1\x43uid\x01"),
        metadata(b"\xa1\x51deletionTimestamp\xf5"),
        metadata(b"\xa1\x43uid\x41\xff"),
        metadata(b"\xa1\x43uid\xc2\x41u"),
        metadata(b"\xa2\x43uid\x41u\x43uid\x41v"),
        metadata(b"\xbf\x43uid\x41u\xff"),
        metadata(b"\xa1\x43uid\x5f\x41u\xff"),
        metadata(b"\xa1\x4afinalizers\x81\xf5"),
        metadata(b"\xa1\x4fownerReferences\x81\x41u"),
        metadata(b"\xa1\x4fownerReferences\x81\xa2\x43uid\x41u\x43uid\x41u"),
        metadata(b"\xa0\x00"),
    ] {
        assert_opaque(&value);
    }
}

#[test]
fn what_is_no_object_is_opaque() {
    for value in [&b""[..], b"18295", b"k8s", b"k8s\x01", b"\xd9\xd9", b"null", b"\0", b"\xff\xfe"]
    {
        assert_opaque(value);
    }
}
