//! What is valid and probably not meant.

use keyspace_filter::{Scope, ScopeSpec, Source, WarningKind};

use crate::{bare, compiled, kubernetes, rule, strings, with_rules};

fn found(scope: &Scope) -> Vec<(Source, WarningKind)> {
    for warning in scope.warnings() {
        assert!(!warning.to_string().contains('\n'));
    }
    scope.warnings().iter().map(|warning| (warning.source(), warning.kind().clone())).collect()
}

#[track_caller]
fn one(rules: &[&str], kind: &WarningKind) {
    let source = Source::User(rules.len() - 1);
    assert_eq!(found(&with_rules(rules)), [(source, kind.clone())]);
}

#[test]
fn the_defaults_are_beyond_reproach() {
    assert_eq!(found(&kubernetes()), []);
    assert_eq!(found(&bare(ScopeSpec::default())), []);
}

#[test]
fn a_rule_behind_a_wider_one_is_named() {
    let by = WarningKind::Shadowed { by: Source::User(0) };
    let wide = r#"{"action":"local","resource":"secrets"}"#;
    one(&[wide, r#"{"action":"include","resource":"secrets","namespace":"team"}"#], &by);
    one(&[wide, r#"{"action":"local","resource":"secrets","name":"a*"}"#], &by);
    let prefix = r#"{"action":"local","prefix":"/registry/secrets/"}"#;
    one(&[prefix, r#"{"action":"include","prefix":"/registry/secrets/team/"}"#], &by);
    let scope = with_rules(&[wide, r#"{"action":"include","resource":"configmaps"}"#]);
    assert_eq!(found(&scope), []);
}

#[test]
fn a_rule_that_says_the_opposite_is_named() {
    let kind = WarningKind::Contradicts { other: Source::User(0) };
    one(
        &[
            r#"{"action":"local","resource":"secrets","name":"a"}"#,
            r#"{"action":"include","resource":"secrets","name":"a"}"#,
        ],
        &kind,
    );
}

#[test]
fn a_rule_outside_the_prefixes_is_named() {
    one(&[r#"{"action":"local","prefix":"/calico/"}"#], &WarningKind::NeverMatches);
    one(&[r#"{"action":"include","prefix":"/etcd-sync/x"}"#], &WarningKind::NeverMatches);
    let torn = r#"{"action":"include","prefix":"/registry/roles/","resource":"secrets"}"#;
    one(&[torn], &WarningKind::NeverMatches);
    let scope = compiled(ScopeSpec {
        prefixes: strings(&["/registry/secrets/"]),
        rules: vec![rule(r#"{"action":"include","resource":"roles","namespace":"default"}"#)],
        exclude_prefixes: strings(&["/registry/roles/"]),
        ..ScopeSpec::default()
    });
    let wanted = [Source::User(0), Source::ExcludePrefix(0)];
    assert_eq!(found(&scope), wanted.map(|source| (source, WarningKind::NeverMatches)));
}

#[test]
fn a_rule_for_hard_local_keys_without_unsafe_is_named() {
    one(&[r#"{"action":"include","resource":"persistentvolumes"}"#], &WarningKind::HardLocal);
    let kind = WarningKind::HardLocal;
    one(&[r#"{"action":"include","prefix":"/registry/persistentvolumes/"}"#], &kind);
    let bold = r#"{"action":"include","resource":"persistentvolumes","unsafe":true}"#;
    one(&[bold], &WarningKind::Unsafe);
}

#[test]
fn an_unsafe_rule_behind_a_tame_one_is_not_shadowed() {
    let scope = with_rules(&[
        r#"{"action":"include","resource":"*","name":"nfs-1"}"#,
        r#"{"action":"include","resource":"persistentvolumes","name":"nfs-1","unsafe":true}"#,
    ]);
    assert!(scope.admits(b"/registry/persistentvolumes/nfs-1"));
    let kinds: Vec<WarningKind> = found(&scope).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [WarningKind::NamesNoResource, WarningKind::Unsafe]);
}

#[test]
fn a_namespace_that_is_included_anyway_is_named() {
    let include_namespaces = strings(&["default", "team"]);
    let scope = compiled(ScopeSpec { include_namespaces, ..ScopeSpec::default() });
    let kind = WarningKind::IncludedAnyway { namespace: "team".into() };
    assert_eq!(found(&scope), [(Source::Preset, kind)]);
}

#[test]
fn a_rule_for_a_whole_namespace_is_warned_of_what_comes_with_it() {
    let text = r#"{"action":"include","namespace":"cpaas-system"}"#;
    one(&[text], &WarningKind::NamesNoResource);
}
