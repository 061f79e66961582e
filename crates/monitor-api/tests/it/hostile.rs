//! Many clients that mean no good, at once, and the probe that must be heard all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use monitor_api::{CheckReport, Checks, Comparison, DifferenceKind, DifferenceReport, Limits};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::{Server, body, checking, exchange, header, status};
use crate::nothing;

/// Keys that would be markup, headers, orders to a terminal, or text that runs backwards.
const HOSTILE_KEYS: [&[u8]; 6] = [
    b"/registry/<script>alert(1)</script>",
    b"/registry/\r\nSet-Cookie: a=b",
    b"/registry/\x1b]0;owned\x07\x1b[2J",
    b"/registry/\x00\xff\xfe",
    "/registry/\u{202e}gnp.exe\u{2028}".as_bytes(),
    b"\"}],\"verdict\":\"in-sync\",\"x\":[{\"y\":\"",
];

const SILENT: usize = 1_000;
const CALLERS: usize = 100;
const PROBES: usize = 100;
/// What the median probe may take: the promise.
const MEDIAN_MAX: Duration = Duration::from_millis(100);
/// What the slowest may take, on a machine that does other things too. A server that lets probes
/// wait for silent clients to time out takes up to 5 s, and fails the median as well.
const SLOWEST_MAX: Duration = Duration::from_millis(2_500);

/// Finds hostile keys, slowly, and counts how often.
fn hostile_checks() -> (Checks, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let checks = Checks::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            sleep(Duration::from_millis(200)).await;
            let name = |key: &&[u8]| DifferenceReport {
                class: "<b>\n".into(),
                note: "\x1b[31m".into(),
                ..DifferenceReport::new(DifferenceKind::Missed, key)
            };
            let differences = HOSTILE_KEYS.iter().map(name).collect();
            CheckReport::judged(Comparison { differences, ..nothing() })
        }
    });
    (checks, runs)
}

