//! What keys are called on the standby.

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::{Scope, ScopeSpec};

use crate::{bare, compiled, strings};

fn moved(prefix: &str, dest: &str) -> Scope {
    let prefixes = strings(&[prefix]);
    bare(ScopeSpec { prefixes, dest_prefix: Some(dest.into()), ..ScopeSpec::default() })
}

#[test]
fn without_rewriting_a_key_is_not_copied() {
    let key = Key::from("/registry/secrets/team/s");
    let placed = crate::kubernetes().place(&key).unwrap();
    assert_eq!(placed.as_bytes().as_ptr(), key.as_bytes().as_ptr());
}

#[test]
fn one_prefix_replaces_another() {
    let scope = moved("/a/", "/b/");
    let key = Key::from("/a/x");
    let placed = scope.place(&key).unwrap();
    assert_eq!(placed, Key::from("/b/x"));
    assert_eq!(scope.primary_key(&placed), Some(key));
    assert!(scope.admits_standby(b"/b/x") && !scope.admits_standby(b"/a/x"));
    assert_eq!(scope.place(&Key::from("/c/x")), None);
    assert_eq!(scope.standby_ranges(), [KeyRange::prefix(b"/b/")]);
}

#[test]
fn stripping_admits_no_key_that_would_become_empty() {
    let spec =
        ScopeSpec { prefixes: strings(&["/a/"]), no_dest_prefix: true, ..Default::default() };
    for scope in [bare(spec), moved("/a/", "")] {
        assert_eq!(scope.place(&Key::from("/a/x")), Some(Key::from("x")));
        assert_eq!(scope.primary_key(&Key::from("x")), Some(Key::from("/a/x")));
        assert!(!scope.admits(b"/a/") && !scope.admits_standby(b""));
        assert!(!scope.admits_standby(b"/etcd-sync/x"));
        let hull = scope.standby_hull();
        assert!(hull.contains(b"\0") && hull.contains(b"\xff\xff"));
    }
}

#[test]
fn an_empty_prefix_can_be_put_under_another() {
    let scope = moved("", "/copy/");
    assert_eq!(scope.place(&Key::from("x")), Some(Key::from("/copy/x")));
    assert!(!scope.admits_standby(b"/copy/") && !scope.admits_standby(b"/copy//etcd-sync/x"));
    assert!(scope.standby_ranges().iter().all(|range| !range.contains(b"/copy//etcd-sync/x")));
}

#[test]
fn no_key_lands_among_this_softwares_own() {
    let scope = moved("/a", "");
    assert!(!scope.admits(b"/a/etcd-sync/default/epoch"));
    assert!(scope.admits(b"/a/other"));
    let scope = moved("/a/", "/etcd-");
    assert!(!scope.admits(b"/a/sync/x") && scope.admits(b"/a/synx"));
    assert!(scope.standby_ranges().iter().all(|range| !range.contains(b"/etcd-sync/x")));
}

#[test]
fn a_prefix_of_the_highest_bytes_can_be_replaced() {
    let scope = moved("/a", "\u{10ffff}");
    let range = &scope.standby_ranges()[0];
    let placed = scope.place(&Key::from("/a\u{10ffff}")).unwrap();
    assert!(range.contains(placed.as_bytes()));
}

#[test]
fn the_preset_judges_a_key_by_its_name_on_the_primary() {
    let scope = compiled(ScopeSpec {
        prefixes: strings(&["/registry/"]),
        dest_prefix: Some("/parked/".into()),
        ..ScopeSpec::default()
    });
    assert!(scope.admits_standby(b"/parked/secrets/team/s"));
    assert!(!scope.admits_standby(b"/parked/secrets/kube-system/s"));
    assert!(!scope.admits_standby(b"/registry/secrets/team/s"));
}
