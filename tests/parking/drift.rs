//! Somebody reaches into the parking place: it is found, named and mended as anywhere else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use end_to_end::{binaries, eventually};

use crate::support::{GROUP, PARKED, PATIENCE, Pair, named, platform, put_all, report, under};

/// Runs `etcd-check` with these arguments.
fn run(args: &[&str]) -> Output {
    Command::new(binaries::etcd_check()).args(args).env("NO_COLOR", "1").output().unwrap()
}

#[tokio::test]
async fn a_parked_key_that_was_tampered_with_is_named_and_repaired() {
    let mut pair = Pair::start().await;
    put_all(&pair.there, &platform(100)).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    let changed = format!("{PARKED}{GROUP}amachines/team/m042-1");
    let made = format!("{PARKED}{GROUP}amachines/team/nobody-s");
    pair.here.put(changed.as_str(), "tampered", None).await.unwrap();
    pair.here.put(made.as_str(), "made by somebody", None).await.unwrap();
    // Where it will be released to, nobody looks.
    pair.here.put(format!("{GROUP}amachines/team/m042-2"), "own", None).await.unwrap();

    let expected = BTreeMap::from([
        (changed.clone(), "different".to_owned()),
        (made.clone(), "surplus".to_owned()),
    ]);
    let (found, exit) = report(&mirror.audit(&["-o", "json"]));
    assert_eq!((exit, named(&found, "differences")), (1, expected.clone()), "{found}");
    let classes: Vec<_> = found["differences"].as_array().unwrap().iter().collect();
    assert!(classes.iter().all(|one| one["class"] == "foreign-write"), "{found}");
    digests_name(&pair, &expected);

    let (plan, exit) = report(&mirror.verb(&["repair", "-o", "json"]));
    assert_eq!((exit, plan["foreign_left"].as_u64()), (1, Some(1)), "{plan}");
    assert_eq!(named(&plan, "keys").into_keys().collect::<Vec<_>>(), [changed.as_str()]);
    let digest = plan["digest"].as_str().unwrap();
    let order = ["repair", "-o", "json", "--execute", "--wait", "60s", "--accept", digest];
    let (done, exit) = report(&mirror.verb(&order));
    assert_eq!((exit, &done["outcome"]), (0, &"done".into()), "{done}");
    let (held, mut parked) = pair.held_and_parked().await;
    assert_eq!(parked.remove(made.strip_prefix(PARKED).unwrap()).unwrap(), b"made by somebody");
    assert_eq!(parked, held);
}

/// Two sides that are read apart name the same keys.
fn digests_name(pair: &Pair, expected: &BTreeMap<String, String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let rules = pair.rules.to_str().unwrap();
    let digest = |side: &str, endpoint: &str, out: &str, more: &[&str]| {
        let endpoints = format!("--{side}-endpoints");
        let fixed = ["digest", "--side", side, &endpoints, endpoint, "--rules", rules];
        let args = [&fixed[..], &["-o", "json", "--out", out], more].concat();
        let (told, exit) = report(&run(&args));
        assert_eq!(exit, 0, "{told}");
        told
    };
    let (there, here) = (pair.primary.endpoints().remove(0), pair.standby.endpoints().remove(0));
    let told = digest("standby", &here, &file("standby"), &[]);
    let revision = told["primary_revision"].to_string();
    digest("primary", &there, &file("primary"), &["--at-revision", &revision]);
    let ranges = file("ranges");
    let compare = ["compare", &file("primary"), &file("standby"), "--ranges-out", &ranges];
    let (found, exit) = report(&run(&[&compare[..], &["-o", "json"]].concat()));
    assert_eq!(exit, 1, "{found}");
    assert!(Path::new(&ranges).exists());
    digest("standby", &here, &file("standby.keys"), &["--ranges", &ranges]);
    digest("primary", &there, &file("primary.keys"), &["--ranges", &ranges]);
    let compare = ["compare", &file("primary.keys"), &file("standby.keys"), "-o", "json"];
    let (found, _) = report(&run(&compare));
    assert_eq!(&named(&found, "differences"), expected, "{found}");
}

#[tokio::test]
async fn a_parked_key_that_was_deleted_is_put_back() {
    let mut pair = Pair::start().await;
    put_all(&pair.there, &platform(20)).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    let before = under(&pair.here, PARKED, PARKED).await;
    for at in 0..5 {
        pair.here.delete(format!("{PARKED}{GROUP}machinesets/team/s{at:03}"), None).await.unwrap();
    }
    assert_eq!(under(&pair.here, PARKED, PARKED).await.len(), before.len() - 5);
    eventually("what was deleted is back", PATIENCE, async || {
        (under(&pair.here, PARKED, PARKED).await == before).then_some(())
    })
    .await;
    let status = mirror.wait_for("5 keys healed", |s| s["drift"]["healed"] == 5).await;
    assert_eq!(status["drift"]["refused"], 0, "{status}");
    assert!(under(&pair.here, "/registry/", "").await.is_empty());
}
