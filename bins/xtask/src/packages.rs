//! Programs out of the distribution's packages: unpacked instead of installed, so that no service
//! starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::paths;

/// Unpacks packages into `dir`, and returns the folder of their programs.
pub(crate) fn unpack(dir: &Path, packages: &[&str]) -> Result<PathBuf> {
    let apt = paths::on_path("apt-get").context("no apt-get")?;
    std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    println!("fetching {} from the distribution, without installing …", packages.join(" and "));
    let fetch = || download(&apt, dir, packages);
    if fetch().is_err() {
        // As on a fresh machine: no lists of packages yet. Only root can change that.
        let _ = Command::new(&apt).args(["-qq", "update"]).output();
        fetch()?;
    }
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let unpacked = Command::new("dpkg").arg("-x").arg(&path).arg(dir).status();
            ensure!(unpacked.context("no dpkg")?.success(), "can't unpack {}", path.display());
            std::fs::remove_file(&path)?;
        }
    }
    Ok(dir.join("usr").join("bin"))
}

fn download(apt: &Path, dir: &Path, packages: &[&str]) -> Result<()> {
    let output = Command::new(apt)
        .current_dir(dir)
        .args(["-qq", "download"])
        .args(packages)
        .output()
        .context("can't run apt-get")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    ensure!(output.status.success(), "apt-get can't fetch {}: {last}", packages.join(" and "));
    Ok(())
}

/// Brings Prometheus' `promtool`: named by `PROMTOOL_BIN`, found on `PATH`, or out of the
/// distribution's package.
pub(crate) fn promtool() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("PROMTOOL_BIN").filter(|named| !named.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    if let Some(installed) = paths::on_path("promtool") {
        return Ok(installed);
    }
    let dir = paths::workspace().join("target").join("promtool");
    let program = dir.join("usr").join("bin").join("promtool");
    if !program.is_file() {
        unpack(&dir, &["prometheus"])?;
    }
    ensure!(program.is_file(), "the package has no promtool");
    Ok(program)
}
