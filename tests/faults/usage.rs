//! What can't be used is refused at once, in one line that names it; what a peer refuses is told,
//! and waited for.

use std::path::Path;
use std::time::Duration;

use end_to_end::tls::Certificates;
use end_to_end::{Etcd, Mirror, dump, eventually, http};

use crate::support::{assert_caught_up, assert_refused, etcd_sync, mirror, pair, put};

const PRIMARY: [&str; 2] = ["--primary-endpoints", "http://127.0.0.1:1"];
const STANDBY: [&str; 2] = ["--standby-endpoints", "http://127.0.0.1:2"];

fn run(flags: &[&str]) -> std::process::Output {
    etcd_sync(&[&["run", "--listen", "off"], flags].concat())
}

fn run_with(flags: &[&str]) -> std::process::Output {
    run(&[&PRIMARY, &STANDBY, flags].concat())
}

#[test]
fn a_missing_endpoint_is_named() {
    assert_refused(&run(&STANDBY), 2, &["--primary-endpoints"]);
    assert_refused(&run(&PRIMARY), 2, &["--standby-endpoints"]);
}

#[test]
fn an_address_that_cannot_be_meant_is_refused() {
    let ftp = ["--primary-endpoints", "ftp://127.0.0.1:1"];
    assert_refused(&run(&[ftp, STANDBY].concat()), 2, &["--primary-endpoints", "scheme", "ftp"]);
    let plain = ["--primary-endpoints", "https://127.0.0.1:1"];
    assert_refused(&run(&[plain, STANDBY].concat()), 2, &["--primary-cacert"]);
    let path = ["--standby-endpoints", "http://127.0.0.1:2/v3"];
    assert_refused(&run(&[PRIMARY, path].concat()), 2, &["--standby-endpoints", "path"]);
}

#[test]
fn a_filter_that_admits_nothing_is_refused() {
    let nothing = ["--preset", "none", "--prefix", "/a/", "--exclude-prefix", "/a/"];
    assert_refused(&run_with(&nothing), 2, &["scope", "admits no key"]);
    let both = ["--preset", "none", "--prefix", "/a/", "--dest-prefix", "/b/", "--no-dest-prefix"];
    assert_refused(&run_with(&both), 2, &["--dest-prefix", "--no-dest-prefix", "give one of them"]);
}

#[test]
fn an_unknown_flag_or_verb_is_refused() {
    assert_refused(&run_with(&["--prefixx", "/a/"]), 2, &["--prefixx"]);
    assert_refused(&etcd_sync(&["mirror"]), 2, &["mirror"]);
    assert_refused(&run_with(&["--check-interval", "5"]), 2, &["--check-interval"]);
    assert_refused(&run_with(&["--mirror-name", "a/b"]), 2, &["--mirror-name"]);
}

#[test]
fn an_unknown_config_field_is_refused_with_its_path_and_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("etcd-sync.yaml");
    std::fs::write(&file, "primary:\n  endpoint: [http://127.0.0.1:1]\n").unwrap();
    let output = run(&["--config", file.to_str().unwrap()]);
    assert_refused(&output, 2, &["primary.endpoint", "endpoints"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = "/nonexistent/file";
    assert_refused(&run(&["--config", missing]), 2, &[missing]);
    assert_refused(&run_with(&["--rules", missing]), 2, &[missing]);
    let tls = ["--primary-endpoints", "https://127.0.0.1:1", "--primary-cacert", missing];
    assert_refused(&run(&[&tls, &STANDBY[..]].concat()), 2, &["--primary-cacert", missing]);
    let user = ["--standby-user", "root", "--standby-password-file", missing];
    assert_refused(&run_with(&user), 2, &["--standby-password-file", missing]);
}

#[test]
fn a_file_that_holds_something_else_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "no certificate\n").unwrap();
    let tls = ["--primary-endpoints", "https://127.0.0.1:1", "--primary-cacert", path];
    assert_refused(&run(&[&tls, &STANDBY[..]].concat()), 2, &["--primary-cacert", path]);
    std::fs::write(&file, "").unwrap();
    let user = ["--standby-user", "root", "--standby-password-file", path];
    assert_refused(&run_with(&user), 2, &["--standby-password-file", path]);
    std::fs::write(&file, "primary: [").unwrap();
    assert_refused(&run(&["--config", path]), 2, &[path]);
}

#[test]
fn a_standby_that_is_away_is_not_reached() {
    for verb in [&["status"][..], &["pause"], &["resync", "--accept", "0"]] {
        let output = etcd_sync(&[verb, &STANDBY].concat());
        assert_refused(&output, 3, &["standby", "127.0.0.1:2"]);
    }
    assert_refused(&etcd_sync(&[&["plan"], &PRIMARY[..], &STANDBY].concat()), 3, &["primary"]);
}

