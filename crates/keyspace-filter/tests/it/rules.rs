//! The user's rules, and the order in which all are asked.

use keyspace_filter::{Action, Preset, ScopeSpec, Source};

use crate::{admitted, bare, compiled, kubernetes, rule, strings, with_rules};

#[test]
fn the_first_rule_that_matches_decides() {
    let scope = with_rules(&[
        r#"{"action":"local","namespace":"cpaas-system","resource":"cluster.x-k8s.io/*","name":"global"}"#,
        r#"{"action":"include","namespace":"cpaas-system","resource":"cluster.x-k8s.io/*"}"#,
        r#"{"action":"include","namespace":"cpaas-system","name":"baremetal-system-agent"}"#,
    ]);
    let keys = [
        "/registry/cluster.x-k8s.io/clusters/cpaas-system/global",
        "/registry/cluster.x-k8s.io/clusters/cpaas-system/team",
        "/registry/cluster.x-k8s.io/machines/cpaas-system/m-0",
        "/registry/roles/cpaas-system/baremetal-system-agent",
        "/registry/roles/cpaas-system/other",
    ];
    assert_eq!(admitted(&scope, &keys), keys[1..4]);
    let source = |key: &str| scope.decide(key.as_bytes()).rule.source();
    assert_eq!(source(keys[0]), Source::User(0));
    assert_eq!(source(keys[1]), Source::User(1));
    assert_eq!(source(keys[4]), Source::Preset);
}

