//! What is refused before a cluster is asked, on one line that names the flag.

use tempfile::TempDir;

use crate::{command, etcd_check};

/// Nothing listens on these ports: they are reserved.
const PRIMARY: [&str; 2] = ["--primary-endpoints", "http://127.0.0.1:1"];
const STANDBY: [&str; 2] = ["--standby-endpoints", "http://127.0.0.1:2"];

/// A place for files.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

#[test]
fn a_check_needs_both_sides() {
    etcd_check(&[]).is_refused(2, "--primary-endpoints is missing");
    etcd_check(&PRIMARY).is_refused(2, "--standby-endpoints is missing");
    etcd_check(&STANDBY).is_refused(2, "--primary-endpoints is missing");
}

#[test]
fn a_digest_needs_its_own_side_only() {
    let place = Place::new();
    let out = place.path("digest");
    for (side, own, other) in [("primary", PRIMARY, STANDBY), ("standby", STANDBY, PRIMARY)] {
        let digest = ["digest", "--side", side, "--out", &out];
        let named = format!("--{side}-endpoints is missing");
        etcd_check(&[&digest[..], &other].concat()).is_refused(2, &named);
        let ran = etcd_check(&[&digest[..], &own].concat());
        assert_ne!(ran.code, Some(2), "{side}: {}", ran.stderr);
    }
}

#[test]
fn each_mistake_in_connection_and_scope_is_named_on_one_line() {
    let place = Place::new();
    let garbage = place.file("ca.crt", "this is no certificate");
    for (args, named) in [
        (&["--primary-user", "root"] as &[&str], "--primary-password-file: missing"),
        (&["--standby-cacert", &garbage], "--standby-cacert"),
        (&["--mirror-name", "a/b"], "--mirror-name"),
        (&["--exclude-prefix", "/registry/"], "scope: "),
        (&["--dest-prefix", "/x"], "scope: "),
        (&["--rules", "/nonexistent/rules.yaml"], "--rules: can't read"),
        (&["--config", "/nonexistent/file.yaml"], "--config: can't read /nonexistent/file.yaml"),
    ] {
        etcd_check(&[&PRIMARY, &STANDBY, args].concat()).is_refused(2, named);
        let digest = ["digest", "--side", "primary", "--out", &place.path("digest")];
        if !args.iter().any(|arg| arg.starts_with("--standby")) {
            etcd_check(&[&digest, &PRIMARY[..], args].concat()).is_refused(2, named);
        }
    }
}

#[test]
fn flags_that_exclude_each_other_are_told_with_the_mend() {
    let place = Place::new();
    let plan = place.path("plan.json");
    for (args, named) in [
        (&["--at-revision", "7", "--min-age", "5s"] as &[&str], "--min-age: "),
        (&["--repair-plan", &plan, "--keys-only"], "leave out --keys-only"),
    ] {
        etcd_check(&[&PRIMARY, &STANDBY, args].concat()).is_refused(2, named);
    }
}

#[test]
fn a_file_that_could_not_be_written_is_told_before_anything_is_read() {
    let place = Place::new();
    let directory = place.path("");
    let nowhere = place.path("nowhere/file");
    for (file, why) in [(&*directory, "it is a directory"), (&*nowhere, "make it first")] {
        let check = ["--repair-plan", file];
        etcd_check(&[&PRIMARY, &STANDBY, &check[..]].concat()).is_refused(2, why);
        let digest = ["digest", "--side", "primary", "--out", file];
        etcd_check(&[&digest, &PRIMARY[..]].concat()).is_refused(2, why);
        let left = place.file("left", "");
        etcd_check(&["compare", &left, &left, "--ranges-out", file]).is_refused(2, why);
    }
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let place = Place::new();
    let left = place.file("left", "");
    let missing = place.path("missing");
    etcd_check(&["compare", &missing, &left]).is_refused(2, "LEFT: can't read");
    etcd_check(&["compare", &left, &missing]).is_refused(2, "RIGHT: can't read");
    etcd_check(&["compare", &left, &place.path("")]).is_refused(2, "it is a directory");
    let out = place.path("out");
    let digest = ["digest", "--side", "primary", "--out", &out, "--ranges", &missing];
    etcd_check(&[&digest, &PRIMARY[..]].concat()).is_refused(2, "--ranges: can't read");
}

#[test]
fn variables_and_the_file_of_etcd_sync_serve_a_check_as_well() {
    let place = Place::new();
    let file = place.file(
        "etcd-sync.yaml",
        "primary: {endpoints: [http://127.0.0.1:1]}\nlisten: 'off'\nguard: {max_deletes: 1}\n",
    );
    let output = command(&[])
        .env("ETCD_SYNC_CONFIG", &file)
        .env("ETCD_SYNC_STANDBY_ENDPOINTS", "ftp://127.0.0.1:2")
        .output()
        .unwrap();
    crate::Ran::from(output).is_refused(2, "--standby-endpoints: the scheme `ftp` is unknown");
}

#[test]
fn nothing_that_was_not_compared_looks_like_success() {
    let place = Place::new();
    let left = place.file("left", "");
    let out = place.path("out");
    for args in [
        &[&PRIMARY[..], &STANDBY].concat()[..],
        &[&["digest", "--side", "primary", "--out", &out], &PRIMARY[..]].concat(),
        &[&["digest", "--side", "standby", "--out", &out], &STANDBY[..]].concat(),
    ] {
        etcd_check(args).is_refused(3, "");
    }
    // Empty files are no digests: whatever is said of them, it is not that they are equal.
    let ran = etcd_check(&["compare", &left, &left]);
    assert!(matches!(ran.code, Some(2 | 3)), "{:?}: {}", ran.code, ran.stdout);
}
