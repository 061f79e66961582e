//! A stand-in for `ssh`: nodes that have a file, or have none, or are silent.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What the program does: it writes down how it was called, then does what the test says of the node.
const PROGRAM: &str = r#"#!/bin/sh
folder=$(dirname "$0")/nodes
for word in "$@"; do node=$target; target=$word; done
echo "$*" >> "$folder/calls"
node=${node#*@}
[ -f "$folder/$node" ] && . "$folder/$node"
echo "ssh: connect to host $node port 22: Connection refused" >&2
exit 255
"#;

/// All nodes that `ssh` can reach.
pub(crate) struct Nodes {
    folder: PathBuf,
}

impl Nodes {
    /// Puts a program `ssh` into a folder. No node answers yet.
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("nodes")).unwrap();
        let program = folder.join("ssh");
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("ssh")
    }

    /// The node has a file with this content, as far as digests tell, and this owner and mode.
    pub(crate) fn has(&self, node: &str, content: u8, owner: &str) {
        let digest = format!("{content:02x}").repeat(32);
        self.does(node, &format!("echo '{digest}  /the/file'; echo '{owner}'; exit 0"));
    }

    /// The node does this in a shell.
    pub(crate) fn does(&self, node: &str, script: &str) {
        std::fs::write(self.folder.join("nodes").join(node), script).unwrap();
    }

    /// How the program was called, a line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.folder.join("nodes/calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}