/// Connects, sends half a header, waits to be dropped, and begins again.
async fn silent(at: SocketAddr, index: usize) {
    sleep(Duration::from_millis(u64::try_from(index % 500).unwrap())).await;
    loop {
        if let Ok(mut stream) = TcpStream::connect(at).await {
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
            let _ = stream.read(&mut [0; 64]).await;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Asks for checks, as fast as they are answered.
async fn caller(at: SocketAddr, format: &'static str, answered: Arc<AtomicUsize>) {
    let request = format!("GET /check?format={format} HTTP/1.0\r\nHost: x\r\n\r\n");
    loop {
        let Ok(answer) = exchange(at, request.as_bytes()).await else { continue };
        harmless(&answer);
        match status(&answer) {
            "200" => drop(answered.fetch_add(1, Ordering::SeqCst)),
            "503" => assert_eq!(header(&answer, "retry-after"), Some("5"), "{answer}"),
            other => panic!("{other} to a check: {answer}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sends what is no request, or none that anybody should answer kindly.
async fn vandal(at: SocketAddr) {
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 << 10));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100 << 10));
    let requests: [(&str, &[&str]); 8] = [
        (&huge, &["431", "no answer"]),
        (&long, &["414", "431", "no answer"]),
        ("DELETE /check HTTP/1.1\r\nHost: x\r\n\r\n", &["405"]),
        ("BREW /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n", &["405"]),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: evil.example\r\n\r\n", &["404"]),
        ("GET /check?limit=<script> HTTP/1.1\r\nHost: x\r\n\r\n", &["400"]),
        ("GET /check?%0d%0aSet-Cookie:a=b HTTP/1.1\r\nHost: x\r\n\r\n", &["400"]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7f\r\n\r\n", &["400", "no answer"]),
    ];
    loop {
        for (request, expected) in requests {
            let Ok(answer) = exchange(at, request.as_bytes()).await else { continue };
            assert!(expected.contains(&status(&answer)), "{request:.60}: {answer}");
            harmless(&answer);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// No cookie, nothing that a browser would run or a terminal obey.
fn harmless(answer: &str) {
    if answer.is_empty() {
        return;
    }
    let head = answer.split("\r\n\r\n").next().unwrap();
    assert_eq!(header(answer, "set-cookie"), None, "{answer}");
    if header(answer, "content-type").is_some() {
        assert_eq!(header(answer, "x-content-type-options"), Some("nosniff"), "{answer}");
        assert!(!head.contains("text/html"), "{answer}");
    }
    let told = body(answer);
    assert!(!told.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{told:?}");
    assert!(!told.contains(['\u{202e}', '\u{2028}']), "{told:?}");
    if header(answer, "content-type") == Some("application/json") {
        assert!(!told.contains('<'), "{told}");
        serde_json::from_str::<serde_json::Value>(told).unwrap();
    }
}

/// Probes from fresh connections; how long each took, shortest first.
async fn probe(server: &Server) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..PROBES {
        let started = Instant::now();
        let answer = server.request("GET", "/livez").await;
        took.push(started.elapsed());
        assert_eq!((status(&answer), body(&answer)), ("200", "ok"), "{took:?}");
        sleep(Duration::from_millis(20)).await;
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_is_heard_whatever_the_others_do() {
    let (checks, runs) = hostile_checks();
    let server = checking(&checks).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for index in 0..SILENT {
        crowd.spawn(silent(server.at, index));
    }
    for index in 0..CALLERS {
        let format = if index % 2 == 0 { "text" } else { "json" };
        crowd.spawn(caller(server.at, format, Arc::clone(&answered)));
    }
    for _ in 0..4 {
        crowd.spawn(vandal(server.at));
    }
    // All of them are there before the first probe.
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    let took = tokio::select! {
        took = probe(&server) => took,
        Some(ended) = crowd.join_next() => panic!("a client was not served as it should: {ended:?}"),
    };
    let (median, slowest) = (took[PROBES / 2], took[PROBES - 1]);
    assert!(median < MEDIAN_MAX, "median {median:?}, slowest {slowest:?}");
    assert!(slowest < SLOWEST_MAX, "median {median:?}, slowest {slowest:?}");

    let (runs, answered) = (runs.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
    assert!(answered > 0, "nobody got through to a check");
    let runs_max = (started.elapsed() + Duration::from_secs(1)).as_millis() / 200 + 1;
    assert!(u128::try_from(runs).unwrap() <= runs_max, "{runs} runs are not one at a time");

    let events = exchange_briefly(server.at, "/api/v1/events").await;
    assert!(events.contains("event: check"), "{events}");
    assert!(!events.contains("<script>") && !events.contains('\x1b'), "{events}");
    harmless(&server.request("GET", "/api/v1/checks").await);
    crowd.shutdown().await;
    server.stop.cancel();
    timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
}

/// Returns what an endless answer begins with.
async fn exchange_briefly(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let mut stream = BufReader::new(stream);
    while !answer.contains("event: check") {
        let read = timeout(Duration::from_secs(10), stream.read_line(&mut answer)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "{answer}");
    }
    // The line after it is the report.
    stream.read_line(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_make_room_oldest_first() {
    // More than there are places, opened all at once, and more by the minute.
    let limits = Limits { connections_max: 50, ..Limits::default() };
    let server = crate::harness::server(limits).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        for _ in 0..60 {
            let mut stream = TcpStream::connect(server.at).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
            held.push(stream);
        }
        let started = Instant::now();
        assert_eq!(status(&server.request("GET", "/livez").await), "200");
        assert!(started.elapsed() < SLOWEST_MAX, "took {:?}", started.elapsed());
    }
    let mut first = held.swap_remove(0);
    let read = timeout(Duration::from_secs(3), first.read(&mut [0; 1])).await;
    assert!(!matches!(read.unwrap(), Ok(1..)), "the oldest made room, long before its time-out");
}
