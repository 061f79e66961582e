//! Where settings come from, and what is wrong with them.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Ran, command, etcd_sync};

/// A place for files.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn validate(yaml: &str) -> Ran {
    let place = Place::new();
    let file = place.file("etcd-sync.yaml", yaml);
    etcd_sync(&["config", "validate", "--config", &file])
}

const BOTH: &str = "\
primary: {endpoints: [http://127.0.0.1:1]}
standby: {endpoints: [http://127.0.0.1:2]}
";

#[test]
fn a_usable_configuration_is_called_ok() {
    let ran = validate(BOTH);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("ok: mirror `default`, scope "), "{}", ran.stdout);
}

#[test]
fn a_validation_in_json_carries_verdict_reason_and_next_steps() {
    let place = Place::new();
    let file = place.file("c.yaml", BOTH);
    let ran = etcd_sync(&["config", "validate", "--config", &file, "-o", "json"]);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["verdict"], "ok");
    assert!(json["reason"].is_string() && json["next_steps"].is_array());
}

#[test]
fn each_mistake_in_the_file_is_named_on_one_line() {
    for (yaml, named) in [
        ("", "--primary-endpoints is missing"),
        ("primary: {endpoints: [http://a]}", "--standby-endpoints is missing"),
        ("mirorname: a", "unknown field `mirorname` (did you mean `mirror_name`?)"),
        ("primary: {endpoint: [a]}", "unknown field `primary.endpoint`"),
        ("listen: nowhere", "listen: `nowhere` is not an address"),
        ("[", "line 1"),
        ("rev: 0", "--rev: etcd counts revisions from 1 on"),
        ("mirror_name: a/b", "--mirror-name"),
    ] {
        validate(yaml).is_refused(2, named);
    }
}

#[test]
fn each_mistake_in_connection_and_scope_is_named_on_one_line() {
    let place = Place::new();
    let garbage = place.file("ca.crt", "this is no certificate");
    let missing = "/nonexistent/file.pem";
    for (args, named) in [
        (
            &["--primary-endpoints", "ftp://a:1"] as &[&str],
            "--primary-endpoints: the scheme `ftp` is unknown",
        ),
        (&["--primary-endpoints", ""], "--primary-endpoints"),
        (&["--primary-endpoints", "https://a"], "--primary-cacert: missing"),
        (
            &["--primary-endpoints", "https://a", "--primary-cacert", missing],
            "--primary-cacert: can't read /nonexistent/file.pem",
        ),
        (&["--primary-endpoints", "https://a", "--primary-cacert", &garbage], "--primary-cacert"),
        (&["--standby-user", "root"], "--standby-password-file: missing"),
        (
            &["--standby-user", "root", "--standby-password-file", missing],
            "--standby-password-file: can't read",
        ),
        (&["--exclude-prefix", "/registry/"], "scope: "),
        (&["--dest-prefix", "/x"], "scope: "),
        (
            &["--prefix", "/registry/", "--dest-prefix", "/x", "--no-dest-prefix"],
            "--no-dest-prefix and --dest-prefix: ",
        ),
        (&["--rules", missing], "--rules: can't read"),
        (&["--rules", &garbage], "--rules: "),
        (&["--encryption-config", missing], "--encryption-config: can't read"),
        (&["--encryption-config", &garbage], "--encryption-config: "),
        (&["--config", missing], "--config: can't read /nonexistent/file.pem"),
        (&["--config", "/"], "--config: can't read /"),
    ] {
        let defaults = [
            "--primary-endpoints",
            "http://127.0.0.1:1",
            "--standby-endpoints",
            "http://127.0.0.1:2",
        ];
        let given = if args[0] == defaults[0] { &defaults[2..] } else { &defaults[..] };
        etcd_sync(&[&["config", "validate"], given, args].concat()).is_refused(2, named);
        etcd_sync(&[&["run"], given, args].concat()).is_refused(2, named);
    }
}