/// The mirror stays up, blocked, and says why in words that contain `words`; it writes nothing.
async fn assert_denied(mirror: &mut Mirror, words: &[&str]) {
    let what = format!("blocked as denied, by {words:?}");
    let status = mirror
        .wait_for(&what, |status| {
            let reason = status["blocked"]["reason"].as_str().unwrap_or_default();
            status["blocked"]["guard"] == "denied" && words.iter().all(|word| reason.contains(word))
        })
        .await;
    assert_eq!(status["state"], "blocked");
    assert_eq!(mirror.get("/livez").await.unwrap().status, 200, "a restart mends nothing");
    assert_ne!(mirror.get("/readyz").await.unwrap().status, 200);
    let log = mirror.process().output();
    assert!(log.lines().any(|line| words.iter().all(|word| line.contains(word))), "{log}");
}

fn tls_flags(side: &str, ca: &Path, certificates: &Certificates, name: &str) -> Vec<String> {
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    vec![
        format!("--{side}-cacert"),
        file(ca),
        format!("--{side}-cert"),
        file(&certificates.cert(name)),
        format!("--{side}-key"),
        file(&certificates.key(name)),
    ]
}

#[tokio::test]
async fn certificates_that_one_side_does_not_trust_block() {
    let (primary, standby) =
        tokio::join!(Etcd::builder().tls().start(), Etcd::builder().standby().tls().start());
    let dir = tempfile::tempdir().unwrap();
    let foreign = Certificates::generate(dir.path());
    let start = |primary_flags: &[String], standby_flags: &[String]| {
        let mut builder = mirror(&primary.endpoints(), &standby.endpoints());
        for flag in primary_flags.iter().chain(standby_flags) {
            builder = builder.connection_flag(flag);
        }
        builder.start()
    };
    let flags = |side, etcd: &Etcd| {
        tls_flags(side, &etcd.certificates().ca(), etcd.certificates(), "client")
    };
    let good_primary = flags("primary", &primary);
    let good_standby = flags("standby", &standby);

    let untrusted = tls_flags("primary", &foreign.ca(), primary.certificates(), "client");
    let mut mirror = start(&untrusted, &good_standby);
    assert_denied(&mut mirror, &["primary", "unknown authority"]).await;
    assert_refused(&mirror.verb(&["plan"]), 3, &["primary", "unknown authority"]);

    let refused = tls_flags("standby", &standby.certificates().ca(), &foreign, "client");
    let mut mirror = start(&good_primary, &refused);
    assert_denied(&mut mirror, &["standby", "refused by the member"]).await;
    assert_refused(&mirror.verb(&["status"]), 3, &["standby", "refused by the member"]);
    assert!(dump(&standby.client().await).await.keys.is_empty());

    put(&mut primary.client().await, "/a", "1").await;
    let mut mirror = start(&good_primary, &good_standby);
    assert_caught_up(&mut mirror, &primary, &standby).await;
}

#[tokio::test]
async fn a_wrong_password_blocks_until_it_is_right() {
    let (primary, mut standby) = pair().await;
    standby.enable_auth("right").await;
    put(&mut primary.client().await, "/a", "1").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints())
        .connection_flag("--standby-user")
        .connection_flag("root")
        .connection_flag("--standby-password-file")
        .connection_flag(&file)
        .start();
    assert_denied(&mut mirror, &["standby", "invalid user ID or password"]).await;
    assert_refused(&mirror.verb(&["status"]), 3, &["standby", "invalid user ID or password"]);
    let log = mirror.process().output();
    assert!(!log.contains("wrong"), "a password is in the log: {log}");
    std::fs::write(&file, "right\n").unwrap();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert_eq!(mirror.verb(&["status"]).status.code(), Some(0));
}

#[tokio::test]
async fn peers_that_are_away_from_the_start_are_waited_for() {
    let (mut primary, mut standby) = pair().await;
    put(&mut primary.client().await, "/a", "1").await;
    primary.kill();
    standby.kill();
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    let status = mirror.wait_for("it says who is away", |status| {
        status["state"] == "starting"
            && status["reason"].as_str().unwrap_or_default().contains("can't connect")
    });
    status.await;
    let address = mirror.address().to_owned();
    let ready = eventually("not ready", Duration::from_secs(10), async || {
        http::get(&address, "/readyz?verbose", &[]).await.ok()
    });
    let ready = ready.await;
    assert_ne!(ready.status, 200);
    assert!(ready.body.contains("can't connect"), "{}", ready.body);
    primary.restart().await;
    standby.restart().await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
}
