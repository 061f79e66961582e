//! Help, versions, completions, and wrong command lines.

use std::process::Stdio;

use crate::{command, etcd_sync};

const VERBS: [&[&str]; 14] = [
    &["run"],
    &["status"],
    &["pause"],
    &["resume"],
    &["repair"],
    &["resync"],
    &["preflight"],
    &["plan"],
    &["release"],
    &["config", "validate"],
    &["config", "show"],
    &["config", "schema"],
    &["completion"],
    &["version"],
];

#[test]
fn every_verb_has_help_with_an_example() {
    for verb in VERBS {
        let ran = etcd_sync(&[verb, &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{verb:?}");
        assert_eq!(ran.stderr, "");
        assert!(ran.stdout.contains("Example:\n  "), "{verb:?}: {}", ran.stdout);
        assert!(ran.stdout.contains(&format!("etcd-sync {}", verb.join(" "))), "{verb:?}");
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{verb:?} is {widest:?} wide");
    }
    assert!(etcd_sync(&["--help"]).stdout.contains("Exit codes: 0 done"));
}

#[test]
fn the_help_of_run_names_every_flag_of_the_contract() {
    let help = etcd_sync(&["run", "--help"]).stdout;
    for side in ["primary", "standby"] {
        for flag in ["endpoints", "cacert", "cert", "key", "user", "password-file"] {
            assert!(help.contains(&format!("--{side}-{flag} <")), "--{side}-{flag}");
        }
    }
    for flag in [
        "config",
        "mirror-name",
        "preset",
        "prefix",
        "exclude-prefix",
        "exclude-namespace",
        "include-namespace",
        "rules",
        "dest-prefix",
        "no-dest-prefix",
        "rev",
        "listen",
        "check-interval",
        "detail-logs",
        "log-format",
        "log-level",
        "output",
    ] {
        assert!(help.contains(&format!("--{flag}")), "--{flag}");
    }
}

#[test]
fn wrong_command_lines_exit_with_2_and_explain() {
    for (args, told) in [
        (&["run", "--lissen", "x"] as &[&str], "a similar argument exists: '--listen'"),
        (&["running"], "a similar subcommand exists"),
        (&[], "Usage: etcd-sync"),
        (&["resync", "--execute"], "--accept <DIGEST>"),
        (&["repair", "--execute"], "--accept <DIGEST>"),
        (&["repair", "--kind", "odd"], "possible values: missed, surplus, different"),
        (&["run", "--rev", "soon"], "invalid value 'soon' for '--rev <N>'"),
        (&["run", "--listen", "8080"], "`8080` is not an address (write 127.0.0.1:8080"),
        (&["run", "--check-interval", "5"], "is not a length of time (write 30s, 5m"),
        (&["run", "--preset", "k8s"], "possible values: kubernetes, none"),
        (&["run", "--guard-max-deletes=-1"], "--guard-max-deletes"),
        (&["completion", "cmd"], "possible values: bash"),
        (&["status", "-o", "xml"], "possible values: text, json"),
    ] {
        let ran = etcd_sync(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn the_version_is_told_in_both_formats() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(etcd_sync(&["version"]).stdout, format!("etcd-sync {version}\n"));
    assert_eq!(etcd_sync(&["--version"]).stdout, format!("etcd-sync {version}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&etcd_sync(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["version"], version);
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = etcd_sync(&["completion", shell]);
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.stderr);
        assert!(ran.stdout.contains("primary-endpoints"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = command(&["completion", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn help_never_shows_what_the_environment_holds() {
    let output =
        command(&["run", "--help"]).env("ETCD_SYNC_PRIMARY_USER", "canary-5eed").output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("canary-5eed"));
}
