//! Two sides that are compared through files.

use std::path::Path;
use std::process::{Command, Output};

use end_to_end::{Dice, binaries, seed};
use serde_json::Value;

use crate::exact::{diverge, planted_text};
use crate::support::{caught_up, fill, mirror, named, pair, report, wait_until_checked};

/// Runs `etcd-check` with these arguments.
fn run(args: &[&str]) -> Output {
    Command::new(binaries::etcd_check()).args(args).env("NO_COLOR", "1").output().unwrap()
}

/// Takes a digest, which must succeed; returns what was said of it.
fn digest(side: &str, endpoint: &str, out: &Path, more: &[&str]) -> Value {
    let endpoints = format!("--{side}-endpoints");
    let fixed = ["digest", "--side", side, &endpoints, endpoint, "--preset", "none", "-o", "json"];
    let args = [&fixed[..], &["--out", out.to_str().unwrap()], more].concat();
    let output = run(&args);
    let (told, exit) = report(&output);
    assert_eq!(exit, 0, "{output:?}");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_divergences_are_found_through_digests_too() {
    let mut dice = seed::dice("two_hundred_divergences_are_found_through_digests_too");
    let (primary, standby) = pair().await;
    let client = primary.client().await;
    let value = |n: u32| Dice::new(u64::from(n)).bytes(50 + n as usize % 400);
    fill(&client, "/registry/secrets/ns/", 50_000, value).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    caught_up(&mut mirror, &primary).await;
    let planted = diverge(&mut standby.client().await, &mut dice, 50_000, 200).await;

    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let (there, here) = (primary.endpoints().remove(0), standby.endpoints().remove(0));
    let told = digest("standby", &here, &file("standby"), &[]);
    let revision = told["primary_revision"].to_string();
    digest("primary", &there, &file("primary"), &["--at-revision", &revision]);
    for name in ["standby", "primary"] {
        let size = std::fs::metadata(file(name)).unwrap().len();
        assert!(size < 2 << 20, "the digest of {name} takes {size} bytes");
    }
    let paths = |names: [&str; 2]| names.map(|name| file(name).to_str().unwrap().to_owned());
    let [left, right] = paths(["primary", "standby"]);
    let ranges = file("ranges").to_str().unwrap().to_owned();
    let output = run(&["compare", &left, &right, "--ranges-out", &ranges, "-o", "json"]);
    let (found, exit) = report(&output);
    assert_eq!((exit, &found["verdict"]), (1, &"drift".into()), "{found}");
    let differing = found["ranges"].as_array().unwrap().len();
    assert!((1..=200).contains(&differing), "{differing} ranges");

    digest("standby", &here, &file("standby.keys"), &["--ranges", &ranges]);
    digest("primary", &there, &file("primary.keys"), &["--ranges", &ranges]);
    let [left, right] = paths(["standby.keys", "primary.keys"]);
    let (found, exit) = report(&run(&["compare", &left, &right, "-o", "json"]));
    assert_eq!((named(&found), exit), (planted_text(&planted), 1));
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn digests_that_do_not_belong_together_decide_nothing() {
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    fill(&client, "/k/", 100, |_| b"1".to_vec()).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    caught_up(&mut mirror, &primary).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let text = |name: &str| file(name).to_str().unwrap().to_owned();
    let (there, here) = (primary.endpoints().remove(0), standby.endpoints().remove(0));
    let told = digest("standby", &here, &file("standby"), &[]);
    client.put("/k/later", "1", None).await.unwrap();
    digest("primary", &there, &file("newer"), &[]);
    let revision = told["primary_revision"].to_string();
    digest("primary", &there, &file("primary"), &["--at-revision", &revision]);

    let equal = run(&["compare", &text("primary"), &text("standby")]);
    assert_eq!(equal.status.code(), Some(0), "{equal:?}");
    assert!(String::from_utf8(equal.stdout).unwrap().starts_with("in-sync"));
    let newer = run(&["compare", &text("newer"), &text("standby")]);
    assert_eq!(newer.status.code(), Some(3), "{newer:?}");
    let told = String::from_utf8(newer.stderr).unwrap();
    assert!(told.contains(&format!("--at-revision {revision}")), "{told}");
    assert_eq!(run(&["compare", &text("primary"), &text("newer")]).status.code(), Some(3));

    let whole = std::fs::read(file("standby")).unwrap();
    std::fs::write(file("cut"), &whole[..whole.len() / 2]).unwrap();
    let cut = run(&["compare", &text("primary"), &text("cut")]);
    assert_eq!(cut.status.code(), Some(2), "{cut:?}");
    assert!(String::from_utf8(cut.stderr).unwrap().contains("cut"));
}
