use std::time::{Duration, Instant};

use dr_plan::Verdict;
use dr_plan::plan::{Place, Probe, Side};

use crate::pair::{HASTE, Pair, assert_says};
use crate::support::dns::NameServer;
use crate::support::kube::NEVER;

const NAME: &str = "platform.example.org";

fn leads_to(address: &str) -> Probe {
    Probe::Resolves { name: NAME.into(), address: address.into(), from: Place::Here }
}

fn leads_inside_to(address: &str) -> Probe {
    let from = Place::Inside(Side::Standby);
    Probe::Resolves { name: NAME.into(), address: address.into(), from }
}

async fn pair_with(servers: &[&NameServer]) -> Pair {
    let mut pair = Pair::start().await;
    pair.settings.name_servers = servers.iter().map(|server| server.address).collect();
    pair
}

#[tokio::test]
async fn a_name_holds_if_it_leads_to_the_address_and_to_no_other() {
    let server = NameServer::start().await;
    let pair = pair_with(&[&server]).await;
    server.set(NAME, &["10.1.0.100"]);
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Holds, "for 60 s");
    assert_says(&pair.ask(&leads_to("10.0.0.100")).await, Verdict::Fails, "says 10.1.0.100");
    for also in ["10.0.0.100", "fd00::1"] {
        server.set(NAME, &["10.1.0.100", also]);
        assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Fails, also);
    }
    server.set(NAME, &["fd00::1"]);
    assert_says(&pair.ask(&leads_to("fd00:0::1")).await, Verdict::Holds, "fd00::1");
}

#[tokio::test]
async fn a_name_that_does_not_exist_fails() {
    let server = NameServer::start().await;
    let pair = pair_with(&[&server]).await;
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Fails, "no address");
    server.set(NAME, &[]);
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Fails, "no address");
}

#[tokio::test]
async fn a_change_that_has_reached_some_servers_is_on_its_way() {
    let (new, old) = (NameServer::start().await, NameServer::start().await);
    let pair = pair_with(&[&new, &old]).await;
    new.set(NAME, &["10.1.0.100"]);
    old.set(NAME, &["10.0.0.100"]);
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Pending, "10.0.0.100");
    old.set(NAME, &["10.1.0.100"]);
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Holds, "10.1.0.100");
}

#[tokio::test]
async fn a_server_that_is_silent_or_broken_says_nothing_and_is_no_no() {
    let (good, bad) = (NameServer::start().await, NameServer::start().await);
    let mut pair = pair_with(&[&good, &bad]).await;
    pair.settings.time_limit = HASTE;
    good.set(NAME, &["10.1.0.100"]);
    bad.be_silent();
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Holds, "no answer");
    good.break_down();
    let began = Instant::now();
    let answer = pair.ask(&leads_to("10.1.0.100")).await;
    assert_says(&answer, Verdict::Unknown, "ServerFailure");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_asked_for_by_tcp() {
    let server = NameServer::start().await;
    let pair = pair_with(&[&server]).await;
    server.set(NAME, &["10.1.0.100"]);
    server.insist_on_tcp();
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Holds, "10.1.0.100");
    assert_eq!(server.asked_by_tcp(), 2);
}

#[tokio::test]
async fn without_servers_of_ones_own_those_of_the_machine_are_asked() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Unknown, "resolv.conf");
    let file = "# nameserver 10.0.0.1\nsearch example.org\n";
    std::fs::write(&pair.settings.resolv_conf, file).unwrap();
    assert_says(&pair.ask(&leads_to("10.1.0.100")).await, Verdict::Unknown, "names no server");
    let file = "options edns0\nnameserver 127.0.0.1 # this machine\n";
    std::fs::write(&pair.settings.resolv_conf, file).unwrap();
    // Who answers at port 53 of this machine, if anybody, is not the test's business.
    let answer = pair.ask(&leads_to("10.1.0.100")).await;
    assert!(answer.evidence.contains("127.0.0.1:53"), "{answer:?}");
}

