//! What can't be used is refused in one line that says how to mend it.

use keyspace_filter::{Preset, Scope, ScopeError, ScopeSpec};

use crate::{rule, strings};

#[track_caller]
fn refused(spec: ScopeSpec, words: &[&str]) {
    let text = Scope::compile(spec).expect_err("a refusal").to_string();
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn both_rewrites_at_once_are_refused() {
    let prefixes = strings(&["/a"]);
    let dest_prefix = Some("/b".to_owned());
    let spec = ScopeSpec { prefixes, dest_prefix, no_dest_prefix: true, ..ScopeSpec::default() };
    assert_eq!(Scope::compile(spec).unwrap_err(), ScopeError::BothRewrites);
}

#[test]
fn rewriting_needs_exactly_one_prefix() {
    for prefixes in [strings(&[]), strings(&["/a/", "/b/"])] {
        let spec = ScopeSpec { preset: Preset::None, prefixes, ..ScopeSpec::default() };
        let dest_prefix = Some("/c/".to_owned());
        refused(ScopeSpec { dest_prefix, ..spec.clone() }, &["dest_prefix", "exactly one prefix"]);
        refused(ScopeSpec { no_dest_prefix: true, ..spec }, &["no_dest_prefix"]);
    }
}

#[test]
fn a_destination_among_own_keys_is_refused() {
    let spec = |dest: &str| ScopeSpec {
        prefixes: strings(&["/registry/"]),
        dest_prefix: Some(dest.to_owned()),
        ..ScopeSpec::default()
    };
    refused(spec("/etcd-sync/parked/"), &["dest_prefix", "/etcd-sync/"]);
    refused(spec("/etcd-sync/"), &["dest_prefix"]);
}

#[test]
fn a_scope_that_admits_nothing_is_refused() {
    let spec = ScopeSpec::default;
    let nothing = ["admits no key"];
    refused(ScopeSpec { prefixes: strings(&["/registry/events/"]), ..spec() }, &nothing);
    refused(ScopeSpec { prefixes: strings(&["/registry/ranges/"]), ..spec() }, &nothing);
    refused(ScopeSpec { exclude_prefixes: strings(&["/reg"]), ..spec() }, &nothing);
    refused(
        ScopeSpec { rules: vec![rule(r#"{"action":"local","prefix":""}"#)], ..spec() },
        &nothing,
    );
    refused(
        ScopeSpec { rules: vec![rule(r#"{"action":"local","name":"*"}"#)], ..spec() },
        &nothing,
    );
    let prefixes = strings(&["/etcd-sync/default/"]);
    refused(ScopeSpec { preset: Preset::None, prefixes, ..spec() }, &nothing);
    let local = r#"{"action":"local","prefix":""}"#;
    let keep = r#"{"action":"include","resource":"secrets"}"#;
    let scope =
        Scope::compile(ScopeSpec { rules: vec![rule(keep), rule(local)], ..spec() }).unwrap();
    assert!(scope.admits(b"/registry/secrets/a/b") && !scope.admits(b"/registry/roles/a/b"));
}

#[test]
fn a_prefix_outside_the_preset_is_refused() {
    let prefixes = strings(&["/registry/secrets/", "/calico/"]);
    refused(ScopeSpec { prefixes, ..ScopeSpec::default() }, &["prefixes[1]", "/calico/", "none"]);
}

#[test]
fn an_empty_exclusion_is_refused() {
    let exclude_prefixes = strings(&["/a", ""]);
    refused(ScopeSpec { exclude_prefixes, ..ScopeSpec::default() }, &["exclude_prefixes[1]"]);
}

#[test]
fn what_is_no_namespace_name_is_refused() {
    for name in ["", "team-*", "a/b", "a,b"] {
        let names = strings(&[name]);
        let spec = ScopeSpec { exclude_namespaces: names.clone(), ..ScopeSpec::default() };
        refused(spec, &["exclude_namespaces[0]", "rule"]);
        let spec = ScopeSpec { include_namespaces: names, ..ScopeSpec::default() };
        refused(spec, &["include_namespaces[0]"]);
    }
    let names = strings(&["team"]);
    let spec = ScopeSpec {
        exclude_namespaces: names.clone(),
        include_namespaces: names,
        ..ScopeSpec::default()
    };
    refused(spec, &["team", "both"]);
}

#[test]
fn a_rule_that_can_not_be_read_is_refused() {
    let cases = [
        (r#"{"action":"local"}"#, "prefix, resource, namespace or name"),
        (r#"{"action":"local","name":"a","urgent":true}"#, "is urgent"),
        (r#"{"action":"local","name":""}"#, ".name"),
        (r#"{"action":"local","name":"a**"}"#, "one `*`"),
        (r#"{"action":"local","name":"a?"}"#, "only `*` is special"),
        (r#"{"action":"local","namespace":"a/b"}"#, ".namespace"),
        (r#"{"action":"local","resource":"services"}"#, "services/specs"),
        (r#"{"action":"local","resource":"nodes"}"#, "minions"),
        (r#"{"action":"local","resource":"machines.cluster.x-k8s.io"}"#, "group/plural"),
        (r#"{"action":"local","resource":"apps/deployments"}"#, "without a dot"),
        (r#"{"action":"local","resource":"g.io/plural/ns"}"#, "prefix"),
    ];
    for (text, words) in cases {
        let rules = vec![rule(text)];
        let spec = ScopeSpec { rules, ..ScopeSpec::default() };
        assert_eq!(Scope::compile(spec.clone()).unwrap_err().rule(), Some(0), "{text}");
        refused(spec, &["rules[0]", words]);
    }
    for fine in ["services/*", "*/machines", "*.x-k8s.io/*", "*", "services/specs"] {
        let rules = vec![rule(&format!(r#"{{"action":"local","resource":"{fine}","name":"a"}}"#))];
        assert!(Scope::compile(ScopeSpec { rules, ..ScopeSpec::default() }).is_ok(), "{fine}");
    }
}
