//! The tests: the workspace's, and those on real etcds, with one version or with several.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::etcd::{self, Etcd, Series};
use crate::{packages, paths};

const END_TO_END: &str = "end-to-end";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// Which etcd; the newest that can be had, unless told. `all`: the tests on real etcds with
    /// each version that can be had
    #[arg(
        long,
        value_name = "3.4|3.5|3.6|3.7|all",
        value_parser = which,
        conflicts_with_all = ["primary", "standby"]
    )]
    etcd: Option<Which>,
    /// Only the tests on real etcds, with primaries of this version
    #[arg(long, value_enum, requires = "standby")]
    primary: Option<Series>,
    /// Only the tests on real etcds, with standbys of this version
    #[arg(long, value_enum, requires = "primary")]
    standby: Option<Series>,
    /// Handed to `cargo test`; with several versions, to the tests on real etcds
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    One(Series),
    All,
}

fn which(text: &str) -> Result<Which, String> {
    if text == "all" {
        return Ok(Which::All);
    }
    clap::ValueEnum::from_str(text, false).map(Which::One)
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Everything ran to its end and nothing failed.
    good: bool,
}

pub(crate) fn run(flags: &Flags) -> Result<ExitCode> {
    let begin = Instant::now();
    let seed = seed()?;
    let good = match (flags.primary, flags.standby, flags.etcd) {
        (Some(primary), Some(standby), _) => {
            let pair = (etcd::bring(Some(primary))?, etcd::bring(Some(standby))?);
            on_real_etcds(&[pair], &build()?, flags, seed)?
        }
        (_, _, Some(Which::All)) => {
            let etcds = all()?;
            let newest = etcds.first().context("no etcd at all")?;
            let built = build()?;
            let rest = ["--workspace", "--exclude", END_TO_END];
            let rest = workspace(&rest, &built, newest, flags, seed)?;
            println!("{}", summary("all but the tests on real etcds", rest));
            on_real_etcds(&etcds, &built, flags, seed)? && rest.good
        }
        (_, _, which) => {
            let series = match which {
                Some(Which::One(series)) => Some(series),
                Some(Which::All) | None => None,
            };
            let etcd = etcd::bring(series)?;
            println!("{etcd}");
            let title = etcd.to_string();
            let etcds = (etcd.clone(), etcd);
            let outcome = if narrowed(&flags.args) {
                workspace(&[], &build_mirror()?, &etcds, flags, seed)?
            } else {
                workspace(&["--workspace"], &build()?, &etcds, flags, seed)?
            };
            println!("{}", summary(&title, outcome));
            outcome.good
        }
    };
    println!(
        "cargo xtask test: {} in {} min {:02} s; repeat with SEED={seed}",
        if good { "all tests passed" } else { "FAILED" },
        begin.elapsed().as_secs() / 60,
        begin.elapsed().as_secs() % 60
    );
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns true if the arguments choose packages themselves.
fn narrowed(args: &[String]) -> bool {
    args.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

/// Returns the seed that `SEED` names, or a new one.
fn seed() -> Result<u64> {
    if let Some(seed) = std::env::var_os("SEED") {
        let seed = seed.to_str().and_then(|seed| seed.parse().ok());
        return seed.context("SEED is not a number");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(now.as_secs())
}

/// Brings every version that can be had; says which can't.
fn all() -> Result<Vec<(Etcd, Etcd)>> {
    let mut found = Vec::new();
    for series in Series::NEWEST_FIRST {
        match etcd::bring(Some(series)) {
            Ok(etcd) => {
                println!("{etcd}");
                found.push((etcd.clone(), etcd));
            }
            Err(reason) => println!("etcd {series}: left out: {reason:#}"),
        }
    }
    Ok(found)
}

fn summary(what: &str, outcome: Outcome) -> String {
    let Outcome { passed, failed, ignored, good } = outcome;
    let verdict = if good { "ok" } else { "FAILED" };
    format!("{what}: {verdict}. {passed} passed, {failed} failed, {ignored} ignored")
}

/// Runs the tests on real etcds with each pair of versions, and prints a table.
fn on_real_etcds(etcds: &[(Etcd, Etcd)], built: &Built, flags: &Flags, seed: u64) -> Result<bool> {
    ensure!(!built.end_to_end.is_empty(), "the build made no tests on real etcds");
    let mut rows = Vec::new();
    for pair in etcds {
        println!("\nprimary {}, standby {}", pair.0, pair.1);
        let begin = Instant::now();
        let mut sum = Outcome { good: true, ..Outcome::default() };
        for program in &built.end_to_end {
            // Started as cargo would: other arguments would have it compile all anew.
            let mut command = Command::new(program);
            let home = paths::workspace().join("tests");
            command.args(&flags.args).current_dir(&home).env("CARGO_MANIFEST_DIR", &home);
            surround(&mut command, built, pair, seed);
            let outcome = count(&mut command)?;
            sum.passed += outcome.passed;
            sum.failed += outcome.failed;
            sum.ignored += outcome.ignored;
            sum.good &= outcome.good;
        }
        rows.push((pair, sum, begin.elapsed()));
    }
    let head = ["primary", "standby", "passed", "failed", "ignored", "s"];
    let [primary, standby, passed, failed, ignored, seconds] = head;
    println!("\n{primary:<10}{standby:<10}{passed:>8}{failed:>8}{ignored:>9}{seconds:>8}");
    for ((primary, standby), outcome, took) in &rows {
        let Outcome { passed, failed, ignored, good } = outcome;
        println!(
            "{:<10}{:<10}{passed:>8}{failed:>8}{ignored:>9}{:>8.0}{}",
            primary.version,
            standby.version,
            Duration::as_secs_f64(took),
            if *good { "" } else { "  FAILED" }
        );
    }
    Ok(rows.iter().all(|(_, outcome, _)| outcome.good))
}

/// Runs `cargo test` on `scope`; shows what it says and counts.
fn workspace(
    scope: &[&str],
    built: &Built,
    etcds: &(Etcd, Etcd),
    flags: &Flags,
    seed: u64,
) -> Result<Outcome> {
    let mut command = paths::cargo();
    command.args(["test", "--locked", "--no-fail-fast"]).args(scope).args(&flags.args);
    surround(&mut command, built, etcds, seed);
    count(&mut command)
}

/// Tells the tests where everything is.
pub(crate) fn surround(command: &mut Command, built: &Built, etcds: &(Etcd, Etcd), seed: u64) {
    command.env("ETCD_SYNC_BIN", &built.mirror).env("SEED", seed.to_string());
    if let Some(runbook) = &built.runbook {
        command.env("ETCD_DR_BIN", runbook);
    }
    if let Some(check) = &built.check {
        command.env("ETCD_CHECK_BIN", check);
    }
    if let Some(runbook) = &built.runbook {
        command.env("ETCD_DR_BIN", runbook);
    }
    match &built.promtool {
        Some(promtool) => command.env("PROMTOOL_BIN", promtool),
        // Not there, and it was said why: the tests need not look for it.
        None => command.env("PROMTOOL_BIN", ""),
    };
    name(command, &etcds.0, "");
    name(command, &etcds.1, "STANDBY_");
}

/// Tells the tests where an etcd is.
fn name(command: &mut Command, etcd: &Etcd, side: &str) {
    command.env(format!("ETCD_{side}BIN"), &etcd.etcd);
    command.env(format!("ETCDCTL_{side}BIN"), &etcd.etcdctl);
    match &etcd.etcdutl {
        Some(etcdutl) => command.env(format!("ETCDUTL_{side}BIN"), etcdutl),
        None => command.env_remove(format!("ETCDUTL_{side}BIN")),
    };
}

/// What the build made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Built {
    /// `etcd-sync`.
    mirror: PathBuf,
    /// `etcd-check`, where it was built.
    check: Option<PathBuf>,
    /// `etcd-dr`, where it was built.
    runbook: Option<PathBuf>,
    /// `promtool`, where it could be had.
    promtool: Option<PathBuf>,
    /// The tests on real etcds.
    end_to_end: Vec<PathBuf>,
}

/// Builds all tests, and with them the programs under test.
fn build() -> Result<Built> {
    made_by(&["test", "--locked", "--workspace", "--no-run"]).map(with_promtool)
}

/// Builds the programs under test alone.
fn build_mirror() -> Result<Built> {
    made_by(&["build", "--locked", "-p", "etcd-sync", "-p", "etcd-check", "-p", "etcd-dr"])
        .map(with_promtool)
}

/// Brings `promtool` for the tests, or says that they do without.
fn with_promtool(built: Built) -> Built {
    let promtool = packages::promtool();
    if let Err(reason) = &promtool {
        println!("promtool: left out, metrics are read by our own parser: {reason:#}");
    }
    Built { promtool: promtool.ok(), ..built }
}

pub(crate) fn made_by(args: &[&str]) -> Result<Built> {
    println!("building …");
    let output = paths::cargo()
        .args(args)
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("can't run cargo")?;
    ensure!(output.status.success(), "the build failed");
    let mut built = Built::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        note(&mut built, line);
    }
    ensure!(built.mirror.is_file(), "the build made no etcd-sync");
    Ok(built)
}

/// Notes what a line of cargo's says was made, if that matters here.
#[expect(clippy::indexing_slicing, reason = "of JSON values only, where what is missing is null")]
fn note(built: &mut Built, line: &str) {
    let Ok(message) = serde_json::from_str::<Value>(line) else { return };
    let Some(program) = message["executable"].as_str().map(PathBuf::from) else { return };
    let target = &message["target"];
    if message["profile"]["test"] == false {
        match target["name"].as_str().filter(|_| target["kind"][0] == "bin") {
            Some("etcd-sync") => built.mirror = program,
            Some("etcd-check") => built.check = Some(program),
            Some("etcd-dr") => built.runbook = Some(program),
            _ => {}
        }
    } else if message["manifest_path"]
        .as_str()
        .is_some_and(|path| path.ends_with("/tests/Cargo.toml"))
    {
        built.end_to_end.push(program);
    }
}

/// Runs tests, shows what they say and adds up their closing lines.
fn count(command: &mut Command) -> Result<Outcome> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("can't run {command:?}"))?;
    let stdout = child.stdout.take().context("no output of the tests")?;
    let mut outcome = Outcome::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        add(&mut outcome, &line);
    }
    outcome.good = child.wait()?.success();
    Ok(outcome)
}

