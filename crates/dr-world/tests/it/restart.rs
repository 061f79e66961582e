//! Controllers are restarted by taking their manifests away and putting them back.

use std::path::{Path, PathBuf};

use dr_plan::plan::{Action, Side};
use dr_plan::topology::Node;
use tempfile::TempDir;

use crate::pair::Pair;
use crate::support::nodes::Nodes;

const NAMES: [&str; 2] = ["kube-apiserver.yaml", "kube-controller-manager.yaml"];
const RESTART: Action = Action::RestartControllers { side: Side::Standby };

/// A standby with three nodes; the manifests of two of them are there.
async fn start() -> (Pair, Nodes, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let nodes = Nodes::new(folder.path());
    let mut pair = Pair::start().await;
    pair.settings.ssh = nodes.ssh();
    let address = |n: u8| format!("127.0.0.{n}");
    let named = |n: u8| Node { name: format!("west-m{n}"), address: address(n) };
    pair.topology.standby.nodes = (1..=3).map(named).collect();
    for (node, n) in pair.topology.standby.nodes.iter().zip(1..) {
        for name in NAMES.iter().filter(|_| n < 3) {
            nodes.put(&node.address, &format!("/etc/kubernetes/manifests/{name}"), "", 0o600);
        }
    }
    (pair, nodes, folder)
}

fn manifests(folder: &Path, n: u8, place: &str) -> Vec<PathBuf> {
    let folder = folder.join(format!("127.0.0.{n}/etc/kubernetes/{place}"));
    NAMES.iter().map(|name| folder.join(name)).filter(|file| file.exists()).collect()
}

#[tokio::test]
async fn nothing_is_touched_unless_every_node_is_reached() {
    let (pair, _nodes, folder) = start().await;
    let why = pair.act(&RESTART).await.unwrap_err().to_string();
    assert!(why.contains("west-m3 was not reached: ssh: connect to host 127.0.0.3"), "{why}");
    // With the lines that do it, in one line.
    assert!(why.contains("ssh root@127.0.0.1 \"sudo sh -c 'mkdir -p"), "{why}");
    assert!(!why.contains('\n'), "{why}");
    assert!(!folder.path().join("127.0.0.1/etc/kubernetes/stopped").exists());
}

#[tokio::test]
async fn every_node_has_its_manifests_again_in_the_end() {
    let (pair, nodes, folder) = start().await;
    // Whoever did this before was interrupted.
    for name in NAMES {
        nodes.put("127.0.0.3", &format!("/etc/kubernetes/stopped/{name}"), "", 0o600);
    }
    nodes.put("127.0.0.3", "/etc/kubernetes/manifests/etcd.yaml", "", 0o600);
    let watched = async {
        // They are away for a while.
        while manifests(folder.path(), 1, "stopped").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (done, ()) = tokio::join!(pair.act(&RESTART), watched);
    assert!(done.unwrap().contains("of 3 nodes"));
    for n in 1..=3 {
        assert_eq!(manifests(folder.path(), n, "manifests").len(), 2, "node {n}");
        assert!(manifests(folder.path(), n, "stopped").is_empty(), "node {n}");
    }
}
