//! Real HTTP over loopback.

use std::time::{Duration, Instant};

use monitor_api::{Checks, Limits, PreflightSlot, Room, Snapshot, StatusReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::harness::{Server, body, server, server_of, server_with, status};
use crate::{blocked_report, drift_report, full_report};

#[tokio::test]
async fn every_answer_forbids_sniffing_and_caching() {
    let server = server(Limits::default()).await;
    for target in [
        "/",
        "/livez",
        "/readyz",
        "/healthz",
        "/metrics",
        "/api/v1/status",
        "/api/v1/checks",
        "/api/v1/preflight",
        "/check",
        "/check?hats=3",
        "/nothing",
    ] {
        let answer = server.request("GET", target).await.to_ascii_lowercase();
        assert!(answer.contains("x-content-type-options: nosniff"), "{target}: {answer}");
        assert!(answer.contains("cache-control: no-store"), "{target}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{target}");
    }
}

#[tokio::test]
async fn health_is_told_as_kubernetes_tells_it() {
    let server = server(Limits::default()).await;
    assert_eq!(body(&server.request("GET", "/readyz").await), "ok");
    let listed = server.request("GET", "/readyz?verbose").await;
    assert_eq!(
        body(&listed),
        "[+]ping ok\n[+]mirror ok\n[+]state ok\n[+]primary ok\n[+]watch ok\nreadyz check passed\n"
    );

    server.publish(blocked_report());
    let refused = server.request("GET", "/readyz").await;
    assert_eq!(status(&refused), "503");
    assert!(
        body(&refused).contains(
            "[-]state failed: blocked: a resync would delete 900 of 1000 keys\nreadyz check failed"
        ),
        "{refused}"
    );
    assert_eq!(status(&server.request("GET", "/livez").await), "200", "a restart does not help");
}

#[tokio::test]
async fn liveness_ends_with_the_mirror() {
    let Server { at, publish, stop, task } = server(Limits::default()).await;
    drop(publish);
    let (publish, _) = watch::channel(Snapshot::new(full_report(), Instant::now()));
    let server = Server { at, publish, stop, task };
    let answer = server.request("GET", "/livez").await;
    assert_eq!(status(&answer), "503");
    assert!(body(&answer).contains("[-]mirror failed: the mirror's task has ended"));
    assert_eq!(status(&server.request("GET", "/api/v1/status").await), "200");
}

#[tokio::test]
async fn the_last_preflight_is_told_once_there_is_one() {
    let slot = PreflightSlot::default();
    let server = server_with(slot.clone(), Limits::default(), None, Room::default()).await;
    let none = server.request("GET", "/api/v1/preflight").await;
    assert_eq!(status(&none), "503");
    assert!(none.contains("retry-after: "), "{none}");
    assert!(body(&none).contains(r#""verdict":"unknown""#), "{none}");
    for verdict in ["refused", "ready"] {
        let report = serde_json::json!({ "verdict": verdict, "reason": "<b>", "next_steps": [] });
        slot.publish(&report).unwrap();
        let answer = server.request("GET", "/api/v1/preflight").await;
        assert_eq!(status(&answer), "200");
        assert!(!body(&answer).contains('<'), "{answer}");
        let told: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(told, report);
    }
}

#[tokio::test]
async fn the_status_is_json_and_follows_the_mirror() {
    let server = server(Limits::default()).await;
    let answer = server.request("GET", "/api/v1/status").await;
    assert!(answer.contains("content-type: application/json"));
    let report: StatusReport = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(report.checkpoint_revision, Some(1_200));

    server.publish(blocked_report());
    let answer = server.request("GET", "/api/v1/status").await;
    let report: StatusReport = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(report.state, "blocked");
}

#[tokio::test]
async fn metrics_come_in_the_format_that_the_scraper_accepts() {
    let server = server(Limits::default()).await;
    let plain = server.request("GET", "/metrics").await;
    assert!(plain.contains("content-type: text/plain; version=0.0.4"));
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Accept: application/openmetrics-text;version=1.0.0\r\n\r\n";
    let open = server.exchange(request).await;
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(open.ends_with("# EOF\n"));
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    let server = server(Limits::default()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let answer = server.request(method, "/api/v1/status").await;
        assert_eq!(status(&answer), "405", "{method}");
        assert!(body(&answer).contains("\"verdict\":\"unknown\""), "{answer}");
    }
    let answer = server.request("HEAD", "/readyz").await;
    assert_eq!((status(&answer), body(&answer)), ("200", ""));
}

#[tokio::test]
async fn hostile_paths_stay_harmless() {
    let server = server(Limits::default()).await;
    let targets = [
        "/<script>alert(1)</script>",
        "/../../etc/passwd",
        "/%0d%0aset-cookie:%20a=b",
        "/api/v1/\"},{\"verdict\":\"ok",
        "//evil.example/metrics",
        "/metrics/",
    ];
    for target in targets {
        let answer = server.request("GET", target).await;
        assert!(["404", "400"].contains(&status(&answer)), "{target}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("\r\nset-cookie"), "{answer}");
        assert!(!answer.contains("text/html"), "{answer}");
        if target.starts_with("/api/") && status(&answer) == "404" {
            let json: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
            assert_eq!(json["verdict"], "unknown");
        }
    }
    let long = server.request("GET", &format!("/{}", "a".repeat(4_000))).await;
    assert!(body(&long).len() < 300, "a long path is cut short");
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let server = server(Limits::default()).await;
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(32 << 10));
    assert!(["431", "no answer"].contains(&status(&server.exchange(&huge).await)));
    let many = "X: y\r\n".repeat(100);
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert!(["431", "no answer"].contains(&status(&server.exchange(&many).await)));
}

#[tokio::test]
async fn a_client_that_dribbles_its_header_is_dropped() {
    let limits = Limits { header_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = server(limits).await;
    let started = Instant::now();
    let answer = server.exchange("GET / HTTP/1.1\r\nHost:").await;
    assert!(!answer.contains("200 OK"));
    assert!(started.elapsed() >= Duration::from_millis(150), "dropped too early");
    assert!(started.elapsed() < Duration::from_secs(4), "held for {:?}", started.elapsed());
}

#[tokio::test]
async fn idle_clients_beyond_the_limit_do_not_lock_the_others_out() {
    let limits = Limits {
        connections_max: 2,
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = server(limits).await;
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(TcpStream::connect(server.at).await.unwrap());
    }
    assert_eq!(status(&server.request("GET", "/livez").await), "200");
}

#[tokio::test]
async fn who_fetches_slowly_keeps_its_place_but_not_for_ever() {
    let long = "k".repeat(1_000);
    let checks = Checks::new(move || {
        let mut found = drift_report().found().clone();
        let key = found.differences[0].clone();
        found.differences = (0..30_000).map(|_| key.clone()).collect();
        found.differences.iter_mut().for_each(|difference| difference.note.clone_from(&long));
        async { monitor_api::CheckReport::judged(found) }
    });
    let room = Room { check_callers_max: 1, ..Room::default() };
    let limits = Limits { answer_lifetime: Duration::from_millis(200), ..Limits::default() };
    let server = server_of(limits, Some(checks), room).await;
    let mut slow = TcpStream::connect(server.at).await.unwrap();
    slow.write_all(b"GET /check?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    slow.read_exact(&mut [0; 12]).await.unwrap();
    assert_eq!(status(&server.request("GET", "/check").await), "503", "the only place is taken");

    let started = Instant::now();
    while status(&server.request("GET", "/check?limit=0").await) != "200" {
        assert!(started.elapsed() < Duration::from_secs(20), "held for {:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_listener() {
    let server = server(Limits::default()).await;
    let mut silent = TcpStream::connect(server.at).await.unwrap();
    silent.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
    server.request("GET", "/livez").await;
    server.stop.cancel();
    let started = Instant::now();
    server.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "took {:?}", started.elapsed());
    assert!(TcpStream::connect(server.at).await.is_err());
}

#[tokio::test]
async fn the_page_shows_the_mirror_and_hides_no_markup_of_others() {
    let report = std::sync::Arc::new(drift_report());
    let checks = {
        let report = std::sync::Arc::clone(&report);
        Checks::new(move || std::future::ready((*report).clone()))
    };
    checks.run().await;
    let server = server_of(Limits::default(), Some(checks), Room::default()).await;
    server.publish(StatusReport { mirror: "<b>m</b>".into(), ..blocked_report() });
    let answer = server.request("GET", "/").await;
    assert!(answer.to_ascii_lowercase().contains("content-type: text/html"), "{answer}");
    let page = body(&answer);
    assert!(page.contains("<span class=\"action-needed\">blocked</span>"), "{page}");
    assert!(page.contains("&lt;b&gt;m&lt;/b&gt;") && !page.contains("<b>m"), "{page}");
    assert!(page.contains("Last checks") && page.contains("drift: "), "{page}");
    assert!(page.contains("Differences"), "{page}");
    assert!(page.contains("<a href=\"/metrics\">"), "{page}");
    // What an accessibility check asks for: one landmark around it all, and no reload by itself.
    assert!(!page.to_ascii_lowercase().contains("http-equiv"), "{page}");
    assert!(!answer.to_ascii_lowercase().contains("\nrefresh:"), "{answer}");
    let (before, rest) = page.split_once("<main>").unwrap();
    assert!(!before.contains("<h1") && !before.contains("<table"), "{before}");
    assert_eq!(rest.split_once("</main>").unwrap().1.trim(), "");
    for beside in ["/page.css", "/page.js"] {
        assert_eq!(status(&server.request("GET", beside).await), "200");
    }
    let plain = server.exchange("GET / HTTP/1.0\r\nHost: x\r\nAccept: text/plain\r\n\r\n").await;
    assert!(body(&plain).contains("/api/v1/checks"), "{plain}");
}
