//! Brings real etcds: named by environment, found on `PATH`, built from the official Go modules, or
//! taken out of the distribution's packages, in this order.
//!
//! What was built or fetched is kept under `target/etcd/<series>/`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{packages, paths};

/// A minor version of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Series {
    /// The oldest that is supported; no Go module builds it, Debian 12 has it
    #[value(name = "3.4")]
    V3_4,
    /// Maintained
    #[value(name = "3.5")]
    V3_5,
    /// Maintained
    #[value(name = "3.6")]
    V3_6,
    /// The newest
    #[value(name = "3.7")]
    V3_7,
}

impl Series {
    /// All of them, the newest first.
    pub(crate) const NEWEST_FIRST: [Self; 4] = [Self::V3_7, Self::V3_6, Self::V3_5, Self::V3_4];

    const fn as_str(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
            Self::V3_7 => "3.7",
        }
    }

    /// Returns the series of a version such as `3.7.3`.
    fn of(version: &str) -> Option<Self> {
        Self::NEWEST_FIRST.into_iter().find(|series| {
            version.strip_prefix(series.as_str()).is_some_and(|patch| patch.starts_with('.'))
        })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A server with its tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etcd {
    pub(crate) version: String,
    pub(crate) etcd: PathBuf,
    pub(crate) etcdctl: PathBuf,
    /// From 3.5 on, where it could be had.
    pub(crate) etcdutl: Option<PathBuf>,
    origin: String,
}

impl fmt::Display for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd {} ({})", self.version, self.origin)
    }
}

impl Etcd {
    /// Looks at a pair of programs; fails if they don't run.
    fn at(etcd: PathBuf, etcdctl: PathBuf, origin: impl Into<String>) -> Result<Self> {
        let version = version(&etcd)?;
        version_of_tool(&etcdctl)?;
        let beside = etcdctl.with_file_name("etcdutl");
        let etcdutl = Some(beside).filter(|path| path.is_file());
        Ok(Self { version, etcd, etcdctl, etcdutl, origin: origin.into() })
    }

    /// Looks at what lies in one directory.
    fn inside(dir: &Path, origin: impl Into<String>) -> Result<Self> {
        Self::at(dir.join("etcd"), dir.join("etcdctl"), origin)
    }

    pub(crate) fn series(&self) -> Option<Series> {
        Series::of(&self.version)
    }
}

