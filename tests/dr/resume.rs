//! A run that is killed at any step goes on there, and does nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use dr_plan::journal::Event;
use dr_plan::plan::PlanName;
use end_to_end::process::Process;
use end_to_end::{Direction, Proxy, assert_equal_in_scope, eventually, everything};
use rustix::process::Signal;

use crate::pair::{DOMAIN, NAMESPACE, Pair};
use crate::run::{Dr, PATIENCE, begun, ended};
use crate::switchover::{UNATTENDED, mirrored};

/// Whether what a step does to the world is done; steps that do nothing there are begun, no more.
async fn is_done(pair: &Pair, step: &str) -> bool {
    let deployment = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etcd-sync");
    match step {
        "fence-writers" => pair.east.is_shielded(),
        "role-resigned" => pair.east.role().is_some(),
        "fence-mirror" => {
            let mut client = pair.west.etcd.client().await;
            let control = client.get("/etcd-sync/default/control", None).await.unwrap();
            control.kvs().iter().any(|kv| kv.value_str().unwrap().contains("promoted"))
        }
        "stop-mirror" => {
            pair.west.kube.object(&deployment).is_some_and(|found| found["spec"]["replicas"] == 0)
        }
        "record-role" => pair.west.role().is_some(),
        "restart-coredns" => pair.west.kube.deleted() > 0,
        _ => true,
    }
}

/// Kills the run once the step's doing is seen, or the step is over.
async fn kill_at(pair: &Pair, dr: &Dr, run: &mut Process, step: &str) {
    eventually(&format!("{step} is done or over"), PATIENCE, async || {
        if let Some(status) = run.ended().filter(|status| !status.success()) {
            panic!("etcd-dr ended with {status} at {step}\n{}", run.tail(40));
        }
        let entries = dr.entries();
        let over = entries.iter().any(|entry| ended(&entry.event) == Some(step));
        let begun = entries.iter().any(|entry| begun(&entry.event) == Some(step));
        (over || begun && is_done(pair, step).await).then_some(())
    })
    .await;
    run.signal(Signal::KILL);
    run.wait(PATIENCE);
}

/// Puts both clusters so far away from whoever runs the plan that a step can be caught in its middle.
async fn far_away(pair: &Pair) -> Vec<Proxy> {
    let file = pair.topology_file();
    let mut topology = std::fs::read_to_string(&file).unwrap();
    let mut proxies = Vec::new();
    for cluster in [&pair.east, &pair.west] {
        let kubeconfig = pair.path(&format!("{}.kubeconfig", cluster.name));
        let mut access = std::fs::read_to_string(&kubeconfig).unwrap();
        let etcd = cluster.etcd.endpoints().remove(0);
        let api = format!("http://{}", cluster.kube.address);
        for (server, text) in [(etcd, &mut topology), (api, &mut access)] {
            let proxy = Proxy::start(&server).await;
            for direction in [Direction::ToServer, Direction::ToClient] {
                proxy.change(direction, |faults| faults.latency = Duration::from_millis(40));
            }
            *text = text.replace(&server, &proxy.endpoint());
            proxies.push(proxy);
        }
        std::fs::write(&kubeconfig, access).unwrap();
    }
    std::fs::write(&file, topology).unwrap();
    proxies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_that_is_killed_at_every_step_does_nothing_twice() {
    let (pair, _mirror, dr) = mirrored().await;
    // New pods take a while, so that the run dies between doing and seeing.
    pair.west.kube.change(|state| state.delay = Duration::from_secs(1));
    let _far = far_away(&pair).await;
    let steps: Vec<String> =
        dr.plan(PlanName::Switchover).steps().map(|step| step.id.clone()).collect();
    for step in &steps {
        if dr.entries().iter().any(|entry| ended(&entry.event) == Some(step)) {
            continue;
        }
        let mut run = dr.start(&UNATTENDED);
        kill_at(&pair, &dr, &mut run, step).await;
        if step == "dns" {
            pair.dns.set(DOMAIN, &[&pair.west.vip]);
            pair.west.resolves_inside(&pair.west.vip);
        }
    }
    // The last of them may have come to its end before it was killed.
    if !dr.entries().iter().any(|entry| matches!(entry.event, Event::Completed)) {
        let mut run = dr.start(&UNATTENDED);
        let ended = run.wait(PATIENCE);
        assert!(ended.success(), "{ended}\n{}", run.tail(40));
    }
    dr.assert_completed();
    assert_each_step_once(&dr, &steps);
    assert_no_call_twice(&pair);
    assert_equal_in_scope(&pair.east.dump().await, &pair.west.dump().await, everything);
}

/// Steps are done in their order, each once; and none is begun after a later one.
fn assert_each_step_once(dr: &Dr, steps: &[String]) {
    let entries = dr.entries();
    let place = |id: &str| steps.iter().position(|step| step == id).unwrap();
    let done: Vec<&str> = entries.iter().filter_map(|entry| ended(&entry.event)).collect();
    assert_eq!(done, steps);
    let begun: Vec<usize> =
        entries.iter().filter_map(|entry| begun(&entry.event)).map(place).collect();
    assert!(begun.is_sorted(), "{begun:?}");
    let resumed = entries.iter().filter(|entry| matches!(entry.event, Event::Resumed)).count();
    // Steps that only a person sees to be done are over at once.
    assert!(resumed >= 8, "of {} steps {resumed} were caught in their middle", steps.len());
}

/// Whatever changed an API was asked for once.
fn assert_no_call_twice(pair: &Pair) {
    for cluster in [&pair.east, &pair.west] {
        let mut counts = BTreeMap::new();
        for call in cluster.kube.calls() {
            if call.method != "GET" && !call.path.contains("dryRun=All") {
                *counts.entry(format!("{} {}", call.method, call.path)).or_insert(0) += 1;
            }
        }
        assert!(!counts.is_empty());
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{}: {twice:?}", cluster.name);
    }
}