#[test]
fn the_users_rules_stand_before_the_flags() {
    let scope = compiled(ScopeSpec {
        rules: vec![rule(r#"{"action":"include","resource":"secrets","name":"keep"}"#)],
        exclude_namespaces: strings(&["team"]),
        exclude_prefixes: strings(&["/registry/secrets/other/"]),
        ..ScopeSpec::default()
    });
    let keys = [
        "/registry/secrets/team/keep",
        "/registry/secrets/other/keep",
        "/registry/secrets/team/s",
        "/registry/secrets/other/s",
        "/registry/namespaces/team",
    ];
    assert_eq!(admitted(&scope, &keys), keys[..2]);
}

#[test]
fn a_namespace_pattern_never_matches_a_cluster_scoped_object() {
    let scope = with_rules(&[r#"{"action":"local","namespace":"*"}"#]);
    let keys = ["/registry/secrets/team/s", "/registry/namespaces/team", "/registry/g.io/p/team"];
    assert_eq!(admitted(&scope, &keys), keys[2..]);
}

#[test]
fn flags_work_without_a_preset() {
    let scope = bare(ScopeSpec {
        exclude_namespaces: strings(&["team"]),
        exclude_prefixes: strings(&["/calico/"]),
        ..ScopeSpec::default()
    });
    let keys =
        ["/registry/secrets/team/s", "/calico/x", "/registry/pods/kube-system/p", "a", "/calico"];
    assert_eq!(admitted(&scope, &keys), keys[2..]);
}

#[test]
fn prefixes_narrow_the_preset() {
    let scope = compiled(ScopeSpec {
        prefixes: strings(&["/registry/secrets/", "/registry/pods/", "/registry/secrets/team/"]),
        ..ScopeSpec::default()
    });
    let keys = [
        "/registry/secrets/team/s",
        "/registry/secrets/kube-system/s",
        "/registry/pods/team/p",
        "/registry/configmaps/team/c",
    ];
    assert_eq!(admitted(&scope, &keys), keys[..1]);
}

#[test]
fn without_preset_and_prefix_every_key_is_in_scope() {
    let scope = bare(ScopeSpec::default());
    for key in [&b"a"[..], b"\0", b"\xff\xff", b"/registry/pods/kube-system/p", b"compact_rev_key"]
    {
        assert!(scope.admits(key));
    }
    assert!(!scope.admits(b""));
}

#[test]
fn rules_can_be_counted_by_their_place() {
    let scope = with_rules(&[r#"{"action":"local","name":"x","reason":"it's noise\nand more"}"#]);
    let places: Vec<usize> = scope.rules().map(|rule| rule.index()).collect();
    assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
    let decision = scope.decide(b"/registry/secrets/team/x");
    let text = r#"rules[0]: local name="x" (it's noise\nand more)"#;
    assert_eq!(scope.rules().nth(decision.rule.index()).unwrap().to_string(), text);
}

#[test]
fn an_explanation_names_every_rule_that_matches() {
    let scope = with_rules(&[
        r#"{"action":"include","resource":"persistentvolumes","name":"nfs-*"}"#,
        r#"{"action":"local","name":"nfs-2"}"#,
        r#"{"action":"include","prefix":"/registry/secrets/team/"}"#,
        r#"{"action":"local","namespace":"team"}"#,
    ]);
    let sources = |rules: &[&keyspace_filter::Rule]| -> Vec<Source> {
        rules.iter().map(|rule| rule.source()).collect()
    };

    let told = scope.explain(b"/registry/persistentvolumes/nfs-1");
    assert!(told.decision.rule.is_hard());
    assert_eq!(sources(&told.passed_over), [Source::User(0)]);
    assert_eq!(sources(&told.shadowed), []);

    let told = scope.explain(b"/registry/persistentvolumes/nfs-2");
    assert_eq!(told.decision.rule.source(), Source::User(1));
    assert_eq!(sources(&told.passed_over), [Source::User(0)]);
    assert_eq!(sources(&told.shadowed), [Source::Preset]);

    let told = scope.explain(b"/registry/secrets/team/s");
    assert_eq!(told.decision.rule.source(), Source::User(2));
    assert_eq!(sources(&told.shadowed), [Source::User(3)]);

    let told = scope.explain(b"/registry/secrets/team/a/b");
    assert!(told.decision.admitted && told.shape == keyspace_filter::grammar::Shape::Unknown);
    assert_eq!(sources(&told.shadowed), []);
}

#[test]
fn the_hash_is_of_what_decides_and_of_nothing_else() {
    let hash = |spec: ScopeSpec| compiled(spec).hash();
    let base = kubernetes().hash();
    let with = |text: &str| ScopeSpec { rules: vec![rule(text)], ..ScopeSpec::default() };
    let noted = with(r#"{"action":"local","name":"x","reason":"why"}"#);
    assert_eq!(hash(with(r#"{"action":"local","name":"x"}"#)), hash(noted));

    let tame = with(r#"{"action":"include","name":"x"}"#);
    assert_eq!(hash(tame), hash(with(r#"{"action":"include","name":"x","urgent":true}"#)));

    let others = [
        ScopeSpec { preset: Preset::None, ..ScopeSpec::default() },
        ScopeSpec { etcd_prefix: "/other".into(), ..ScopeSpec::default() },
        ScopeSpec { prefixes: strings(&["/registry/secrets/"]), ..ScopeSpec::default() },
        ScopeSpec { exclude_namespaces: strings(&["a"]), ..ScopeSpec::default() },
        ScopeSpec { include_namespaces: strings(&["default"]), ..ScopeSpec::default() },
        ScopeSpec { exclude_prefixes: strings(&["/registry/a"]), ..ScopeSpec::default() },
        with(r#"{"action":"local","name":"x"}"#),
        with(r#"{"action":"include","name":"x"}"#),
        with(r#"{"action":"include","name":"x","unsafe":true}"#),
        ScopeSpec {
            prefixes: strings(&["/registry/"]),
            dest_prefix: Some("/b/".into()),
            ..ScopeSpec::default()
        },
    ];
    let mut seen = vec![base];
    for spec in others {
        let hash = hash(spec);
        assert!(!seen.contains(&hash));
        seen.push(hash);
    }
    let shuffled =
        |names: &[&str]| ScopeSpec { exclude_namespaces: strings(names), ..ScopeSpec::default() };
    assert_eq!(hash(shuffled(&["a", "b"])), hash(shuffled(&["b", "a", "b"])));
    assert_eq!(base.to_string().len(), 32);
    assert_eq!(base.to_string().parse(), Ok(base));
    assert!("+0000000000000000000000000000000".parse::<keyspace_filter::ScopeHash>().is_err());
}

#[test]
fn a_scope_is_read_strictly_and_written_back_alike() {
    let text =
        r#"{"preset":"none","prefixes":["/a/"],"rules":[{"action":"local","prefix":"/a/b"}]}"#;
    let spec: ScopeSpec = serde_json::from_str(text).unwrap();
    assert_eq!((spec.preset, spec.rules[0].action), (Preset::None, Action::Local));
    let written = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ScopeSpec>(&written).unwrap(), spec);
    for wrong in [r#"{"prefix":"/a/"}"#, r#"{"rules":[{"action":"local","nmae":"x"}]}"#] {
        assert!(serde_json::from_str::<ScopeSpec>(wrong).is_err(), "{wrong}");
    }
}