#[tokio::test]
async fn inside_a_cluster_a_pod_is_asked() {
    let pair = Pair::start().await;
    pair.standby.deployment("cpaas-system", "sentry");
    pair.standby.pod("cpaas-system", "sentry-1", ("app", "sentry"), 60);
    let says = |code, output: &str| {
        let command = format!("getent ahosts {NAME}");
        pair.standby.change(|state| state.commands = vec![(command, code, output.into())]);
    };
    says(0, "10.1.0.100  STREAM platform.example.org\n10.1.0.100  DGRAM  \n");
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Holds, "inside west");
    assert_says(&pair.ask(&leads_inside_to("10.0.0.100")).await, Verdict::Fails, "10.1.0.100");
    // What comes in pieces is read to its end.
    says(0, "10.1.0.100  STREAM platform.example.org\n10.0.0.100  STREAM \n");
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Fails, "10.0.0.100");
    says(2, "");
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Fails, "no address");
}

#[tokio::test]
async fn where_no_pod_can_be_asked_a_person_is_told_how() {
    let pair = Pair::start().await;
    let by_hand = "exec -n cpaas-system deployments/sentry -- nslookup platform.example.org";
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Unknown, by_hand);
    // There is a pod, and it has no getent; the mirror's pod is the second choice.
    pair.standby.deployment("cpaas-system", "etcd-sync");
    pair.standby.pod("cpaas-system", "etcd-sync-1", ("app", "etcd-sync"), 60);
    let answer = pair.ask(&leads_inside_to("10.1.0.100")).await;
    assert_says(&answer, Verdict::Unknown, by_hand);
    assert!(answer.evidence.contains("etcd-sync can't run getent"), "{answer:?}");
    assert!(answer.evidence.contains("etcd-sync can't run nslookup"), "{answer:?}");
}

#[tokio::test]
async fn a_pod_without_getent_is_asked_with_nslookup() {
    let pair = Pair::start().await;
    pair.standby.deployment("cpaas-system", "sentry");
    pair.standby.pod("cpaas-system", "sentry-1", ("app", "sentry"), 60);
    let says = |code, answer: &str| {
        let output = format!("Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n{answer}\n");
        let command = format!("nslookup {NAME}");
        pair.standby.change(|state| state.commands = vec![(command, code, output)]);
    };
    says(0, "Name:\tplatform.example.org\nAddress: 10.1.0.100");
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Holds, "inside west");
    assert_says(&pair.ask(&leads_inside_to("10.96.0.10")).await, Verdict::Fails, "10.1.0.100");
    says(1, "** server can't find platform.example.org: NXDOMAIN");
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Fails, "no address");
    says(1, ";; connection timed out; no servers could be reached");
    let by_hand = "deployments/sentry -- nslookup";
    assert_says(&pair.ask(&leads_inside_to("10.1.0.100")).await, Verdict::Unknown, by_hand);
}

#[tokio::test]
async fn a_command_that_is_refused_or_does_not_end_tells_nothing() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    pair.standby.deployment("cpaas-system", "sentry");
    pair.standby.pod("cpaas-system", "sentry-1", ("app", "sentry"), 60);
    let ends = |command: &str| {
        let command = (command.to_owned(), NEVER, "10.1.0.100 STREAM".to_owned());
        pair.standby.change(|state| state.commands = vec![command]);
    };
    ends("getent");
    let began = Instant::now();
    let probe = leads_inside_to("10.1.0.100");
    assert_says(&pair.ask(&probe).await, Verdict::Unknown, "deployments/sentry -- nslookup");
    assert!(began.elapsed() < Duration::from_secs(3));
    let pods = "/api/v1/namespaces/cpaas-system/pods/sentry-1/exec";
    pair.standby.change(|state| state.refused = vec![(pods.into(), 403, "forbidden".into())]);
    let answer = pair.ask(&probe).await;
    assert_says(&answer, Verdict::Unknown, "cpaas-system/sentry: it answers 403");
}
