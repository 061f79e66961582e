//! Where the programs are that the tests start. `cargo xtask test` names them by environment.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One side's etcd server, and the tools that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdBinaries {
    /// The server.
    pub etcd: PathBuf,
    /// The client for the command line.
    pub etcdctl: PathBuf,
    /// The tool for data directories and snapshots; 3.4 has none.
    pub etcdutl: Option<PathBuf>,
    /// Major and minor version, such as `(3, 7)`.
    pub series: (u32, u32),
}

impl EtcdBinaries {
    /// Returns what primaries are started from: `ETCD_BIN`, `ETCDCTL_BIN` and `ETCDUTL_BIN`, else
    /// what `PATH` has.
    #[must_use]
    pub fn primary() -> Self {
        Self::named("ETCD_BIN", "ETCDCTL_BIN", "ETCDUTL_BIN")
    }

    /// Returns what standbys are started from: `ETCD_STANDBY_BIN`, `ETCDCTL_STANDBY_BIN` and
    /// `ETCDUTL_STANDBY_BIN`, else the same as [`EtcdBinaries::primary`].
    #[must_use]
    pub fn standby() -> Self {
        if std::env::var_os("ETCD_STANDBY_BIN").is_none() {
            return Self::primary();
        }
        Self::named("ETCD_STANDBY_BIN", "ETCDCTL_STANDBY_BIN", "ETCDUTL_STANDBY_BIN")
    }

    fn named(etcd: &str, etcdctl: &str, etcdutl: &str) -> Self {
        let path = |variable: &str, name: &str| {
            std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
        };
        let etcd = path(etcd, "etcd");
        let series = series(&etcd);
        let etcdctl = path(etcdctl, "etcdctl");
        let beside = || Some(etcdctl.with_file_name("etcdutl")).filter(|path| path.is_file());
        let etcdutl = std::env::var_os(etcdutl).map(PathBuf::from).or_else(beside);
        Self { etcd, etcdctl, etcdutl, series }
    }
}

/// Asks a server for its version: the `(3, 7)` of 3.7.3.
fn series(etcd: &Path) -> (u32, u32) {
    let output = Command::new(etcd).arg("--version").output().unwrap_or_else(|error| {
        panic!(
            "can't start {}: {error}; run the tests with `cargo xtask test`, which brings etcd, \
             or set ETCD_BIN",
            etcd.display()
        )
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => panic!("{} --version does not begin with a version: {text}", etcd.display()),
    }
}

/// Returns the mirror's binary: `ETCD_SYNC_BIN`, else the one that cargo built beside the tests.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn etcd_sync() -> PathBuf {
    ours("etcd-sync", "ETCD_SYNC_BIN")
}

/// Returns the auditor's binary: `ETCD_CHECK_BIN`, else the one that cargo built beside the tests.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn etcd_check() -> PathBuf {
    ours("etcd-check", "ETCD_CHECK_BIN")
}

/// Returns the runbook's binary: `ETCD_DR_BIN`, else the one that cargo built beside the tests.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn etcd_dr() -> PathBuf {
    ours("etcd-dr", "ETCD_DR_BIN")
}

fn ours(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable}={} is no file", path.display());
        return path;
    }
    // target/debug/deps/it-… -> target/debug/etcd-sync
    let test = std::env::current_exe().expect("the test's own path");
    let path = test.parent().and_then(Path::parent).map(|dir| dir.join(name));
    path.filter(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no {name} beside {}: run `cargo build -p {name}` first, or set {variable}, or use \
             `cargo xtask test`",
            test.display()
        )
    })
}
