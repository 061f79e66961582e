//! Repairs: planned, accepted by their digest, carried out by the running mirror.

use std::collections::BTreeMap;

use end_to_end::{Dice, Etcd, Mirror, assert_equal_in_scope, dump, eventually, everything, seed};
use serde_json::Value;

use crate::exact::{diverge, planted_text};
use crate::support::{
    PATIENCE, caught_up, check, fill, mirror, named, pair, report, wait_until_checked,
};

/// What a plan says: the report, and the exit code.
fn plan(mirror: &Mirror, flags: &[&str]) -> (Value, i32) {
    report(&mirror.verb(&[&["repair", "-o", "json"], flags].concat()))
}

/// Has a plan carried out; what became of it, and the exit code.
fn execute(mirror: &Mirror, flags: &[&str], digest: &str) -> (Value, i32) {
    let order = ["repair", "-o", "json", "--execute", "--wait", "60s", "--accept", digest];
    report(&mirror.verb(&[&order, flags].concat()))
}

/// The keys of a plan, with how they differ.
fn planned(plan: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let keys = plan["keys"].as_array().expect("a list").iter();
    keys.map(|key| (text(&key["key"]), text(&key["kind"]))).collect()
}

async fn revision(etcd: &Etcd) -> i64 {
    etcd.client().await.get("\0", None).await.unwrap().header().unwrap().revision()
}

/// A mirror of some keys that follows.
async fn following(keys: u32) -> (Etcd, Etcd, Mirror) {
    let (primary, standby) = pair().await;
    let value = |n: u32| Dice::new(u64::from(n)).bytes(50);
    fill(&primary.client().await, "/registry/secrets/ns/", keys, value).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    caught_up(&mut mirror, &primary).await;
    (primary, standby, mirror)
}

