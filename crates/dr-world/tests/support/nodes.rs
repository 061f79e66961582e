//! Nodes that `ssh` reaches.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Files on nodes, each in a folder of this one, and what stands in for `ssh` to them.
pub(crate) struct Nodes(PathBuf);

impl Nodes {
    pub(crate) fn new(folder: &Path) -> Self {
        // Tests of more than one package take this in.
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut scripts = above.map(|folder| folder.join("crates/dr-world/tests/support/ssh"));
        let script = scripts.find(|script| script.exists()).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        symlink(script, folder.join("ssh")).unwrap();
        Self(folder.to_owned())
    }

    pub(crate) fn ssh(&self) -> PathBuf {
        self.0.join("ssh")
    }

    /// Puts a file on a node, with this mode.
    pub(crate) fn put(&self, node: &str, path: &str, text: &str, mode: u32) {
        let file = self.0.join(node).join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    }
}