/// Returns the `3.7.3` of `etcd Version: 3.7.3`.
fn version(etcd: &Path) -> Result<String> {
    let output = Command::new(etcd)
        .arg("--version")
        .output()
        .with_context(|| format!("can't run {}", etcd.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    let version = version.with_context(|| format!("{} is no etcd server", etcd.display()))?;
    Ok(version.trim().to_owned())
}

fn version_of_tool(etcdctl: &Path) -> Result<()> {
    let output = Command::new(etcdctl)
        .arg("version")
        .env("ETCDCTL_API", "3")
        .output()
        .with_context(|| format!("can't run {}", etcdctl.display()))?;
    ensure!(output.status.success(), "{} is no etcdctl", etcdctl.display());
    Ok(())
}

/// Brings a series, or the newest that can be had.
pub(crate) fn bring(wanted: Option<Series>) -> Result<Etcd> {
    let Some(series) = wanted else { return newest() };
    if let Some(etcd) = named(series)? {
        return Ok(etcd);
    }
    if let Some(etcd) = installed().filter(|etcd| etcd.series() == Some(series)) {
        return Ok(etcd);
    }
    let mut reasons = Vec::new();
    for source in [built, packaged] {
        match source(series) {
            Ok(etcd) => return Ok(etcd),
            Err(reason) => reasons.push(format!("{reason:#}")),
        }
    }
    Err(missing(&format!("etcd {series}"), &reasons))
}

fn newest() -> Result<Etcd> {
    if let Some(etcd) = named_for_all()? {
        return Ok(etcd);
    }
    let installed = installed();
    let mut reasons = Vec::new();
    for series in Series::NEWEST_FIRST {
        if let Some(etcd) = named(series)? {
            return Ok(etcd);
        }
        if let Some(etcd) = installed.clone().filter(|etcd| etcd.series() == Some(series)) {
            return Ok(etcd);
        }
        // If one can't be built for want of Go or of a network, neither can the next.
        if reasons.is_empty() {
            match built(series) {
                Ok(etcd) => return Ok(etcd),
                Err(reason) => reasons.push(format!("{reason:#}")),
            }
        }
    }
    // Another version than we know, but an etcd.
    if let Some(etcd) = installed {
        return Ok(etcd);
    }
    match unpack_package() {
        Ok(etcd) => Ok(etcd),
        Err(reason) => {
            reasons.push(format!("{reason:#}"));
            Err(missing("etcd", &reasons))
        }
    }
}

fn missing(what: &str, reasons: &[String]) -> anyhow::Error {
    anyhow!(
        "no {what} here: install Go 1.26 or later, or etcd and etcdctl, or name them in ETCD_BIN \
         and ETCDCTL_BIN ({})",
        reasons.join("; ")
    )
}

/// Looks for `ETCD_BIN_3_7` and `ETCDCTL_BIN_3_7`, then for `ETCD_BIN` if that is of the series.
fn named(series: Series) -> Result<Option<Etcd>> {
    let suffix = series.as_str().replace('.', "_");
    let etcd = named_by(&format!("ETCD_BIN_{suffix}"), &format!("ETCDCTL_BIN_{suffix}"))?;
    if let Some(etcd) = &etcd {
        ensure!(
            etcd.series() == Some(series),
            "ETCD_BIN_{suffix} is etcd {}, not {series}",
            etcd.version
        );
    }
    let fits = |etcd: &Etcd| etcd.series() == Some(series);
    Ok(etcd.or(named_for_all()?.filter(fits)))
}

fn named_for_all() -> Result<Option<Etcd>> {
    named_by("ETCD_BIN", "ETCDCTL_BIN")
}

fn named_by(etcd: &str, etcdctl: &str) -> Result<Option<Etcd>> {
    let Some(path) = std::env::var_os(etcd).map(PathBuf::from) else { return Ok(None) };
    let beside = path.with_file_name("etcdctl");
    let tool = std::env::var_os(etcdctl).map(PathBuf::from).unwrap_or(beside);
    Etcd::at(path, tool, format!("named by {etcd}"))
        .map(Some)
        .with_context(|| format!("{etcd} or {etcdctl} is wrong"))
}

fn installed() -> Option<Etcd> {
    let (etcd, etcdctl) = (paths::on_path("etcd")?, paths::on_path("etcdctl")?);
    Etcd::at(etcd, etcdctl, "found on PATH").ok()
}

/// Builds the versions that `etcd/<series>/go.mod` pins, or takes what was built from the same.
fn built(series: Series) -> Result<Etcd> {
    const ORIGIN: &str = "built from Go modules";
    ensure!(series != Series::V3_4, "etcd 3.4 can't be built from Go modules");
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("etcd").join(series.as_str());
    let pins = std::fs::read_to_string(module.join("go.mod"))
        .with_context(|| format!("{} is gone", module.join("go.mod").display()))?;
    let version = pin(&pins).with_context(|| format!("no etcd in {}", module.display()))?;
    let dir = paths::etcds().join(series.as_str());
    if let Ok(etcd) = Etcd::inside(&dir, ORIGIN)
        && etcd.version == version
        && etcd.etcdutl.is_some()
    {
        return Ok(etcd);
    }
    let go = go().context("no Go")?;
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    println!("building etcd {version} from its Go modules, once; this takes minutes …");
    let begin = Instant::now();
    for (program, package) in [("etcd", "server"), ("etcdctl", "etcdctl"), ("etcdutl", "etcdutl")] {
        // Under another name first: a build that was stopped leaves no half a program.
        let part = dir.join(format!("{program}.part-{}", std::process::id()));
        let output = Command::new(&go)
            .current_dir(&module)
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o"])
            .arg(&part)
            .arg(format!("go.etcd.io/etcd/{package}/v3"))
            .env("CGO_ENABLED", "0")
            .env_remove("GOFLAGS")
            .env("GOWORK", "off")
            .output()
            .context("can't run go")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            bail!("go can't build {program} {version}: {}", last.unwrap_or("no reason given"));
        }
        std::fs::rename(&part, dir.join(program)).context("can't keep what was built")?;
    }
    println!("built in {:.0} s", begin.elapsed().as_secs_f64());
    Etcd::inside(&dir, ORIGIN)
}

/// Returns the version of the server that a go.mod requires, without its `v`.
fn pin(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let version = line.trim().strip_prefix("go.etcd.io/etcd/server/v3 v")?;
        version.split_whitespace().next().map(str::to_owned)
    })
}

fn go() -> Option<PathBuf> {
    let usual = PathBuf::from("/usr/local/go/bin/go");
    paths::on_path("go").or(Some(usual).filter(|path| path.is_file()))
}

/// Takes a series out of the distribution's packages, if that is what it has.
fn packaged(series: Series) -> Result<Etcd> {
    let etcd = unpack_package()?;
    ensure!(
        etcd.series() == Some(series),
        "the distribution's etcd is {}, not {series}",
        etcd.version
    );
    Ok(etcd)
}

/// Unpacks the packages instead of installing them, so that no service starts.
fn unpack_package() -> Result<Etcd> {
    const ORIGIN: &str = "from the distribution's packages";
    let dir = paths::etcds().join("packages");
    let programs = dir.join("usr").join("bin");
    if let Ok(etcd) = Etcd::inside(&programs, ORIGIN) {
        return Ok(etcd);
    }
    packages::unpack(&dir, &["etcd-server", "etcd-client"])?;
    Etcd::inside(&programs, ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_belongs_to_its_series() {
        assert_eq!(Series::of("3.7.3"), Some(Series::V3_7));
        assert_eq!(Series::of("3.4.23"), Some(Series::V3_4));
        assert_eq!(Series::of("3.70.1"), None);
        assert_eq!(Series::of("4.0.0"), None);
    }

    #[test]
    fn every_pinned_module_is_of_its_series_and_names_no_later_go_than_it_needs() {
        for series in [Series::V3_5, Series::V3_6, Series::V3_7] {
            let path = format!("{}/etcd/{series}/go.mod", env!("CARGO_MANIFEST_DIR"));
            let pins = std::fs::read_to_string(path).unwrap();
            let version = pin(&pins).unwrap();
            assert_eq!(Series::of(&version), Some(series));
            assert!(pins.lines().any(|line| line == "go 1.26.0"));
            assert!(!pins.contains("toolchain"));
        }
    }
}