#[tokio::test]
async fn a_repair_does_what_its_plan_says_and_leaves_what_others_made() {
    let mut dice = seed::dice("a_repair_does_what_its_plan_says_and_leaves_what_others_made");
    let (primary, standby, mut mirror) = following(5_000).await;
    let differing = diverge(&mut standby.client().await, &mut dice, 5_000, 100).await;
    let planted = planted_text(&differing);
    let ours = |kind: &str| planted.iter().filter(|(_, is)| *is == kind).count() as u64;

    // The plan names every key, why it differs, and nothing of what others made.
    let (shown, exit) = plan(&mirror, &["--dry-run"]);
    assert_eq!(exit, 1, "{shown}");
    let mut expected = planted.clone();
    expected.retain(|_, kind| kind != "surplus");
    assert_eq!(planned(&shown), expected);
    assert_eq!(shown["foreign_left"], ours("surplus"), "{shown}");
    assert!(shown["keys"].as_array().unwrap().iter().all(|key| key["class"] == "foreign-write"));

    let digest = shown["digest"].as_str().unwrap().to_owned();
    let (done, exit) = execute(&mirror, &[], &digest);
    assert_eq!((exit, &done["outcome"]), (0, &"done".into()), "{done}");
    assert_eq!(done["written"]["missed"], ours("missed"), "{done}");
    assert_eq!(done["written"]["different"], ours("different"), "{done}");
    assert_eq!(done["written"]["surplus"], 0, "{done}");
    let (_, found) = check(&mirror, "").await;
    let mut left = planted.clone();
    left.retain(|_, kind| kind == "surplus");
    assert_eq!(named(&found), left);

    // Others' keys go only where they are asked for by name.
    let (shown, _) = plan(&mirror, &["--kind", "surplus"]);
    assert_eq!(planned(&shown), left);
    let digest = shown["digest"].as_str().unwrap().to_owned();
    let (done, exit) = execute(&mirror, &["--kind", "surplus"], &digest);
    assert_eq!((exit, &done["written"]["surplus"]), (0, &ours("surplus").into()), "{done}");
    let (status, found) = check(&mirror, "&strict=true").await;
    assert_eq!((status, &found["verdict"]), (200, &"in-sync".into()), "{found}");
    assert_eq!(plan(&mirror, &[]).1, 0, "nothing is left to repair");

    // And it goes on following, as if nothing had been.
    primary.client().await.put("/after", "1", None).await.unwrap();
    caught_up(&mut mirror, &primary).await;
    let (there, here) = (dump(&primary.client().await).await, dump(&standby.client().await).await);
    assert_equal_in_scope(&there, &here, everything);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_plan_writes_nothing_and_one_of_another_world_is_refused() {
    let (_primary, standby, mut mirror) = following(100).await;
    let mut client = standby.client().await;
    client.delete("/registry/secrets/ns/000007", None).await.unwrap();
    assert!(mirror.verb(&["pause"]).status.success());
    mirror.wait_for_state("paused").await;
    // Nothing writes to the standby now but the status of the mirror, every few seconds.
    let before = dump(&client).await.filtered(everything);
    let at = revision(&standby).await;
    let (shown, _) = plan(&mirror, &["--dry-run"]);
    assert_eq!(planned(&shown).len(), 1, "{shown}");
    let resync = mirror.verb(&["resync", "-o", "json", "--dry-run"]);
    assert_eq!(report(&resync).0["digest"], shown["digest"]);
    let written = revision(&standby).await - at;
    assert!(written <= 3, "{written} revisions beside the plan");
    assert_eq!(dump(&client).await.filtered(everything).keys, before.keys);
    let digest = shown["digest"].as_str().unwrap().to_owned();
    // With the mirror away nobody writes at all, and the plan is the same.
    mirror.kill();
    let at = revision(&standby).await;
    assert_eq!(plan(&mirror, &[]).0["digest"], shown["digest"]);
    assert_eq!(revision(&standby).await, at, "a plan was written");
    mirror.restart();
    mirror.wait_for_state("paused").await;
    let told = mirror.verb(&["repair", "--execute", "--accept", &digest]);
    assert_eq!(told.status.code(), Some(4), "a mirror that stands still: {told:?}");
    assert!(mirror.verb(&["resume"]).status.success());
    wait_until_checked(&mut mirror).await;

    // The world moves: another key is lost.
    client.delete("/registry/secrets/ns/000008", None).await.unwrap();
    let (refused, exit) = execute(&mirror, &[], &digest);
    assert_eq!((exit, &refused["outcome"]), (4, &"refused".into()), "{refused}");
    let (_, found) = check(&mirror, "").await;
    assert_eq!(named(&found).len(), 2, "nothing was written: {found}");
    let newer = refused["found_digest"].as_str().unwrap().to_owned();
    assert_eq!(plan(&mirror, &[]).0["digest"], newer.as_str());
    assert_eq!(execute(&mirror, &[], &newer).1, 0);
    // An order is carried out once: what is lost after it stays lost.
    client.delete("/registry/secrets/ns/000009", None).await.unwrap();
    mirror.kill();
    mirror.restart();
    wait_until_checked(&mut mirror).await;
    eventually("the loss is seen", PATIENCE, async || {
        (named(&check(&mirror, "").await.1).len() == 1).then_some(())
    })
    .await;
    assert_eq!(mirror.verb(&["repair", "--execute"]).status.code(), Some(2));
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn deletions_beyond_the_fuse_want_the_digest_like_all_others() {
    let (_primary, standby, mut mirror) = following(1_000).await;
    fill(&standby.client().await, "/registry/theirs/", 800, |_| b"1".to_vec()).await;
    let (shown, _) = plan(&mirror, &["--kind", "surplus"]);
    assert_eq!(shown["counts"]["surplus"], 800, "{shown}");
    let wrong = "0123456789abcdef0123456789abcdef";
    assert_eq!(execute(&mirror, &["--kind", "surplus"], wrong).1, 4);
    assert_eq!(named(&check(&mirror, "").await.1).len(), 800);
    let digest = shown["digest"].as_str().unwrap().to_owned();
    let (done, exit) = execute(&mirror, &["--kind", "surplus"], &digest);
    assert_eq!((exit, &done["written"]["surplus"]), (0, &800.into()), "{done}");
    wait_until_checked(&mut mirror).await;
    assert_eq!(check(&mirror, "&strict=true").await.0, 200);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn an_audit_writes_the_plan_that_a_repair_would_carry_out() {
    let (_primary, standby, mirror) = following(100).await;
    standby.client().await.delete("/registry/secrets/ns/000007", None).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    let output = mirror.audit(&["--repair-plan", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(planned(&written).len(), 1, "{written}");
    assert_eq!(execute(&mirror, &[], written["digest"].as_str().unwrap()).1, 0);
    assert_eq!(check(&mirror, "&strict=true").await.0, 200);
}