/// Adds a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
fn add(outcome: &mut Outcome, line: &str) {
    let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|l| l.split_once(". "))
    else {
        return;
    };
    for count in counts.split("; ") {
        let Some((number, what)) = count.split_once(' ') else { continue };
        let number = number.parse().unwrap_or(0);
        match what {
            "passed" => outcome.passed += number,
            "failed" => outcome.failed += number,
            "ignored" => outcome.ignored += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut outcome = Outcome::default();
        for line in [
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test a_test ... ok",
            "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s",
        ] {
            add(&mut outcome, line);
        }
        assert_eq!(outcome, Outcome { passed: 12, failed: 2, ignored: 1, good: false });
    }

    #[test]
    fn what_was_built_is_found_in_cargos_messages() {
        let line = |dir: &str, name: &str, kind: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/{dir}/Cargo.toml","target":{{"name":"{name}","kind":["{kind}"]}},"profile":{{"test":{test}}},"executable":"/t/{name}-{kind}-{test}"}}"#
            )
        };
        let mut built = Built::default();
        for line in [
            line("bins/etcd-sync", "etcd-sync", "bin", false),
            line("bins/etcd-sync", "etcd-sync", "bin", true),
            line("bins/etcd-sync", "it", "test", true),
            line("bins/etcd-check", "etcd-check", "bin", false),
            line("bins/etcd-dr", "etcd-dr", "bin", false),
            line("bins/xtask", "xtask", "bin", false),
            line("tests", "it", "test", true),
            "Compiling".to_owned(),
        ] {
            note(&mut built, &line);
        }
        assert_eq!(built.mirror, PathBuf::from("/t/etcd-sync-bin-false"));
        assert_eq!(built.check, Some(PathBuf::from("/t/etcd-check-bin-false")));
        assert_eq!(built.runbook, Some(PathBuf::from("/t/etcd-dr-bin-false")));
        assert_eq!(built.end_to_end, [PathBuf::from("/t/it-test-true")]);
    }
}
