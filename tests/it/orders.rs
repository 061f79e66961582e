//! The verbs beside `run`: what they say, what they write, and what they never write.

use std::process::Output;
use std::time::Duration;

use end_to_end::{Dump, Mirror, dump, eventually, everything};
use serde_json::Value;

use crate::pair::{Pair, fill, head, value};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What the standby holds, without the mirror's own keys.
async fn data(pair: &Pair) -> Dump {
    dump(&pair.standby.client().await).await.filtered(everything)
}

/// Waits until the lease of an instance that was killed has ended.
async fn wait_for_no_leader(pair: &Pair) {
    let client = pair.standby.client().await;
    eventually("the leader key is gone", Duration::from_secs(20), async || {
        value(&client, "/etcd-sync/default/leader").await.is_none().then_some(())
    })
    .await;
}

/// Waits until `etcd-sync status` names this state; returns its exit code.
async fn stored_state(mirror: &Mirror, state: &str) -> Option<i32> {
    eventually(&format!("status says {state}"), Duration::from_secs(20), async || {
        let output = mirror.verb(&["status", "-o", "json"]);
        (json(&output)["state"] == state).then(|| output.status.code())
    })
    .await
}

#[tokio::test]
async fn a_paused_mirror_writes_nothing_until_it_is_resumed() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    primary.put("/a", "1", None).await.unwrap();
    let mut mirror = pair.mirror().flag("--leader-lease").flag("3s").start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;
    assert_eq!(stored_state(&mirror, "following").await, Some(0));

    // Accepting what nobody asked for is refused, and says so.
    let none = mirror.verb(&["resync", "--accept", "0123", "-o", "json"]);
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    let said = json(&none);
    assert_eq!(said["verdict"], "action-needed", "{said}");
    assert!(said["reason"].as_str().unwrap().contains("not blocked (it is `following`)"), "{said}");

    // The order waits for its outcome.
    let paused = mirror.verb(&["pause", "-o", "json"]);
    done(&paused);
    let said = json(&paused);
    assert_eq!((&said["verdict"], &said["mirror"]), (&"ok".into(), &"default".into()), "{said}");
    assert_eq!(mirror.status().await.unwrap()["state"], "paused");
    let before = data(&pair).await;
    primary.put("/a", "2", None).await.unwrap();
    primary.put("/b", "1", None).await.unwrap();
    let newest = head(&primary).await;
    // It still looks at the primary, and sees what it leaves undone.
    let seen = |status: &Value| status["primary_revision"].as_i64().is_some_and(|at| at >= newest);
    mirror.wait_for("the primary's new revision is seen", seen).await;
    assert_eq!(stored_state(&mirror, "paused").await, Some(1));
    assert_eq!(data(&pair).await.keys, before.keys);

    // The order outlives the process. Given to nobody, it says so, and is kept.
    mirror.kill();
    wait_for_no_leader(&pair).await;
    let unanswered = mirror.verb(&["pause"]);
    assert_eq!(unanswered.status.code(), Some(3), "{unanswered:?}");
    let said = String::from_utf8_lossy(&unanswered.stderr);
    assert!(said.contains("no instance holds the leader key"), "{said}");
    done(&mirror.verb(&["pause", "--wait=false"]));
    mirror.restart();
    mirror.wait_for_state("paused").await;
    primary.put("/c", "1", None).await.unwrap();
    let newest = head(&primary).await;
    let seen = |status: &Value| status["primary_revision"].as_i64().is_some_and(|at| at >= newest);
    mirror.wait_for("the primary's new revision is seen", seen).await;
    assert_eq!(data(&pair).await.keys, before.keys);

    done(&mirror.verb(&["resume"]));
    assert_eq!(mirror.status().await.unwrap()["state"], "following");
    pair.assert_equal(&mut mirror).await;
    assert_eq!(stored_state(&mirror, "following").await, Some(0));
    pair.check_histories().await;
}

#[tokio::test]
async fn nobody_has_said_anything_before_the_first_run() {
    let pair = Pair::start().await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    let other = mirror.verb(&["status", "--mirror-name", "another"]);
    assert_eq!(other.status.code(), Some(3));
}

