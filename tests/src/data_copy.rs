//! Copies of a cluster's data directory: what a backup of the disk restores.

use std::path::{Path, PathBuf};

use crate::etcd::Etcd;

/// A copy of a killed cluster's data, to go back to. Of clusters with one member.
#[derive(Debug)]
pub struct Copy {
    data: PathBuf,
}

/// Kills the cluster, keeps a copy of its data and starts it again.
///
/// # Panics
///
/// If the data can't be copied.
pub async fn copy_data(etcd: &mut Etcd) -> Copy {
    etcd.kill();
    let copy = Copy { data: etcd.dir().join("copy") };
    copy_dir(&etcd.dir().join("m0.data"), &copy.data);
    etcd.restart().await;
    copy
}

impl Copy {
    /// Puts the copy in place of what the cluster holds today. Cluster id, members and the raft log
    /// up to the copy stay what they are.
    ///
    /// # Panics
    ///
    /// If the data can't be copied.
    pub async fn put_back(&self, etcd: &mut Etcd) {
        etcd.wipe();
        copy_dir(&self.data, &etcd.dir().join("m0.data"));
        etcd.restart().await;
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
