//! A server on loopback, and clients that say what they like.

use std::net::SocketAddr;
use std::time::Instant;

use monitor_api::{
    Checks, Limits, PreflightSlot, Room, Snapshot, Sources, StatusReport, Thresholds, router, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::full_report;

pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    pub(crate) publish: watch::Sender<Snapshot>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn server(limits: Limits) -> Server {
    server_of(limits, None, Room::default()).await
}

pub(crate) async fn checking(checks: &Checks) -> Server {
    server_of(Limits::default(), Some(checks.clone()), Room::default()).await
}

pub(crate) async fn server_of(limits: Limits, checks: Option<Checks>, room: Room) -> Server {
    server_with(PreflightSlot::default(), limits, checks, room).await
}

pub(crate) async fn server_with(
    preflight: PreflightSlot,
    limits: Limits,
    checks: Option<Checks>,
    room: Room,
) -> Server {
    let (publish, status) = watch::channel(Snapshot::new(full_report(), Instant::now()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let routes = router(Sources { status, asked: Thresholds::default(), checks, preflight, room });
    let task = tokio::spawn(serve(listener, routes, limits, stop.clone()));
    Server { at, publish, stop, task }
}

impl Server {
    /// Sends these bytes and returns everything that comes back before the connection ends.
    pub(crate) async fn exchange(&self, bytes: &str) -> String {
        exchange(self.at, bytes.as_bytes()).await.unwrap()
    }

    pub(crate) async fn request(&self, method: &str, target: &str) -> String {
        self.exchange(&format!("{method} {target} HTTP/1.0\r\nHost: x\r\n\r\n")).await
    }

    pub(crate) fn publish(&self, report: StatusReport) {
        self.publish.send_replace(Snapshot::new(report, Instant::now()));
    }
}

/// Sends these bytes to a fresh connection and returns everything that comes back.
pub(crate) async fn exchange(at: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    // A server that has heard enough may close before all is sent, and reset after it answered.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8(answer).unwrap())
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("no answer")
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
