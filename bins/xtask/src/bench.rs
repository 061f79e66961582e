//! The mirror against `etcdctl make-mirror`, and its orders of writing against each other, on real
//! etcds.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::etcd::{self, Series};
use crate::{paths, tests};

pub(crate) fn run(series: Option<Series>) -> Result<ExitCode> {
    let etcd = etcd::bring(series)?;
    println!("{etcd}");
    let built = tests::made_by(&["build", "--locked", "--release", "-p", "etcd-sync"])?;
    let mut command = paths::cargo();
    command.args(["bench", "--locked", "--quiet", "-p", "benches"]);
    command.args(["--bench", "mirror", "--bench", "order"]);
    tests::surround(&mut command, &built, &(etcd.clone(), etcd), 1);
    let status = command.status().context("can't run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
