//! A planned change of roles loses nothing, and changes nothing before it is told to.

use std::time::{Duration, SystemTime};

use dr_plan::Verdict;
use dr_plan::journal::{Entry, Event, Journal, Opening};
use dr_plan::plan::PlanName;
use end_to_end::{Load, Mirror, assert_equal_in_scope, everything, seed};

use crate::hands::Hands;
use crate::pair::{KEYS, Pair};
use crate::run::{Dr, begun, ended};

/// What a person knows beforehand, and what can't be so in these tests.
pub(crate) const UNATTENDED: [&str; 16] = [
    "switchover",
    "--yes",
    "--attest",
    "local-backups",
    "--attest",
    "dns-known",
    "--attest",
    "page",
    "--attest",
    "clients",
    "--attest",
    "swap-roles",
    "--override",
    "revision-floor",
    "--reason",
    "no client remembers a revision here",
];

/// A pair with a mirror that follows and has been checked.
pub(crate) async fn mirrored() -> (Pair, Mirror, Dr) {
    let pair = Pair::start().await;
    let mut client = pair.east.etcd.client().await;
    let load = Load { prefix: KEYS.to_owned(), requests: 200, ..Load::default() };
    load.run(&mut client, &mut seed::dice("mirrored")).await;
    let mut mirror = pair.mirror().start();
    pair.write_topology(true, &format!("http://{}", mirror.address()));
    mirror.wait_for_state("following").await;
    checked(&mut mirror).await;
    let dr = Dr::new(&pair);
    (pair, mirror, dr)
}

/// Waits until a mirror knows how well it is.
pub(crate) async fn checked(mirror: &mut Mirror) {
    mirror
        .wait_for("a check says in-sync, and the lag is known", |status| {
            status["last_check"]["verdict"] == "in-sync" && status["lag_seconds"].is_f64()
        })
        .await;
}

/// Does what a person does in a switchover, until it is over.
pub(crate) async fn lend_hands(pair: &Pair, dr: &Dr) {
    let mut hands = Hands::new(dr.journal());
    loop {
        if hands.next().await == "dns" {
            pair.lead_to(&pair.west);
        }
    }
}

