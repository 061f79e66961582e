//! Values made to exhaust the stack or the clock.

use std::iter::repeat_n;

use kube_meta::skim;

use crate::assert_opaque;
use crate::encode::message;

/// What etcd takes by default is half as much more; a call each would need many times the stack of
/// a thread.
const BYTES: usize = 1 << 20;

fn repeated(prefix: &[u8], unit: &[u8]) -> Vec<u8> {
    [prefix, &*repeat_n(unit, BYTES / unit.len()).collect::<Vec<_>>().concat()].concat()
}

#[test]
fn depth_costs_no_stack() {
    let nested = repeated(b"\xd9\xd9\xf7\xa1\x44spec", b"\x81");
    assert_opaque(&nested);
    // The same, but sound: an array in an array, and an empty one in the end.
    let metadata = [&b"\xd9\xd9\xf7\xa2\x48metadata\xa1\x43uid\x41u"[..], b"\x44spec"].concat();
    let sound = [&*repeated(&metadata, b"\x81"), b"\x80"].concat();
    assert_eq!(skim(&sound).uid(), Some("u"));
    assert_opaque(&repeated(b"\xd9\xd9\xf7", b"\xa1\x41k"));
    assert_opaque(&repeated(b"\xd9\xd9\xf7\xa1\x41k", b"\xc1"));
    assert_opaque(&repeated(br#"{"metadata":{},"spec":"#, b"["));
    assert_opaque(&repeated(b"", br#"{"metadata":"#));
    let open = repeated(br#"{"metadata":{"uid":"u"},"spec":"#, b"[");
    let closed = [&*open, &*vec![b']'; BYTES], b"}"].concat();
    assert_eq!(skim(&closed).uid(), Some("u"));
    assert_opaque(&repeated(b"k8s\0", b"\x12\x82\x80\x80\x01"));
}

#[test]
fn many_owners_and_finalizers_are_read_once_each() {
    let owners: Vec<u8> = repeat_n(message(13, &message(4, b"u")), 200_000).flatten().collect();
    let finalizers: Vec<u8> = repeat_n(message(14, b"f"), 200_000).flatten().collect();
    let metadata = message(1, &[owners, finalizers].concat());
    let value = [b"k8s\0", &*message(2, &metadata)].concat();
    let meta = skim(&value);
    assert_eq!(meta.owners().filter(|owner| owner.uid == "u").count(), 200_000);
    assert_eq!(meta.finalizers().filter(|finalizer| *finalizer == "f").count(), 200_000);
}