#[test]
fn each_mistake_in_a_file_of_rules_is_named_with_its_line_and_column() {
    let place = Place::new();
    let ends = ["--primary-endpoints", "http://127.0.0.1:1", "--standby-endpoints", "http://b"];
    for (second, named) in [
        ("- {action: include, nmae: x}", "unknown field `rules[1].nmae` (did you mean `name`?)"),
        ("- {action: remove, name: x}", "unknown variant `remove`"),
        ("- {name: x}", "missing field `action`"),
        ("- {action: include, name: x, unsafe: perhaps}", "invalid boolean"),
        (
            "- {action: include, resource: nodes}",
            "rules[1].resource \"nodes\" is called \"minions\"",
        ),
        ("- {action: include}", "rules[1] says nothing about the keys"),
        (
            "- {action: local, name: x, urgent: true}",
            "rules[1] is urgent and leaves its keys local",
        ),
        ("- {action: include", "rules.yaml: "),
    ] {
        let first = "- {action: local, name: s}";
        let file = place.file("rules.yaml", &format!("# of the team\n{first}\n{second}\n"));
        let ran = etcd_sync(&[&["config", "validate", "--rules", &file], &ends[..]].concat());
        ran.is_refused(2, named);
        let told = ran.stderr.contains(&file) && ran.stderr.contains(" column ");
        // What is not closed is missed at the end.
        let line = if second.ends_with('}') { " line 3," } else { " line " };
        assert!(told && ran.stderr.contains(line), "{}", ran.stderr);
    }
}

#[test]
fn a_rule_that_never_decides_is_told() {
    let place = Place::new();
    let rules =
        "- {action: local, resource: secrets}\n- {action: include, resource: secrets, name: x}\n";
    let file = place.file("rules.yaml", rules);
    let ends = ["--primary-endpoints", "http://127.0.0.1:1", "--standby-endpoints", "http://b"];
    let ran = etcd_sync(&[&["config", "validate", "--rules", &file], &ends[..]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("warning: scope: rules[1] never decides: rules[0] matches"));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let place = Place::new();
    let file = place.file("c.yaml", "mirror_name: file\nlisten: ':1'\ncheck_interval: 1m\n");
    let output = command(&["config", "show", "-o", "json", "--listen", ":3"])
        .env("ETCD_SYNC_CONFIG", &file)
        .env("ETCD_SYNC_LISTEN", ":2")
        .env("ETCD_SYNC_MIRROR_NAME", "variable")
        .env("ETCD_SYNC_PRIMARY_ENDPOINTS", "http://a,http://b")
        .env("ETCD_SYNC_DETAIL_LOGS", "true")
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["listen"], "[::]:3");
    assert_eq!(shown["mirror_name"], "variable");
    assert_eq!(shown["check_interval"], "1m");
    assert_eq!(shown["detail_logs"], true);
    assert_eq!(shown["primary"]["endpoints"], serde_json::json!(["http://a", "http://b"]));
    assert_eq!(shown["guard"]["max_deletes"], 500);
}

#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let args = ["--prefix", "/a", "--prefix", "/b", "--rev", "7", "--exclude-namespace", "x,y"];
    let shown = etcd_sync(&[&["config", "show"], &args[..]].concat()).stdout;
    let place = Place::new();
    let file = place.file("c.yaml", &shown);
    assert_eq!(etcd_sync(&["config", "show", "--config", &file]).stdout, shown);
}

#[test]
fn a_password_is_neither_shown_nor_complained_about_by_value() {
    let place = Place::new();
    let password = place.file("password", "canary-5eed\n");
    let file = place.file(
        "c.yaml",
        &format!(
            "standby: {{endpoints: [http://10.0.0.1:1], user: u, password_file: {password}}}\n"
        ),
    );
    for args in [["config", "show"], ["config", "validate"]] {
        let ran = etcd_sync(&[&args[..], &["--config", &file]].concat());
        assert!(!(ran.stdout + &ran.stderr).contains("canary-5eed"));
    }
}

#[test]
fn the_schema_describes_every_group() {
    let schema: Value = serde_json::from_str(&etcd_sync(&["config", "schema"]).stdout).unwrap();
    for group in ["primary", "standby", "scope", "guard", "apply", "log", "listen"] {
        assert!(schema["properties"][group].is_object(), "{group}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
