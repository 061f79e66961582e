//! `etcd-sync run`: parts, put together, and taken apart in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_link::{Primary, Standby};
use indicatif::MultiProgress;
use keyspace_filter::Scope;
use mirror_config::{Config, Exit, Failure, Listen, parts};
use mirror_engine::{Ended, Mirror, Status};
use monitor_api::{Limits, PreflightSlot, Room, Snapshot, Sources, Thresholds};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::certificates::Expiries;
use crate::report::Reporter;
use crate::{checks, election, gates, once, progress, samples, settings};

/// How long a mirror that was told to stop may take over the transaction in flight: longer than
/// a request's deadline, shorter than the 30 s that Kubernetes gives a pod.
const GRACE: Duration = Duration::from_secs(8);
/// How long the rest (HTTP, progress) may take after that.
const GRACE_AFTER: Duration = Duration::from_secs(2);

/// The parts of a mirror, checked; nothing is connected yet.
struct Parts {
    primary: Primary,
    standby: Standby,
    scope: Scope,
    reporter: Reporter,
}

impl Parts {
    fn new(config: &Config) -> Result<Self, Failure> {
        let scope = parts::scope(config)?;
        let primary = parts::primary(config, &scope)?;
        let standby = parts::standby(config, Some(scope.clone()))?;
        // A file that can't be meant is refused before the first write, as everything else.
        parts::keyring(config)?;
        let scope_hash = scope.hash().to_string();
        let (mirror, checks) = (config.name().to_owned(), Arc::default());
        let expiries = Expiries::of(config);
        let reporter = Reporter { mirror, scope_hash, checks, expiries };
        Ok(Self { primary, standby, scope, reporter })
    }
}