#[tokio::test]
async fn a_plan_writes_nothing_and_says_what_a_run_would_do() {
    let pair = Pair::start().await;
    let (mut primary, mut standby) = (pair.primary.client().await, pair.standby.client().await);
    fill(&primary, "/k/", 0..1_000, |number| number.to_string().into_bytes()).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;

    // Beside a mirror that runs, nothing but that mirror's own keys moves.
    let before = data(&pair).await;
    let plan = mirror.verb(&["plan", "-o", "json"]);
    done(&plan);
    let plan = json(&plan);
    let counts = |plan: &Value| {
        ["missed", "different", "deletes", "foreign"].map(|name| plan[name].as_u64().unwrap())
    };
    assert_eq!(counts(&plan), [0, 0, 0, 0], "{plan}");
    assert_eq!(data(&pair).await.keys, before.keys);
    assert!(mirror.terminate().success());

    for number in 0..700 {
        primary.delete(format!("/k/{number:05}"), None).await.unwrap();
    }
    primary.put("/k/00700", "changed", None).await.unwrap();
    primary.put("/k/new", "1", None).await.unwrap();
    standby.put("/own", "mine", None).await.unwrap();
    let before = [dump(&primary).await, dump(&standby).await];
    let plan = mirror.verb(&["plan", "-o", "json"]);
    done(&plan);
    let again = json(&mirror.verb(&["plan", "-o", "json"]));
    assert_eq!([dump(&primary).await, dump(&standby).await], before, "a plan wrote something");
    let plan = json(&plan);
    assert_eq!(counts(&plan), [1, 1, 700, 1], "{plan}");
    assert_eq!(plan["needs_accept"], true, "{plan}");
    assert_eq!(plan["digest"], again["digest"]);
    // However many are deleted, the screen stays short; a file gets them all.
    let text = String::from_utf8(mirror.verb(&["plan"]).stdout).unwrap();
    assert_eq!(text.matches("would delete /").count(), 20, "{text}");
    assert!(text.contains("would delete 680 keys more"), "{text}");
    let file = pair.standby.dir().join("deletions");
    let file = file.to_str().unwrap();
    done(&mirror.verb(&["plan", "--limit", "3", "--deletions", file]));
    let deleted = std::fs::read_to_string(file).unwrap();
    assert_eq!((deleted.lines().count(), deleted.lines().last()), (700, Some("/k/00699")));
    // What it would write may change; what it would delete is what the digest is of.
    primary.put("/k/00701", "changed", None).await.unwrap();
    let third = json(&mirror.verb(&["plan", "-o", "json"]));
    assert_eq!(third["digest"], plan["digest"], "{third}");
    assert_eq!(counts(&third), [1, 2, 700, 1], "{third}");
    primary.delete("/k/00999", None).await.unwrap();
    let fourth = json(&mirror.verb(&["plan", "-o", "json"]));
    assert_ne!(fourth["digest"], plan["digest"], "{fourth}");

    // A run that finds the history compacted stops at just this plan, and carries it out when told.
    primary.compact(head(&primary).await, None).await.unwrap();
    mirror.restart();
    let status = mirror
        .wait_for("blocked, with the digest", |status| {
            status["blocked"]["release"].as_str().is_some_and(|text| text.contains("--accept"))
        })
        .await;
    assert_eq!(status["blocked"]["guard"], "too_many_deletes", "{status}");
    let release = status["blocked"]["release"].as_str().unwrap();
    let digest = fourth["digest"].as_str().unwrap();
    assert!(release.contains(digest), "{release} is not the plan {digest}");
    let stale = plan["digest"].as_str().unwrap();
    let refused = mirror.verb(&["resync", "--accept", stale]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains(digest) && said.contains(stale), "{said}");
    // Its checkpoint is compacted: no plan of a repair can be made, and the reason is the guard.
    for verb in ["repair", "resync"] {
        let output = mirror.verb(&[verb]);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the mirror is blocked (too_many_deletes)"), "{said}");
        assert!(said.contains(&format!("etcd-sync resync --accept {digest}")), "{said}");
    }
    assert_eq!(value(&standby, "/k/00000").await.as_deref(), Some(b"0".as_slice()));
    done(&mirror.verb(&["resync", "--accept", digest]));
    assert_eq!(mirror.status().await.unwrap()["state"], "following");
    mirror.wait_for_checkpoint(head(&primary).await).await;
    assert_eq!(value(&standby, "/own").await.as_deref(), Some(b"mine".as_slice()));
    standby.delete("/own", None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
}

#[tokio::test]
async fn an_order_that_nobody_answers_ends_by_its_bound_or_by_a_signal_and_stays() {
    let pair = Pair::start().await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    stored_state(&mirror, "following").await;
    mirror.process().freeze();
    let late = mirror.verb(&["pause", "--timeout", "1s", "-o", "json"]);
    assert_eq!(late.status.code(), Some(3), "{late:?}");
    let said = json(&late);
    assert_eq!(said["verdict"], "unknown", "{said}");
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.contains("was given; the mirror has not answered within 1s"), "{reason}");
    // Given, and interrupted while it waits.
    let endpoints = pair.standby.endpoints().join(",");
    let mut waits = std::process::Command::new(end_to_end::binaries::etcd_sync())
        .args(["pause", "--standby-endpoints", &endpoints])
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let id = waits.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(waits.wait().unwrap().code(), Some(130));
    mirror.process().thaw();
    mirror.wait_for_state("paused").await;
}

/// Feeds a text to a program, which must find nothing wrong with it.
fn accepted_by(program: &str, args: &[&str], text: &str) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut child = Command::new(program)
        .args(args)
        .stdin(input)
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {args:?}: {said}\n{text}");
}

#[tokio::test]
async fn prometheus_reads_the_metrics_of_a_mirror_that_follows() {
    let pair = Pair::start().await;
    pair.primary.client().await.put("/a", "1", None).await.unwrap();
    let mut mirror = pair.mirror().start();
    mirror.wait_for("a check has ended", |status| status["last_check"].is_object()).await;
    let text = mirror.get("/metrics").await.unwrap();
    assert!(text.body.contains("\n# TYPE etcd_sync_build_info gauge\n"), "{}", text.body);
    assert!(!text.body.contains("# EOF"), "{}", text.body);
    // The task that starts the tests brings it, and says so where it can't.
    let promtool = std::env::var("PROMTOOL_BIN").unwrap_or_else(|_| "promtool".to_owned());
    if promtool.is_empty() {
        println!(
            "there is no promtool here: the grammar alone was checked, by monitor-api's tests"
        );
        return;
    }
    accepted_by(&promtool, &["check", "metrics"], &text.body);
}