/// Writes into the primary for as long as its API would take writes.
async fn writes_until_shielded(pair: &Pair) -> u64 {
    let mut client = pair.east.etcd.client().await;
    let mut written = 0;
    while !pair.east.is_shielded() {
        client
            .put(format!("{KEYS}live-{:04}", written % 50), written.to_string(), None)
            .await
            .unwrap();
        written += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_under_load_runs_unattended_and_loses_nothing() {
    let (pair, mut mirror, dr) = mirrored().await;
    let run = dr.expect(0, &UNATTENDED);
    let told = tokio::select! {
        (told, written) = async { tokio::join!(run, writes_until_shielded(&pair)) } => {
            assert!(written > 20, "{written} writes were made meanwhile");
            told
        }
        () = lend_hands(&pair, &dr) => unreachable!("hands work for ever"),
    };
    assert!(told.contains("switchover completed"), "{told}");
    dr.assert_completed();
    // Every step is done once, in the plan's order.
    let entries = dr.entries();
    let done: Vec<&str> = entries.iter().filter_map(|entry| ended(&entry.event)).collect();
    let planned: Vec<String> =
        dr.plan(PlanName::Switchover).steps().map(|step| step.id.clone()).collect();
    assert_eq!(done, planned);
    // No key is lost, none is changed.
    assert_equal_in_scope(&pair.east.dump().await, &pair.west.dump().await, everything);
    mirror.wait_for_state("fenced").await;
    assert_eq!(pair.east.role().as_deref(), Some("standby"));
    assert_eq!(pair.west.role().as_deref(), Some("primary"));
    let fence = dr.expect(0, &["fence", "--show", "-o", "json"]).await;
    assert!(fence.contains("by etcd-dr") && fence.contains("\"primary_revision\""), "{fence}");
}

/// A plan of two hours ago, which restarted what this one restarts.
fn earlier_plan(dr: &Dr) {
    let plan = dr.plan(PlanName::Switchover);
    let begun = SystemTime::now() - Duration::from_secs(7_200);
    let opening = Opening {
        plan: PlanName::Enable,
        plan_digest: plan.digest().as_str().to_owned(),
        topology_digest: plan.digest().as_str().to_owned(),
    };
    let begin = Event::Begun { step: "restart-coredns".to_owned() };
    let mut journal = Journal::default();
    let lines = [Event::Opened(opening), begin, Event::Completed]
        .map(|event| journal.append(begun.into(), event));
    std::fs::write(dr.journal(), lines.concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_restarted_although_an_earlier_plan_has_done_so() {
    let (pair, _mirror, dr) = mirrored().await;
    earlier_plan(&dr);
    let run = dr.expect(0, &UNATTENDED);
    tokio::select! {
        _ = run => {}
        () = lend_hands(&pair, &dr) => unreachable!("hands work for ever"),
    }
    dr.assert_completed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_and_a_drill_change_nothing_anywhere() {
    let (pair, mut mirror, dr) = mirrored().await;
    let changes = |pair: &Pair| {
        let calls = pair.east.kube.calls().into_iter().chain(pair.west.kube.calls());
        let changing = calls.filter(|call| {
            call.method != "GET"
                && !call.path.contains("dryRun=All")
                && !call.path.contains("/exec")
        });
        changing.map(|call| format!("{} {}", call.method, call.path)).collect::<Vec<_>>()
    };
    let (east, west) = (pair.east.dump().await, pair.west.dump().await);
    let files = || std::fs::read_dir(pair.folder.path()).unwrap().count();
    let before = files();
    let args: Vec<&str> = UNATTENDED.iter().copied().chain(["--dry-run"]).collect();
    // Gates that only a person can judge are left open; the floor is really too low.
    let told = dr.expect(1, &["switchover", "--dry-run"]).await;
    assert!(told.contains("closed: revision-floor"), "{told}");
    // As the run would, it goes past what is overridden.
    let told = dr.expect(0, &args).await;
    assert!(told.contains("is open, or overridden"), "{told}");
    assert!(told.contains("step fence-mirror: would be done"), "{told}");
    assert!(told.contains("step dns: would be asked of a person"), "{told}");
    assert!(told.contains("step fence-writers: would be done"), "{told}");
    // Nothing before that step is done, so the run would end there, and so does this.
    let early: Vec<&str> = args.iter().copied().chain(["--from", "fence-mirror"]).collect();
    let told = dr.expect(1, &early).await;
    assert!(
        told.contains("step fence-writers: would end the run: it comes before --from"),
        "{told}"
    );
    assert_eq!(files(), before, "a dry run makes no file");
    let told = dr.expect(1, &["drill", "switchover", "--seconds", "2"]).await;
    assert!(told.contains("lag: half of"), "{told}");
    // It is in the journal, where the report finds it, and no plan is begun by it.
    let [Entry { event: Event::Drilled(drill), .. }] = &dr.entries()[..] else { panic!() };
    assert_eq!(drill.plan, PlanName::Switchover);
    assert!(drill.took_ms > 0 && drill.steps.iter().any(|step| step.took_ms > 0), "{drill:?}");
    let floor = drill.gates.iter().find(|gate| gate.gate == "revision-floor").unwrap();
    assert_eq!(floor.verdict, Verdict::Fails);
    let told = dr.expect(0, &["report"]).await;
    assert!(told.contains("The switchover drill at "), "{told}");
    // While a run has the journal, a drill finds out the same, and says that it is not kept.
    let of_a_run = std::fs::File::open(dr.journal()).unwrap();
    of_a_run.lock().unwrap();
    let told = dr.expect(1, &["drill", "switchover", "--seconds", "1"]).await;
    assert!(told.contains("lag: half of"), "{told}");
    assert!(told.contains("warning: the report will not know of this drill: "), "{told}");
    drop(of_a_run);
    assert_eq!(dr.entries().len(), 1);
    let told = dr.expect(4, &["abandon", "--reason", "it was a drill"]).await;
    assert!(told.contains("in the middle of no plan"), "{told}");
    assert_eq!(changes(&pair), Vec::<String>::new());
    assert_eq!((pair.east.dump().await.keys, pair.west.dump().await.keys), (east.keys, west.keys));
    assert_eq!(files(), before + 1, "a drill makes the journal, and no other file");
    assert_eq!(dr.expect(1, &["fence", "--show"]).await.trim(), "the standby is not promoted");
    // The primary's own revision did not move: nothing at all was written there.
    assert_eq!(
        pair.east.etcd.client().await.get("a", None).await.unwrap().header().unwrap().revision(),
        east.revision
    );
    mirror.wait_for_state("following").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_closed_stops_before_anything_is_changed() {
    let (pair, _mirror, dr) = mirrored().await;
    let told = dr.expect(1, &["switchover", "--yes"]).await;
    for gate in ["revision-floor", "local-backups", "dns-known"] {
        assert!(told.contains(&format!("gate {gate}")), "{told}");
    }
    assert!(!pair.east.is_shielded());
    let entries = dr.entries();
    assert!(!entries.is_empty() && entries.iter().all(|entry| begun(&entry.event).is_none()));
}
