//! Lines that a person types do on the nodes what they say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dr_plan::plan::{Action, Instruction, Kind, Plan, PlanName, Side};
use tempfile::TempDir;

use crate::topology::pair;

/// Control-plane nodes as folders, and an `ssh` that leads into them.
struct Nodes {
    folder: TempDir,
}

impl Nodes {
    /// Those of the standby, which runs.
    fn new() -> Self {
        let nodes = Self { folder: tempfile::tempdir().unwrap() };
        for node in &pair().standby.nodes {
            for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
                nodes.put(&node.address, &format!("etc/kubernetes/manifests/{name}.yaml"));
            }
            nodes.put(&node.address, "var/lib/etcd/member");
        }
        // As the real one, it makes one line of all words, for the shell over there. Nobody waits,
        // and nobody needs to become root.
        nodes.program(
            "ssh",
            &format!(
                "node='{root}'/${{1#*@}}; shift\n\
                 sh -c \"$(printf '%s' \"$*\" | sed \"s|/etc/|$node/etc/|g; s|/var/|$node/var/|g; \
                 s|sleep 30|true|\")\"",
                root = nodes.folder.path().display()
            ),
        );
        nodes.program("sudo", "exec \"$@\"");
        nodes
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, node: &str, file: &str) {
        let path = self.path(node).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Types lines into a shell, which stops at the first that fails.
    fn types(&self, lines: &str) {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh").args(["-ec", lines]).env("PATH", path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{lines}\n{said}");
    }

    /// The files below a folder of every node.
    fn files(&self, folder: &str) -> Vec<Vec<String>> {
        let nodes = &pair().standby.nodes;
        nodes.iter().map(|node| names(&self.path(&node.address).join(folder))).collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn controllers_are_restarted_by_what_is_typed() {
    let nodes = Nodes::new();
    let manifests = nodes.files("etc/kubernetes/manifests");
    let lines = Action::RestartControllers { side: Side::Standby }.by_hand(&pair()).unwrap();
    // Seen in the middle: what was to go has gone.
    let middle = lines.replace("sleep 30;", "exit 0;");
    nodes.types(&middle);
    for files in nodes.files("etc/kubernetes/manifests") {
        assert_eq!(files, ["etcd.yaml", "kube-scheduler.yaml"]);
    }
    // Whoever was interrupted puts the rest back by typing it again.
    nodes.types(&lines.replace("&& mv", "; true mv"));
    assert_eq!(nodes.files("etc/kubernetes/manifests"), manifests);
    nodes.types(&lines);
    assert_eq!(nodes.files("etc/kubernetes/manifests"), manifests);
}

/// A cluster is lifted each time it becomes a standby again.
#[test]
fn each_restore_stops_everything_sets_the_data_aside_and_starts_all_again() {
    let nodes = Nodes::new();
    for stand_in in ["etcdctl", "scp", "pgrep"] {
        nodes.program(stand_in, "true");
    }
    // It refuses a folder that is there, as the real one does.
    nodes
        .program("etcdutl", "for folder; do :; done; mkdir $folder && echo $FLOOR >$folder/member");
    let manifests = nodes.files("etc/kubernetes/manifests");
    let plan = Plan::new(PlanName::Enable, &pair());
    let step = plan.steps().find(|step| step.id == "lift-revision").unwrap();
    let Kind::ByHand(instructions) = &step.kind else { panic!("{step:?}") };
    let typed = instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Type(lines) => Some(lines),
        Instruction::Do(_) => None,
    });
    for (floor, live) in [("1000", ""), ("2000", "1000\n")] {
        let aside = format!("var/lib/etcd.before.{floor}");
        let mut fewest = usize::MAX;
        for lines in typed.clone() {
            if lines.contains("etcdutl snapshot restore") {
                assert!(nodes.files("etc/kubernetes/manifests").iter().all(|left| left.len() == 1));
                assert!(nodes.files(&aside).iter().all(|kept| *kept == ["member"]));
            }
            // Every line is typed into a shell of its own here, which knows what was reckoned.
            nodes.types(&format!("export FLOOR={floor}; {lines}"));
            fewest = fewest.min(nodes.files("etc/kubernetes/manifests").concat().len());
        }
        assert_eq!(fewest, pair().standby.nodes.len(), "only the schedulers stay");
        assert_eq!(nodes.files("etc/kubernetes/manifests"), manifests);
        assert!(nodes.files("etc/kubernetes/stopped").iter().all(Vec::is_empty));
        for node in &pair().standby.nodes {
            let kept = nodes.path(&node.address).join(&aside).join("member");
            assert_eq!(
                fs::read_to_string(kept).unwrap(),
                live,
                "what is put back if it goes wrong"
            );
        }
    }
}
