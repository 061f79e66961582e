//! Files on nodes are compared by what `ssh` says of them.

use dr_plan::Verdict;
use dr_plan::plan::Probe;
use tempfile::TempDir;

use crate::pair::{Pair, assert_says};
use crate::support::nodes::Nodes;

const PATH: &str = "/etc/kubernetes/the key's file.conf";
const EAST: &str = "127.0.0.1";
const WEST: &str = "127.0.0.2";

struct Reached {
    pair: Pair,
    nodes: Nodes,
    _folder: TempDir,
}

impl Reached {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nodes = Nodes::new(folder.path());
        let mut pair = Pair::start().await;
        pair.settings.ssh = nodes.ssh();
        for (cluster, address) in
            [(&mut pair.topology.primary, EAST), (&mut pair.topology.standby, WEST)]
        {
            cluster.nodes.truncate(1);
            cluster.nodes[0].address = address.to_owned();
        }
        Self { pair, nodes, _folder: folder }
    }

    async fn assert(&self, secret: bool, verdict: Verdict, says: &str) {
        let nodes = vec![EAST.to_owned(), WEST.to_owned()];
        let probe = Probe::SameFile { path: PATH.into(), nodes, secret };
        let answer = self.pair.ask(&probe).await;
        assert!(!answer.evidence.contains("secret-text"), "{answer:?}");
        assert_says(&answer, verdict, says);
    }
}

#[tokio::test]
async fn the_same_file_on_every_node_is_told_by_its_digest() {
    let reached = Reached::start().await;
    for node in [EAST, WEST] {
        reached.nodes.put(node, PATH, "secret-text", 0o600);
    }
    // sha256sum of `secret-text`, its beginning.
    reached.assert(true, Verdict::Holds, "is a8d283a0698b… on all 2 nodes").await;
    reached.nodes.put(WEST, PATH, "secret-text\n", 0o600);
    reached.assert(true, Verdict::Fails, "it differs: a8d283a0698b… on east/").await;
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_told() {
    let reached = Reached::start().await;
    reached.nodes.put(EAST, PATH, "secret-text", 0o600);
    reached.nodes.put(WEST, PATH, "secret-text", 0o644);
    reached.assert(false, Verdict::Holds, "on all 2 nodes").await;
    reached.assert(true, Verdict::Fails, "it is `root 644`, not root's alone").await;
}

#[tokio::test]
async fn a_missing_file_fails_and_a_node_out_of_reach_is_unknown() {
    let reached = Reached::start().await;
    reached.nodes.put(EAST, PATH, "secret-text", 0o600);
    reached.assert(true, Verdict::Unknown, "was not reached: ssh: connect to host").await;
    // With the lines to compare by hand.
    reached.assert(true, Verdict::Unknown, "ssh root@$i \"sudo sha256sum /etc/").await;
    reached.nodes.put(WEST, "/etc/other", "", 0o600);
    reached.assert(true, Verdict::Fails, "No such file").await;
}

#[tokio::test]
async fn without_ssh_the_answer_is_unknown() {
    let mut reached = Reached::start().await;
    reached.pair.settings.ssh = "/nowhere/ssh".into();
    reached.assert(true, Verdict::Unknown, "/nowhere/ssh can't be run").await;
}
