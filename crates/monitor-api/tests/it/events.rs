//! `/api/v1/events` over loopback.

use std::time::{Duration, Instant};

use monitor_api::{CheckReport, Checks, Limits, Room, StatusReport};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Server, body, checking, header, server_of, status};
use crate::{blocked_report, drift_report, nothing};

/// A listener, past the head of its answer.
struct Listener(BufReader<TcpStream>);

impl Listener {
    async fn new(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.0\r\nHost: x\r\n\r\n").await.unwrap();
        let mut listener = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(listener.0.read_line(&mut head).await.unwrap(), 0, "{head}");
        }
        assert_eq!(header(&head, "content-type"), Some("text/event-stream"));
        assert_eq!(header(&head, "cache-control"), Some("no-store"));
        listener
    }

    /// Returns the lines of the next event; none at the end.
    async fn next(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = timeout(Duration::from_secs(30), self.0.read_line(&mut line)).await;
            if read.unwrap().unwrap_or(0) == 0 || line == "\n" {
                return lines;
            }
            lines.push(line.trim_end().to_owned());
        }
    }
}

fn data<T: serde::de::DeserializeOwned>(event: &[String], name: &str) -> T {
    let [kind, data] = event else { panic!("no event of two lines: {event:?}") };
    assert_eq!(*kind, format!("event: {name}"), "{event:?}");
    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
}

#[tokio::test]
async fn a_listener_hears_what_is_now_and_then_what_changes() {
    let reports = std::sync::Mutex::new(vec![CheckReport::judged(nothing()), drift_report()]);
    let checks = Checks::new(move || {
        let report = reports.lock().unwrap().pop().unwrap();
        async { report }
    });
    checks.run().await;
    let server = checking(&checks).await;
    let mut listener = Listener::new(&server).await;
    assert_eq!(listener.next().await, ["retry: 2000"]);
    let now: StatusReport = data(&listener.next().await, "status");
    assert_eq!(now.state, "following");
    let last: CheckReport = data(&listener.next().await, "check");
    assert_eq!(last, drift_report().trimmed(0), "the keys are for those who ask for them");

    server.publish(blocked_report());
    let now: StatusReport = data(&listener.next().await, "status");
    assert_eq!(now.state, "blocked");
    checks.run().await;
    let last: CheckReport = data(&listener.next().await, "check");
    assert_eq!(last, CheckReport::judged(nothing()));
}

#[tokio::test]
async fn changes_are_told_at_most_once_a_second() {
    let server = server_of(Limits::default(), None, Room::default()).await;
    let mut listener = Listener::new(&server).await;
    let started = Instant::now();
    let mut told = 0;
    listener.next().await;
    listener.next().await;
    let publishing = async {
        loop {
            server.publish(blocked_report());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let listening = async {
        while told < 3 {
            let _: StatusReport = data(&listener.next().await, "status");
            told += 1;
        }
    };
    tokio::select! { () = listening => {}, () = publishing => {} }
    assert!(started.elapsed() >= Duration::from_millis(2_900), "in {:?}", started.elapsed());
}

#[tokio::test]
async fn more_listeners_than_places_are_sent_away() {
    let room = Room { listeners_max: 2, ..Room::default() };
    let server = server_of(Limits::default(), None, room).await;
    let first = Listener::new(&server).await;
    let _second = Listener::new(&server).await;
    let answer = server.request("GET", "/api/v1/events").await;
    assert_eq!((status(&answer), header(&answer, "retry-after")), ("503", Some("5")));
    let json: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(json["verdict"], "unknown");
    drop(first);
    // The server learns of it when it next has something to say.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        server.publish(blocked_report());
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.0\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        if first.ends_with(b"200") {
            break;
        }
        assert!(Instant::now() < deadline, "the place is still taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_lifetime_with_the_process_and_with_the_mirror() {
    let limits = Limits { answer_lifetime: Duration::from_millis(300), ..Limits::default() };
    let server = server_of(limits, None, Room::default()).await;
    let mut listener = Listener::new(&server).await;
    let started = Instant::now();
    while !listener.next().await.is_empty() {}
    assert!(started.elapsed() < Duration::from_secs(4), "told to end, not cut off");

    let server = server_of(Limits::default(), None, Room::default()).await;
    let mut listener = Listener::new(&server).await;
    let started = Instant::now();
    server.stop.cancel();
    while !listener.next().await.is_empty() {}
    server.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "took {:?}", started.elapsed());

    let server = server_of(Limits::default(), None, Room::default()).await;
    let mut listener = Listener::new(&server).await;
    drop(server.publish);
    while !listener.next().await.is_empty() {}
}
