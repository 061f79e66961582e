//! Help, versions, completions, and wrong command lines.

use crate::{command, etcd_check};

const VERBS: [&[&str]; 5] = [&[], &["digest"], &["compare"], &["completion"], &["version"]];

#[test]
fn every_verb_has_help_with_an_example() {
    for verb in VERBS {
        let ran = etcd_check(&[verb, &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{verb:?}");
        assert_eq!(ran.stderr, "");
        assert!(ran.stdout.contains("Example:\n  "), "{verb:?}: {}", ran.stdout);
        let called = [&["etcd-check"], verb].concat().join(" ");
        assert!(ran.stdout.contains(&called), "{verb:?}");
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{verb:?} is {widest:?} wide");
    }
}

#[test]
fn the_help_names_every_exit_code() {
    let help = etcd_check(&["--help"]).stdout;
    let codes = help.split("Exit codes: ").nth(1).unwrap().replace('\n', " ");
    for code in
        ["0 identical", "1 differences", "2 usage", "3 could not", "4 refused", "130 interrupted"]
    {
        assert!(codes.contains(code), "{code}: {codes}");
    }
}

#[test]
fn the_help_names_every_flag_of_the_contract() {
    let help = etcd_check(&["--help"]).stdout;
    let digest = etcd_check(&["digest", "--help"]).stdout;
    for side in ["primary", "standby"] {
        for flag in ["endpoints", "cacert", "cert", "key", "user", "password-file"] {
            for help in [&help, &digest] {
                assert!(help.contains(&format!("--{side}-{flag} <")), "--{side}-{flag}");
            }
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
        "output",
        "log-format",
        "log-level",
    ] {
        for help in [&help, &digest] {
            assert!(help.contains(&format!("--{flag} <")) || help.contains(&format!("--{flag}[")));
        }
    }
    for flag in [
        "at-revision",
        "namespace",
        "limit",
        "min-age",
        "keys-only",
        "repair-plan",
        "rate",
        "parallel",
        "no-mirror",
    ] {
        assert!(help.contains(&format!("--{flag} <")) || help.contains(&format!("--{flag}[")));
    }
    for flag in ["side", "out", "ranges", "at-revision"] {
        assert!(digest.contains(&format!("--{flag} <")), "--{flag}");
    }
}

#[test]
fn wrong_command_lines_exit_with_2_and_explain() {
    for (args, told) in [
        (&["--limits", "3"] as &[&str], "a similar argument exists: '--limit'"),
        (&["digset"], "a similar subcommand exists: 'digest'"),
        (&["-o", "xml"], "possible values: text, json, ndjson"),
        (&["--at-revision", "0"], "'0' for '--at-revision <N>'"),
        (&["--at-revision", "-3"], "'-3' for '--at-revision <N>'"),
        (&["--at-revision", "soon"], "'soon' for '--at-revision <N>'"),
        (&["--namespace", "Kube_System"], "`Kube_System` is no name of a namespace"),
        (&["--namespace", ""], "'--namespace <NS>'"),
        (&["--limit=-1"], "'-1' for '--limit <N>'"),
        (&["--min-age", "5"], "is not a length of time (write 30s, 5m"),
        (&["--keys-only=perhaps"], "possible values: true, false"),
        (&["--rate", "50M"], "`50M` is not a rate in bytes per second (write 50MiB"),
        (&["--rate", "0"], "`0` is not a rate"),
        (&["--parallel", "0"], "0 is not in 1..=32"),
        (&["--parallel", "33"], "33 is not in 1..=32"),
        (&["--parallel", "-1"], "-1 is not in 1..=32"),
        (&["digest"], "--side <SIDE>"),
        (&["digest", "--side", "left", "--out", "x"], "possible values: primary, standby"),
        (&["digest", "--side", "primary"], "--out <FILE>"),
        (&["compare", "one"], "<RIGHT>"),
        (&["completion", "cmd"], "possible values: bash"),
        (&["--prefix", "/a", "digest", "--side", "primary", "--out", "x"], "--prefix: belongs to"),
        (&["--limit", "3", "compare", "a", "b"], "--limit: belongs to"),
    ] {
        let ran = etcd_check(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn the_version_is_told_in_every_format() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(etcd_check(&["version"]).stdout, format!("etcd-check {version}\n"));
    assert_eq!(etcd_check(&["--version"]).stdout, format!("etcd-check {version}\n"));
    for format in ["json", "ndjson"] {
        let told = etcd_check(&["version", "-o", format]).stdout;
        let json: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(json["version"], version);
        assert_eq!(told.lines().count() == 1, format == "ndjson", "{told}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = etcd_check(&["completion", shell]);
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.stderr);
        assert!(ran.stdout.contains("repair-plan"), "{shell}");
    }
}

#[test]
fn help_never_shows_what_the_environment_holds() {
    for verb in VERBS {
        let args = [verb, &["--help"]].concat();
        let output = command(&args).env("ETCD_SYNC_PRIMARY_USER", "canary-5eed").output().unwrap();
        assert!(!String::from_utf8(output.stdout).unwrap().contains("canary-5eed"), "{verb:?}");
    }
}
