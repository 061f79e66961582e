use std::time::{Duration, Instant};

use dr_plan::Verdict;
use dr_plan::plan::Probe;

use crate::pair::{HASTE, Pair, assert_says};
use crate::support::ssh::Nodes;

const PATH: &str = "/etc/kubernetes/encryption-provider.conf";
const EAST: &str = "127.0.0.1";
const WEST: &str = "127.0.0.2";

/// Two nodes, one of each cluster, that `ssh` reaches.
async fn pair() -> (Pair, Nodes) {
    let mut pair = Pair::start().await;
    let nodes = Nodes::new(pair.dir.path());
    pair.settings.ssh = nodes.program();
    pair.topology.standby.nodes[0].address = WEST.to_owned();
    pair.topology.standby.ssh_user = "admin".to_owned();
    (pair, nodes)
}

fn same(secret: bool) -> Probe {
    let nodes = vec![EAST.to_owned(), WEST.to_owned()];
    Probe::SameFile { path: PATH.to_owned(), nodes, secret }
}

#[tokio::test]
async fn a_file_is_the_same_if_its_digests_are() {
    let (pair, nodes) = pair().await;
    nodes.has(EAST, 7, "root 600");
    nodes.has(WEST, 7, "root 400");
    let answer = pair.ask(&same(true)).await;
    assert_says(&answer, Verdict::Holds, "sha256 0707070707070707 on 127.0.0.1 127.0.0.2");
    nodes.has(WEST, 8, "root 600");
    let named = format!(
        "{PATH} differs: sha256 0707070707070707 on {EAST}, sha256 0808080808080808 on {WEST}"
    );
    assert_says(&pair.ask(&same(true)).await, Verdict::Fails, &named);
}

#[tokio::test]
async fn each_node_is_asked_as_its_clusters_user_and_nobody_is_asked_for_a_password() {
    let (pair, nodes) = pair().await;
    pair.ask(&same(true)).await;
    let mut calls = nodes.calls();
    calls.sort();
    assert_eq!(calls.len(), 2, "{calls:?}");
    for (call, target) in calls.iter().zip(["admin@127.0.0.2", "root@127.0.0.1"]) {
        assert!(call.starts_with("-o BatchMode=yes -o ConnectTimeout=2 -- "), "{call}");
        let command = format!("-- {target} LC_ALL=C sudo -n sha256sum {PATH} && sudo -n stat ");
        assert!(call.contains(&command), "{call}");
    }
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_told() {
    let (pair, nodes) = pair().await;
    nodes.has(EAST, 7, "root 600");
    for owner in ["root 640", "root 604", "kube 600"] {
        nodes.has(WEST, 7, owner);
        let named = format!("on {WEST} it is `{owner}`, not root's alone");
        assert_says(&pair.ask(&same(true)).await, Verdict::Fails, &named);
        assert_says(&pair.ask(&same(false)).await, Verdict::Holds, "is the same");
    }
}

#[tokio::test]
async fn a_node_without_the_file_is_a_no_and_one_that_is_silent_is_not() {
    let (mut pair, nodes) = pair().await;
    pair.settings.time_limit = HASTE;
    nodes.has(EAST, 7, "root 600");
    nodes.does(WEST, "echo 'sha256sum: /x: No such file or directory' >&2; exit 1");
    let named = format!("{WEST} has no {PATH}");
    assert_says(&pair.ask(&same(true)).await, Verdict::Fails, &named);

    let by_hand = format!("ssh admin@$i \"sudo sha256sum {PATH};");
    nodes.does(WEST, "echo 'sudo: a password is required' >&2; exit 1");
    let answer = pair.ask(&same(true)).await;
    assert_says(&answer, Verdict::Unknown, &by_hand);
    assert!(answer.evidence.starts_with("127.0.0.2: sudo: a password"), "{answer:?}");
    nodes.does(WEST, "echo 'Host key verification failed.' >&2; exit 255");
    assert_says(&pair.ask(&same(true)).await, Verdict::Unknown, "Host key verification failed");
    let began = Instant::now();
    nodes.does(WEST, "exec sleep 60");
    assert_says(&pair.ask(&same(true)).await, Verdict::Unknown, "did not end within 700ms");
    assert!(began.elapsed() < Duration::from_secs(5));
    // What differs already need not wait for the rest.
    nodes.has(EAST, 7, "root 644");
    assert_says(&pair.ask(&same(true)).await, Verdict::Fails, "root 644");
}

#[tokio::test]
async fn whatever_else_a_node_says_is_not_repeated() {
    let (pair, nodes) = pair().await;
    nodes.has(EAST, 7, "root 600");
    for output in ["secret: s3cr3t", "s3cr3t s3cr3t\nroot 600", "", "0707  /f\nroot 600"] {
        nodes.does(WEST, &format!("printf '%s\\n' '{output}'; exit 0"));
        assert_says(&pair.ask(&same(true)).await, Verdict::Unknown, "no digest came back");
    }
}

#[tokio::test]
async fn without_ssh_a_person_is_told_how() {
    let (mut pair, _nodes) = pair().await;
    pair.settings.ssh = "/nowhere/ssh".into();
    let answer = pair.ask(&same(true)).await;
    assert_says(&answer, Verdict::Unknown, "ssh root@$i \"sudo sha256sum");
    assert!(answer.evidence.contains("/nowhere/ssh"), "{answer:?}");
}
