//! With a collector on the standby, as a live one has: nothing that the mirror writes is deleted.

use std::time::Duration;

use end_to_end::kin::{Verdict, changes, judge};
use end_to_end::{Collected, Collector, Direction, Mirror, Proxy, dump, fixture, seed};

use crate::changes::Changes;
use crate::objects::{CONFIG_MAP, Object, PART, PLANT};
use crate::world::{World, head, in_scope, repair};

/// Lines of owners whose keys are in the wrong order: what owns has the larger key, so that who
/// writes in the order of keys writes all that is owned first.
fn adverse(lines: usize) -> Vec<Object> {
    let mut objects = Vec::new();
    for line in 0..lines {
        let head = Object::global(PLANT, &format!("line-{line:02}")).of_bytes(4_000);
        let part = Object::new(PART, "team", &format!("{line:02}")).owned_by(&head);
        let part = part.of_bytes(4_000);
        for n in 0..20 {
            let name = format!("{line:02}-{n:02}");
            objects.push(Object::new(CONFIG_MAP, "team", &name).owned_by(&part).of_bytes(2_000));
        }
        objects.extend([part, head]);
    }
    objects
}

/// What all of it has come to: nothing was deleted, and nothing has lost an owner.
async fn assert_nothing_lost(collector: &mut Collector, when: &str, judged: u64) {
    let done = collector.settled().await;
    assert_eq!(done.deleted, Vec::<String>::new(), "deleted {when}");
    assert!(done.rewritten.is_empty(), "lost an owner {when}: {:?}", done.rewritten);
    assert!(done.judged >= judged, "only {} objects were judged {when}", done.judged);
    println!("{when}: {} objects judged, {} owners looked up", done.judged, done.looked_up);
}

#[tokio::test]
async fn nothing_of_a_copy_a_resync_a_thousand_changes_and_a_repair_is_collected() {
    let dice =
        seed::dice("nothing_of_a_copy_a_resync_a_thousand_changes_and_a_repair_is_collected");
    let world = World::of_kubernetes(&fixture::primary()).await;
    world.put_many(adverse(30)).await;
    let mut random = Changes::new(world.primary.client().await, dice);
    random.write(300).await;
    let begin = world.standby_head().await;
    let mut collector = Collector::start(world.standby.access()).await;
    assert_nothing_lost(&mut collector, "before the copy", 0).await;

    let mut mirror = world.mirror().flag("--heal-deletions=false").start();
    mirror.wait_for_state("following").await;
    world.assert_equal(&mut mirror).await;
    assert_nothing_lost(&mut collector, "after the copy", 600).await;
    world.verdict(begin).await.assert_in_order(600);

    // The collector starts anew, as after a change of its leader: it judges everything again.
    drop(collector);
    let mut collector = Collector::start(world.standby.access()).await;
    assert_nothing_lost(&mut collector, "after its restart", 600).await;

    mirror.kill();
    random.write(300).await;
    let mut primary = world.primary.client().await;
    primary.compact(head(&world.primary).await, None).await.unwrap();
    let began = world.standby_head().await;
    mirror.restart();
    let status = mirror.wait_for_state("following").await;
    assert!(!status["counters"]["resyncs"].as_array().unwrap().is_empty(), "{status}");
    world.assert_equal(&mut mirror).await;
    assert_nothing_lost(&mut collector, "after the resync", 650).await;
    world.verdict(began).await.assert_in_order(50);

    let began = world.standby_head().await;
    random.write(1_000).await;
    world.assert_equal(&mut mirror).await;
    assert_nothing_lost(&mut collector, "after a thousand changes", 900).await;
    let history = changes(world.standby.access()).await;
    judge(&history, began, &random.uids).assert_in_order(200);

    mirror.assert_no_errors(&[]);
    repaired(&world, &mut mirror, &mut collector).await;
}

/// Somebody deletes whole lines of owners on the standby, and a repair puts them back.
async fn repaired(world: &World, mirror: &mut Mirror, collector: &mut Collector) {
    let mut standby = world.standby.client().await;
    let there = in_scope(&dump(&standby).await);
    let begins =
        ["configmaps/team/", "parts.example.io/parts/team/", "parts.example.io/plants/line-"];
    // In this order what is owned goes before what owns it.
    let mut gone = 0;
    for begin in begins.map(|begin| format!("/registry/{begin}").into_bytes()) {
        for key in there.keys.keys().filter(|key| key.starts_with(&begin)) {
            standby.delete(key.clone(), None).await.unwrap();
            gone += 1;
        }
    }
    assert_nothing_lost(collector, "after somebody's deletions", 900).await;
    let begin = world.standby_head().await;
    let done = repair(mirror);
    assert_eq!((gone, &done["written"]["missed"]), (660, &660.into()), "{done}");
    world.assert_equal(mirror).await;
    assert_nothing_lost(collector, "after the repair", 1_500).await;
    world.verdict(begin).await.assert_in_order(630);
    mirror.assert_no_errors(&[]);
}

/// A base copy over a link on which each transaction is answered late, so that a collector is never
/// too slow for it: what the collector did, and what the history says.
async fn copied_slowly(order: &str) -> (Collected, Verdict) {
    let world = World::start().await;
    world.put_many(adverse(30)).await;
    let mut collector = Collector::start(world.standby.access()).await;
    let begin = world.standby_head().await;
    let proxy = Proxy::start(&world.standby.endpoints()[0]).await;
    proxy.change(Direction::ToClient, |faults| faults.latency = Duration::from_millis(30));
    let mut mirror = Mirror::builder(&world.primary.endpoints(), &[proxy.endpoint()])
        .preset("kubernetes")
        .flag("--max-request-bytes")
        .flag("65536")
        .flag("--order")
        .flag(order)
        .flag("--heal-deletions=false")
        .start();
    mirror.wait_for_state("following").await;
    let done = collector.settled().await;
    let verdict = world.verdict(begin).await;
    println!(
        "in the order of {order}: {} of 660 deleted, {} of {} references early",
        done.deleted.len(),
        verdict.early.len(),
        verdict.references
    );
    (done, verdict)
}

#[tokio::test]
async fn in_the_order_of_keys_the_collector_deletes_many_and_in_that_of_owners_none() {
    let (done, verdict) = copied_slowly("keys").await;
    assert!(done.deleted.len() >= 100, "only {} deleted", done.deleted.len());
    assert_eq!(verdict.early.len(), 630);
    let (done, verdict) = copied_slowly("owners").await;
    assert_eq!(done.deleted, Vec::<String>::new());
    verdict.assert_in_order(630);
}