/// Mirrors until told to stop.
pub(crate) fn run(config: &Config, once: bool, bars: MultiProgress) -> Result<Exit, Failure> {
    let parts = Parts::new(config)?;
    for warning in parts.scope.warnings() {
        tracing::warn!("scope: {warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::undecided(format!("the runtime can't start: {error}")))?;
    let ended = runtime.block_on(supervise(config, once, parts, bars));
    runtime.shutdown_timeout(GRACE_AFTER);
    ended
}

async fn supervise(
    config: &Config,
    once: bool,
    parts: Parts,
    bars: MultiProgress,
) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let listener = listen(config).await?;
    let Parts { primary, standby, scope, reporter } = parts;
    let encoder = reporter.clone();
    let samples = samples::open(config)?;
    let owner = owner();
    let election = election::election(config, &owner);
    let lease = config.leader_lease().unwrap_or_default();
    let preflight = PreflightSlot::default();
    let judge = gates::judge(config)?;
    let (judge_value, names) = judge.map_or((None, None), |(judge, names)| (Some(judge), names));
    let settings = mirror_engine::Settings {
        owner,
        judge_value,
        preflight: gates::preflight(config, &scope, preflight.clone())?,
        encode_status: Some(Arc::new(move |status: &Status| {
            serde_json::to_vec(&encoder.report(status)).map_or_else(|_| Bytes::new(), Bytes::from)
        })),
        ..settings::mirror(config)
    };
    let mut beside = JoinSet::new();
    if let Some(names) = names {
        beside.spawn(names.learn(standby.clone()));
    }
    let (mirror, status) = Mirror::new(primary, standby, scope.clone(), settings);
    let checks = checks::prepare(config, scope, status.clone())?;
    reporter.checks.get_or_init(|| checks.clone());
    let stop = CancellationToken::new();
    let stop_serving = CancellationToken::new();
    let first = Snapshot::new(reporter.report(&status.borrow()), Instant::now());
    let (publisher, snapshots) = watch::channel(first);
    beside.spawn(publish(status.clone(), publisher, reporter));
    beside.spawn(checks::on_schedule(checks.clone(), config.check_interval(), status.clone()));
    if let Some((file, samples)) = samples {
        beside.spawn(samples::keep(file, samples, status.clone()));
    }
    beside.spawn(progress::show(status.clone(), bars));
    if let Some(listener) = listener {
        let routes = monitor_api::router(Sources {
            status: snapshots,
            asked: asked(config),
            checks: Some(checks),
            preflight,
            room: Room::default(),
        });
        let limits = Limits::default();
        beside.spawn(monitor_api::serve(listener, routes, limits, stop_serving.clone()));
    }
    let watched = status.clone();
    let mirror = match election {
        Some(election) => tokio::spawn(mirror.run_elected(election, stop.clone())),
        None => tokio::spawn(mirror.run(stop.clone())),
    };
    let done = async {
        match once {
            true => once::done(watched, lease).await,
            false => std::future::pending().await,
        }
    };
    let ended = outcome(mirror, &mut signals, &stop, done).await;
    stop_serving.cancel();
    tokio::select! {
        () = async { while beside.join_next().await.is_some() {} } => {}
        () = tokio::time::sleep(GRACE_AFTER) => {
            tracing::warn!("some clients of the HTTP interface were cut off");
        }
    }
    ended
}

/// Waits for the mirror to end, by itself, by signal, or because it is `done`, if it ever is: then
/// with what stood in its way, if something did.
async fn outcome(
    mut mirror: JoinHandle<Ended>,
    signals: &mut Signals,
    stop: &CancellationToken,
    done: impl Future<Output = Option<String>>,
) -> Result<Exit, Failure> {
    let refusal = tokio::select! {
        ended = &mut mirror => return verdict(ended),
        name = signals.next() => {
            tracing::info!(signal = name, "stopping");
            None
        }
        refusal = done => refusal,
    };
    stop.cancel();
    tokio::select! {
        ended = &mut mirror => verdict(ended).and_then(|exit| match refusal {
            Some(refusal) => Err(Failure::refused(refusal)),
            None => Ok(exit),
        }),
        name = signals.next() => {
            tracing::warn!(signal = name, "interrupted while stopping");
            Ok(Exit::Interrupted)
        }
        () = tokio::time::sleep(GRACE) => {
            // Nothing is lost: progress lives in the standby, and a stop and a crash are one.
            tracing::warn!("the mirror did not come to an end in time and was cut off");
            mirror.abort();
            Ok(Exit::Done)
        }
    }
}

fn verdict(ended: Result<Ended, tokio::task::JoinError>) -> Result<Exit, Failure> {
    match ended {
        Ok(Ended::Stopped) => {
            tracing::info!("stopped");
            Ok(Exit::Done)
        }
        // The engine's words contain "same cluster" and the mend.
        Ok(Ended::SameCluster(found)) => Err(Failure::refused(found)),
        // These contain "not an etcd".
        Ok(Ended::NotEtcd(found)) => Err(Failure::refused(found)),
        Err(error) => Err(Failure::undecided(format!("the mirror broke: {error}"))),
    }
}

/// Hands the engine's status on to HTTP. Ends with the engine's sender.
async fn publish(
    mut status: watch::Receiver<Status>,
    publisher: watch::Sender<Snapshot>,
    reporter: Reporter,
) {
    while status.changed().await.is_ok() {
        let report = reporter.report(&status.borrow_and_update());
        publisher.send_replace(Snapshot::new(report, Instant::now()));
    }
}

/// What readiness asks for: one limit for the lag, if it is given, and for what is not known of it.
fn asked(config: &Config) -> Thresholds {
    let ready_lag_max = config.ready_max_lag();
    let ready_unknown_max = ready_lag_max.unwrap_or(Thresholds::UNKNOWN_MAX);
    Thresholds { ready_lag_max, ready_unknown_max }
}

async fn listen(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Listen::At(address) = config.listen() else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!(
            "--listen: can't serve on {address} ({error}); choose another address, or off"
        ))
    })?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!(%address, "serving health, metrics and status");
    Ok(Some(listener))
}

/// Names this process among all that ever write under the mirror's name.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = std::env::var("HOSTNAME").unwrap_or(host);
    format!("{}/{}/{}", host.trim(), std::process::id(), crate::report::now())
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let unable = |error| Failure::undecided(format!("signals can't be received: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(unable)?,
            interrupt: signal(SignalKind::interrupt()).map_err(unable)?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
