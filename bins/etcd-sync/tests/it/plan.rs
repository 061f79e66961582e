//! What `plan` says without a cluster.

use serde_json::Value;

use crate::config::Place;
use crate::{Ran, etcd_sync};

const RULES: &str = "\
- {action: include, resource: persistentvolumes}
- {action: include, namespace: cpaas-system, resource: cluster.io/seeds, urgent: true, reason: the seed}
- {action: local, namespace: cpaas-system, name: 's*'}
";

fn explain(args: &[&str], keys: &[&str]) -> Ran {
    let place = Place::new();
    let file = place.file("rules.yaml", RULES);
    let keys: Vec<&str> = keys.iter().flat_map(|key| ["--explain", key]).collect();
    etcd_sync(&[&["plan", "--rules", &file], args, &keys].concat())
}

#[track_caller]
fn told(ran: &Ran, lines: &[&str]) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for line in lines {
        let found = ran
            .stdout
            .lines()
            .any(|told| told.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(line));
        assert!(found, "`{line}` is not told in:\n{}", ran.stdout);
    }
}

#[test]
fn a_key_is_explained_without_a_cluster() {
    let ran = explain(&[], &["/registry/cluster.io/seeds/cpaas-system/s"]);
    told(
        &ran,
        &[
            "key /registry/cluster.io/seeds/cpaas-system/s",
            "object cluster.io/seeds s, in namespace cpaas-system",
            "verdict in scope",
            "rule rules[1]: include resource=\"cluster.io/seeds\" namespace=\"cpaas-system\" urgent",
            "place 4 of ",
            "reason the seed",
            "hard-local no",
            "standby /registry/cluster.io/seeds/cpaas-system/s",
            "turn first",
            "shadowed rules[2]: local",
            "shadowed preset: local",
        ],
    );
}

#[test]
fn what_stays_local_is_explained_with_the_rule_that_could_not_admit_it() {
    let ran = explain(&[], &["/registry/persistentvolumes/pv-1"]);
    told(
        &ran,
        &[
            "object persistentvolumes pv-1, cluster-scoped",
            "verdict local",
            "rule preset: hard-local",
            "hard-local yes",
            "standby the key is never written there",
            "passed over rules[0]: include",
        ],
    );
    assert!(!ran.stdout.contains("turn"));
    let ran = explain(&[], &["/registry/secrets/team/a/b"]);
    told(&ran, &["object spelt as no Kubernetes object is", "verdict local", "rule built in"]);
}

#[test]
fn several_keys_are_explained_in_the_order_given_and_in_json() {
    let keys = ["/registry/namespaces/team", "/parked", "/registry/secrets/team/s"];
    let args = ["-o", "json", "--prefix", "/registry/", "--dest-prefix", "/parked/"];
    let ran = explain(&args, &keys);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["verdict"], "ok");
    let told = json["keys"].as_array().unwrap();
    assert_eq!(told.iter().map(|key| &key["key"]).collect::<Vec<_>>(), keys);
    assert_eq!(told[0]["standby_key"], "/parked/namespaces/team");
    assert_eq!(told[0]["turn"], "first");
    assert_eq!(told[0]["object"]["namespace"], "team");
    assert_eq!(told[1]["object"], Value::Null);
    assert_eq!(told[1]["standby_key"], Value::Null);
    assert_eq!((&told[1]["in_scope"], &told[1]["rule_place"]), (&false.into(), &1.into()));
    assert_eq!((&told[2]["turn"], &told[2]["hard_local"]), (&"usual".into(), &false.into()));
}

#[test]
fn an_explanation_and_a_count_are_two_questions() {
    for (args, named) in [
        (&["plan", "--explain", "/a", "--by", "rule"] as &[&str], "cannot be used with"),
        (&["plan", "--by", "size"], "possible values: resource, namespace, rule"),
        (&["plan", "--explain", ""], "--explain <KEY>"),
    ] {
        let ran = etcd_sync(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
    etcd_sync(&["plan", "--by", "rule"]).is_refused(2, "--primary-endpoints is missing");
    etcd_sync(&["plan", "--explain", "/a", "--rules", "/nonexistent"]).is_refused(2, "--rules");
}
