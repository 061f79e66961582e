//! What is read.

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::{Scope, ScopeSpec};

use crate::{bare, compiled, kubernetes, strings, with_rules};

fn reads(scope: &Scope, key: &str) -> bool {
    scope.primary_ranges().iter().any(|range| range.contains(key.as_bytes()))
}

#[test]
fn bulky_local_resources_are_not_read() {
    let scope = kubernetes();
    for resource in ["events", "pods", "leases", "endpointslices", "services/endpoints", "minions"]
    {
        assert!(!reads(&scope, &format!("/registry/{resource}/team/x")), "{resource}");
    }
    assert!(scope.primary_ranges().len() <= 9, "every range costs a request");
    assert!(reads(&scope, "/registry/podtemplates/team/x"));
    assert_eq!(scope.primary_hull(), KeyRange::prefix(b"/registry/"));
}

#[test]
fn what_a_rule_may_admit_is_read() {
    let scope = with_rules(&[r#"{"action":"include","resource":"pods","namespace":"team"}"#]);
    assert!(reads(&scope, "/registry/pods/team/x") && !reads(&scope, "/registry/events/team/x"));
    let scope = with_rules(&[
        r#"{"action":"local","resource":"events"}"#,
        r#"{"action":"include","prefix":"/registry/events/"}"#,
    ]);
    assert!(scope.admits(b"/registry/events/of/unknown/shape"));
    assert!(reads(&scope, "/registry/events/of/unknown/shape"));
}

#[test]
fn excluded_prefixes_and_own_keys_are_not_read() {
    let exclude_prefixes = strings(&["/b/", "/etcd", "/b/c/"]);
    let scope = bare(ScopeSpec { exclude_prefixes, ..ScopeSpec::default() });
    let key = |text: &str| Key::from(text);
    assert_eq!(
        scope.primary_ranges(),
        [
            KeyRange::new(Key::from("\0"), key("/b/")),
            KeyRange::new(key("/b0"), key("/etcd")),
            KeyRange::from_key(key("/etce")),
        ]
    );
    let scope = bare(ScopeSpec::default());
    assert_eq!(
        scope.primary_ranges(),
        [
            KeyRange::new(Key::from("\0"), key("/etcd-sync/")),
            KeyRange::from_key(key("/etcd-sync0")),
        ]
    );
    assert_eq!(scope.primary_hull(), KeyRange::all());
}

#[test]
fn prefixes_within_prefixes_are_read_once() {
    let prefixes = strings(&["/c/", "/a/b/", "/a/", "/a/b/"]);
    let scope = bare(ScopeSpec { prefixes, ..ScopeSpec::default() });
    assert_eq!(scope.primary_ranges(), [KeyRange::prefix(b"/a/"), KeyRange::prefix(b"/c/")]);
}

#[test]
fn a_prefix_wider_than_the_preset_is_narrowed_to_it() {
    let prefixes = strings(&["/reg"]);
    let scope = compiled(ScopeSpec { prefixes, ..ScopeSpec::default() });
    assert_eq!(scope.primary_ranges(), kubernetes().primary_ranges());
}
