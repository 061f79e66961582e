//! The demo: the mirror at work between two real etcds, looked at from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use keyspace_filter::{Scope, ScopeSpec};

use crate::etcd::{self, Etcd, Series};
use crate::process::{Process, free_ports};
use crate::{gateway, keyspace, paths};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// End after the check instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Which etcd; the newest that can be had, unless told
    #[arg(long, value_enum)]
    etcd: Option<Series>,
}

const CHANGED: &str = "/registry/configmaps/proj-00-dev/demo";

pub(crate) fn run(flags: &Flags) -> Result<ExitCode> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }

    let programs = etcd::bring(flags.etcd)?;
    let mirror_program = build_mirror()?;
    let dir = tempfile::Builder::new().prefix("etcd-sync-demo-").tempdir()?;
    println!("{programs}");

    let [primary, standby] = [
        Server::start(&programs, "primary", dir.path())?,
        Server::start(&programs, "standby", dir.path())?,
    ];
    let loaded = keyspace::load_primary(&primary.address)?;
    let local = keyspace::load_standby(&standby.address)?;
    println!("primary  {}  {loaded} keys of a Kubernetes cluster", primary.url());
    println!("standby  {}  {local} keys that it made by itself", standby.url());
    let scope = Scope::compile(ScopeSpec::default()).context("the preset does not compile")?;
    let in_scope = |key: &[u8]| scope.admits(key);
    let before = keyspace::read(&standby.address)?;
    let primary_before = keyspace::read(&primary.address)?;

    let [port] = free_ports()?;
    let page = format!("127.0.0.1:{port}");
    let connection = [
        "--preset".to_owned(),
        "kubernetes".to_owned(),
        "--primary-endpoints".to_owned(),
        primary.url(),
        "--standby-endpoints".to_owned(),
        standby.url(),
    ];
    let mut command = Command::new(&mirror_program);
    command.arg("run").args(&connection).args(["--listen", &page]).env("NO_COLOR", "1");
    println!("$ etcd-sync run {} --listen {page}", connection.join(" "));
    let log = dir.path().join("etcd-sync.log");
    let mut mirror = Process::start("etcd-sync", &mut command, log)?;
    let limit = Duration::from_secs(60);
    let following = mirror.wait_until("following", limit, |mirror| {
        end_if(&interrupted)?;
        let ready = gateway::request(&page, "/readyz", None);
        let ready = ready.is_ok_and(|answer| answer.status == 200);
        Ok(ready && mirror.output().contains("Start Sync update"))
    })?;
    println!("copied and following after {} ms", following.as_millis());

    let arrived = change(&programs, &primary, &standby, &interrupted)?;
    println!("a change on the primary arrived after {} ms", arrived.as_millis());

    // Nothing writes now but the mirror's bookkeeping: what holds, holds for good.
    let (primary_after, standby_after) =
        (keyspace::read(&primary.address)?, keyspace::read(&standby.address)?);
    let (equal, unequal) = keyspace::compare(&primary_after, &standby_after, in_scope);
    report("in scope, equal on both sides", equal, &unequal);
    let (same, touched) = keyspace::untouched(&before, &standby_after, in_scope);
    report("local to the standby, untouched to the byte and revision", same, &touched);
    let added = CHANGED.as_bytes();
    let (kept, written) = keyspace::untouched(&primary_before, &primary_after, |key| key == added);
    report("on the primary, as the demo left them", kept, &written);

    println!("$ etcd-sync status");
    let status = Command::new(&mirror_program).arg("status").args(&connection).output()?;
    for line in String::from_utf8_lossy(&status.stdout).lines() {
        println!("  {line}");
    }
    let good = equal > 0 && same > 0;
    let good = good && unequal.is_empty() && touched.is_empty() && written.is_empty();
    ensure!(good, "the standby is not what it should be");
    ensure!(
        status.status.success(),
        "etcd-sync status ended with {}: {}",
        status.status,
        String::from_utf8_lossy(&status.stderr).trim()
    );

    check(&page)?;

    if !flags.once {
        println!("page     http://{page}/   (also /check, /metrics, /readyz, /api/v1/status)");
        println!("log      {}", mirror.log().display());
        println!("Running until Ctrl-C. Try, and see it on the standby:");
        let etcdctl = programs.etcdctl.display();
        println!("  {etcdctl} --endpoints {} put {CHANGED} again", primary.url());
        println!("  {etcdctl} --endpoints {} get {CHANGED}", standby.url());
        while !interrupted.load(Ordering::Relaxed) {
            mirror.check()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        println!();
    }
    let ended = mirror.end()?;
    ensure!(ended.success(), "etcd-sync ended with {ended} when asked to end");
    println!("etcd-sync ended when asked to, with 0");
    Ok(ExitCode::SUCCESS)
}

