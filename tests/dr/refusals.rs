//! What is told before anything is done.

use std::process::Command;
use std::time::Duration;

use dr_plan::journal::Event;
use end_to_end::eventually;
use rustix::process::Signal;

use crate::pair::Pair;
use crate::run::{Dr, begun, entries};
use crate::switchover::{UNATTENDED, mirrored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_of_file_and_command_line_are_told_before_anything_is_asked() {
    let pair = Pair::start().await;
    pair.write_topology(true, "");
    let dr = Dr::new(&pair);
    let asked = || pair.east.kube.calls().len() + pair.west.kube.calls().len();
    let before = asked();
    for (args, code, said) in [
        (&["switchover", "--override", "lag"][..], 2, "without a reason"),
        (&["switchover", "--override", "lag", "--reason", " "][..], 2, "without a reason"),
        (&["switchover", "--override", "gone", "--reason", "x"][..], 2, "no gate of this plan"),
        (&["switchover", "--override", "drained", "--reason", "x"][..], 4, "can't be overridden"),
        (&["switchover", "--from", "nowhere"][..], 2, "no step"),
        (&["switchover", "--attest", "nobody"][..], 2, "neither a gate nor a step"),
        (&["fence", "--release", "xyz"][..], 2, "no digest"),
    ] {
        let told = dr.expect(code, args).await;
        assert!(told.contains(said), "{args:?}: {told}");
    }
    let text = std::fs::read_to_string(pair.topology_file()).unwrap();
    let text = text.replace("\"rpo_seconds\"", "\"rpo_second\"").replace("https_port", "x");
    std::fs::write(pair.topology_file(), text.replace(&pair.west.vip, &pair.east.vip)).unwrap();
    let told = dr.expect(2, &["switchover", "--yes"]).await;
    assert!(told.contains("rpo_second") && told.contains("standby.vip"), "{told}");
    assert_eq!(asked(), before);
    assert_eq!(dr.entries(), []);
}

/// What is said last on a bad night is pasted, as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_to_go_on_with_goes_on_when_it_is_pasted() {
    let (pair, _mirror, dr) = mirrored().await;
    let journal = pair.path("the night's journal.jsonl");
    let plan = ["switchover", "--yes", "--journal", journal.to_str().unwrap()];
    let told = dr.expect(1, &plan).await;
    let (_, line) = told.split_once("next: then go on: ").unwrap();
    let line = line.lines().next().unwrap().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).env("PATH", "/usr/bin:/bin");
    let pasted = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let said = String::from_utf8(pasted.stdout).unwrap();
    assert_eq!(said.lines().next(), told.lines().next(), "{line}\n{said}");
    let resumed = entries(&journal).into_iter().filter(|entry| entry.event == Event::Resumed);
    assert_eq!(resumed.count(), 1, "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_run_with_130_and_a_second_run_is_kept_out() {
    let (pair, _mirror, dr) = mirrored().await;
    let mut run = dr.start(&UNATTENDED);
    // Nobody changes the name, so it waits there.
    dr.wait_for("the name is asked for", &mut run, |event| begun(event) == Some("dns")).await;
    let told = dr.expect(4, &UNATTENDED).await;
    assert!(told.contains("another etcd-dr is running"), "{told}");
    run.signal(Signal::INT);
    assert_eq!(run.wait(Duration::from_secs(10)).code(), Some(130), "{}", run.tail(5));
    let told = run.output();
    let (_, line) = told.split_once("go on with `").unwrap();
    assert!(line.contains("etcd-dr switchover --yes"), "{}", run.tail(5));
    // Another plan is refused as long as this one is in the middle.
    for how in ["--yes", "--dry-run"] {
        let told = dr.expect(4, &["failover", how]).await;
        assert!(told.contains("in the middle of `switchover`"), "{told}");
        assert!(told.contains("`etcd-dr abandon --reason TEXT`"), "{told}");
    }
    // What is moved already has its gates behind it; and what is done may be named.
    let told = dr.expect(0, &["switchover", "--dry-run", "--from", "drain"]).await;
    assert!(told.contains("step drain: done, by the journal"), "{told}");
    // What only a person can tell stops an unattended run, and is told.
    pair.lead_to(&pair.west);
    let told = dr.expect(1, &["switchover", "--yes"]).await;
    assert!(told.contains("--attest page"), "{told}");
    let told = dr.expect(0, &["abandon", "--reason", "enough was seen"]).await;
    assert!(told.contains("is abandoned"), "{told}");
    eventually("it ends", Duration::from_secs(5), async || run.ended()).await;
}
