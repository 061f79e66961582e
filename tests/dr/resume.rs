//! A run that is killed at any step goes on there, and does nothing twice.

use std::time::Duration;

use dr_plan::plan::PlanName;
use end_to_end::{Mirror, assert_equal_in_scope, everything};

use crate::failback::Failback;
use crate::failover::{bundle, disaster, linked, recovery};
use crate::kills::Kills;
use crate::pair::{DOMAIN, Pair};
use crate::run::Dr;
use crate::switchover::{checked, mirrored};

const NO_FLOOR: [&str; 4] =
    ["--override", "revision-floor", "--reason", "no client remembers a revision here"];

/// What a change of roles asks of a person.
async fn lead_to_west(pair: &mut Pair, step: &str) {
    if step == "dns" {
        pair.lead_to(&pair.west);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_that_is_killed_at_every_step_does_nothing_twice() {
    let (mut pair, _mirror, _) = mirrored().await;
    // New pods take a while, so that the run dies between doing and seeing.
    pair.west.kube.change(|state| state.delay = Duration::from_secs(1));
    let kills =
        Kills { plan: PlanName::Switchover, args: NO_FLOOR.to_vec(), primary_is_east: true };
    let resumed = kills.at_every_step(&mut pair, lead_to_west).await;
    assert!(resumed >= 12, "{resumed}");
    assert_equal_in_scope(&pair.east.dump().await, &pair.west.dump().await, everything);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_and_a_failback_that_are_killed_at_every_step_do_nothing_twice() {
    let (mut pair, proxy, mut mirror, mirrored) = linked("killed").await;
    let tail = disaster(&mut pair, &mut mirror, &proxy).await;

    let kills = Kills { plan: PlanName::Failover, args: NO_FLOOR.to_vec(), primary_is_east: true };
    let resumed = kills.at_every_step(&mut pair, lead_to_west).await;
    assert!(resumed >= 8, "{resumed}");
    assert_equal_in_scope(&mirrored, &pair.west.dump().await, everything);
    mirror.wait_for_state("fenced").await;
    mirror.kill();

    recovery(&mut pair).await;
    pair.write_topology(false, "");
    let mut failback = Failback::of_east(&Dr::new(&pair));
    let kills = Kills { plan: PlanName::Failback, args: Vec::new(), primary_is_east: false };
    let resumed =
        kills.at_every_step(&mut pair, async |pair, step| failback.lend(pair, step).await).await;
    assert!(resumed >= 12, "{resumed}");
    assert_eq!(bundle(&pair.path("unmirrored-writes-of-east")), tail);
    assert_equal_in_scope(&pair.west.dump().await, &pair.east.dump().await, everything);
}

/// Two clusters from the first day on: installed, mirrored, looked at, upgraded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyday_plans_that_are_killed_at_every_step_do_nothing_twice() {
    let mut pair = Pair::start().await;
    pair.write_topology(true, "");
    pair.dns.set(DOMAIN, &[]);
    let kills =
        |plan, args: &[&'static str]| Kills { plan, args: args.to_vec(), primary_is_east: true };
    let resumed = kills(PlanName::Install, &[])
        .at_every_step(&mut pair, async |pair, step| match step {
            "dns-primary" | "dns-back" => pair.lead_to(&pair.east),
            "dns-standby" => pair.lead_to(&pair.west),
            _ => {}
        })
        .await;
    assert!(resumed >= 12, "{resumed}");

    let mut mirror = None;
    let resumed = kills(PlanName::Enable, &[])
        .at_every_step(&mut pair, async |pair, step| match step {
            "lift-revision" => pair.west.etcd.lift_revision(2_000_000_000_000).await,
            "install-mirror" => mirror = Some(start(pair).await),
            "restart-controllers" => pair.west.restart_controllers(),
            _ => {}
        })
        .await;
    assert!(resumed >= 4, "{resumed}");
    let mut mirror = mirror.unwrap();
    pair.write_topology(true, &format!("http://{}", mirror.address()));
    checked(&mut mirror).await;

    for (plan, least) in [(PlanName::Check, 1), (PlanName::Upgrade, 4), (PlanName::Upload, 2)] {
        let resumed = kills(plan, &[]).at_every_step(&mut pair, async |_, _| {}).await;
        assert!(resumed >= least, "{plan}: {resumed}");
    }
    assert_equal_in_scope(&pair.east.dump().await, &pair.west.dump().await, everything);
}

/// What a person does to start the mirror: its pod is there.
async fn start(pair: &Pair) -> Mirror {
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.west.show_mirror_log(&mirror.process().output());
    mirror
}