/// Asks the mirror to compare both clusters, and shows what it says.
fn check(page: &str) -> Result<()> {
    println!("$ curl http://{page}/check");
    let answer = gateway::request(page, "/check", None)?;
    for line in answer.body.lines() {
        println!("  {line}");
    }
    ensure!(
        answer.status == 200 && answer.body.starts_with("in-sync"),
        "the check does not say in-sync"
    );
    Ok(())
}

fn end_if(interrupted: &AtomicBool) -> Result<()> {
    ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

/// Prints a count, and the first names where something is wrong.
fn report(what: &str, good: usize, bad: &[String]) {
    println!("{good:>5} keys {what}{}", if bad.is_empty() { "" } else { ", but not these:" });
    for key in bad.iter().take(10) {
        println!("        {key}");
    }
    if bad.len() > 10 {
        println!("        and {} more", bad.len() - 10);
    }
}

/// Builds `etcd-sync` and returns its path.
fn build_mirror() -> Result<PathBuf> {
    println!("building etcd-sync …");
    let status =
        paths::cargo().args(["build", "--quiet", "--locked", "-p", "etcd-sync"]).status()?;
    ensure!(status.success(), "etcd-sync does not build");
    // Cargo runs this task from where it puts the other programs too.
    let here = std::env::current_exe()?;
    let path = here.with_file_name("etcd-sync");
    ensure!(path.is_file(), "no {} after the build", path.display());
    Ok(path)
}

/// Puts a key on the primary with etcdctl and waits until it is on the standby.
fn change(
    programs: &Etcd,
    primary: &Server,
    standby: &Server,
    interrupted: &AtomicBool,
) -> Result<Duration> {
    println!("$ etcdctl put {CHANGED} …   # on the primary");
    let put = Command::new(&programs.etcdctl)
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &primary.url(), "put", CHANGED, "made by the demo"])
        .output()
        .context("can't run etcdctl")?;
    // etcdctl returns after the primary's answer, so this is a little less than the whole way.
    let begin = Instant::now();
    ensure!(put.status.success(), "etcdctl: {}", String::from_utf8_lossy(&put.stderr).trim());
    while begin.elapsed() < Duration::from_secs(30) {
        end_if(interrupted)?;
        if keyspace::read(&standby.address)?.contains_key(CHANGED.as_bytes()) {
            return Ok(begin.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("the change did not arrive in 30 s")
}

/// One etcd.
#[derive(Debug)]
struct Server {
    address: String,
    /// Ends with the server.
    _process: Process,
}

impl Server {
    fn start(programs: &Etcd, name: &str, dir: &Path) -> Result<Self> {
        let [client, peer] = free_ports()?;
        let address = format!("127.0.0.1:{client}");
        let (client, peer) = (format!("http://{address}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new(&programs.etcd);
        command
            .args(["--name", name])
            .arg("--data-dir")
            .arg(dir.join(name))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("{name}={peer}")])
            .args(["--logger", "zap", "--log-level", "warn"]);
        let log = dir.join(format!("{name}.log"));
        let mut process = Process::start(name, &mut command, log)?;
        process.wait_until("ready", Duration::from_secs(30), |_| {
            let health = gateway::request(&address, "/health", None);
            Ok(health.is_ok_and(|answer| answer.status == 200))
        })?;
        Ok(Self { address, _process: process })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
