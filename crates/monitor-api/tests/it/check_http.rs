//! `/check` and `/api/v1/checks` over loopback.

use std::sync::atomic::Ordering;
use std::time::Duration;

use monitor_api::{CheckReport, CheckVerdict, Checks, Limits, Room};

use crate::checks::held;
use crate::harness::{Server, body, checking, exchange, header, server, server_of, status};
use crate::{drift_report, nothing};

fn drifting() -> Checks {
    Checks::new(|| async { drift_report() })
}

async fn json(server: &Server, target: &str) -> serde_json::Value {
    let answer = server.request("GET", target).await;
    assert_eq!(header(&answer, "content-type"), Some("application/json"), "{answer}");
    serde_json::from_str(body(&answer)).unwrap()
}

#[tokio::test]
async fn a_check_is_text_unless_json_is_asked_for() {
    let server = checking(&drifting()).await;
    let answer = server.request("GET", "/check").await;
    assert_eq!((status(&answer), header(&answer, "x-etcd-sync-verdict")), ("200", Some("drift")));
    assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(body(&answer), drift_report().text(1_000));

    let accepting = "GET /check HTTP/1.0\r\nAccept: application/json\r\n\r\n";
    let accepted = server.exchange(accepting).await;
    for answer in [accepted, server.request("GET", "/check?format=json").await] {
        let report: CheckReport = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(report, drift_report());
    }
    let both = "GET /check?format=text HTTP/1.0\r\nAccept: application/json\r\n\r\n";
    assert!(body(&server.exchange(both).await).starts_with("drift: "), "the query wins");
}

#[tokio::test]
async fn the_status_code_tells_the_verdict() {
    let server = checking(&drifting()).await;
    assert_eq!(status(&server.request("GET", "/check").await), "200");
    let strict = server.request("GET", "/check?strict=true").await;
    assert_eq!((status(&strict), header(&strict, "x-etcd-sync-verdict")), ("409", Some("drift")));

    let server = checking(&Checks::new(|| async { CheckReport::judged(nothing()) })).await;
    let strict = server.request("GET", "/check?strict=true").await;
    assert_eq!((status(&strict), header(&strict, "x-etcd-sync-verdict")), ("200", Some("in-sync")));

    let open = || async { CheckReport::inconclusive("the primary could not be read", nothing()) };
    let server = checking(&Checks::new(open)).await;
    for target in ["/check", "/check?format=json"] {
        let answer = server.request("GET", target).await;
        assert_eq!(status(&answer), "503");
        assert_eq!(header(&answer, "retry-after"), Some("5"));
        assert_eq!(header(&answer, "x-etcd-sync-verdict"), None);
        assert!(body(&answer).contains("the primary could not be read"), "{answer}");
    }
}

#[tokio::test]
async fn the_limit_holds_for_text_and_json() {
    let server = checking(&drifting()).await;
    let text = server.request("GET", "/check?limit=0").await;
    assert!(body(&text).contains("LOCAL ETCD missed keys: 2\nand 2 more\n"), "{text}");
    let json = json(&server, "/check?limit=0&format=json").await;
    assert_eq!(json["differences"], serde_json::json!([]));
    assert_eq!((&json["missed"], &json["truncated"]), (&2.into(), &true.into()));
}

#[tokio::test]
async fn a_parameter_that_is_not_understood_is_named() {
    let (checks, runs, _gate) = held();
    let server = checking(&checks).await;
    for (query, named) in [
        ("limit=-1", "limit: "),
        ("limit=100001", "limit: "),
        ("limit=%31", "limit: "),
        ("strict", "strict: "),
        ("strict=yes", "strict: "),
        ("format=html", "format: "),
        ("limit=1&limit=2", "limit: given more than once"),
        ("hats=3", "unknown parameter `hats`"),
        ("%3Cscript%3E=1", "unknown parameter `%3Cscript%3E`"),
        ("limit=1;strict=true", "limit: "),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.request(method, &format!("/check?{query}")).await;
            assert_eq!(status(&answer), "400", "{query}");
            if method == "GET" {
                assert!(body(&answer).contains(named), "{query}: {answer}");
                assert_eq!(body(&answer).lines().count(), 1, "{answer}");
            }
        }
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0, "nothing was compared for any of them");
}

#[tokio::test]
async fn head_tells_of_the_last_check_and_runs_none() {
    let (checks, runs, gate) = held();
    let server = checking(&checks).await;
    assert_eq!(status(&server.request("HEAD", "/check").await), "503");
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    gate.add_permits(1);
    server.request("GET", "/check").await;
    let answer = server.request("HEAD", "/check").await;
    assert_eq!((status(&answer), body(&answer)), ("200", ""));
    assert_eq!(header(&answer, "x-etcd-sync-verdict"), Some("in-sync"));
    assert_eq!(header(&answer, "age"), Some("0"));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_a_check_the_answer_is_why() {
    let server = server(Limits::default()).await;
    let answer = server.request("GET", "/check").await;
    assert_eq!(status(&answer), "503");
    assert!(body(&answer).starts_with("inconclusive: no check is wired"), "{answer}");
    let listed = json(&server, "/api/v1/checks").await;
    assert_eq!(listed["verdict"], "inconclusive");
    assert_eq!(listed["checks"], serde_json::json!([]));
}

#[tokio::test]
async fn the_last_checks_are_listed_newest_first() {
    let reports = std::sync::Mutex::new(vec![CheckReport::judged(nothing()), drift_report()]);
    let checks = Checks::new(move || {
        let report = reports.lock().unwrap().pop().unwrap();
        async { report }
    });
    let server = checking(&checks).await;
    let none = json(&server, "/api/v1/checks").await;
    assert_eq!(
        (&none["verdict"], &none["reason"]),
        (&"inconclusive".into(), &"no check has run yet".into())
    );

    checks.run().await;
    checks.run().await;
    let listed = json(&server, "/api/v1/checks").await;
    assert_eq!(listed["verdict"], "in-sync");
    assert!(listed["reason"].as_str().is_some_and(|reason| reason.contains("1200")), "{listed}");
    assert_eq!(listed["next_steps"], serde_json::json!([]));
    let verdicts: Vec<_> = listed["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| serde_json::from_value::<CheckReport>(report.clone()).unwrap().verdict())
        .collect();
    assert_eq!(verdicts, [CheckVerdict::InSync, CheckVerdict::Drift]);
}

#[tokio::test]
async fn a_hundred_callers_share_one_run_or_are_sent_away_at_once() {
    let (checks, runs, gate) = held();
    let server = checking(&checks).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        callers.spawn(exchange(server.at, b"GET /check HTTP/1.0\r\n\r\n"));
    }
    for _ in 0..68 {
        let answer = callers.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(
            (status(&answer), header(&answer, "retry-after")),
            ("503", Some("5")),
            "{answer}"
        );
        assert!(body(&answer).contains("too many callers"), "{answer}");
    }
    assert_eq!(status(&server.request("GET", "/metrics").await), "200", "there is room for others");
    gate.add_permits(1);
    while let Some(answer) = callers.join_next().await {
        assert_eq!(status(&answer.unwrap().unwrap()), "200");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_gives_its_place_back() {
    let (checks, runs, gate) = held();
    let room = Room { check_callers_max: 1, ..Room::default() };
    let server = server_of(Limits::default(), Some(checks), room).await;
    let first = tokio::spawn(exchange(server.at, b"GET /check HTTP/1.0\r\n\r\n"));
    while runs.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.abort();
    gate.add_permits(1);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        gate.add_permits(1);
        if status(&server.request("GET", "/check").await) == "200" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place is still taken");
    }
}

#[tokio::test]
async fn callers_are_let_go_when_the_process_stops() {
    let (checks, runs, _gate) = held();
    let server = checking(&checks).await;
    let caller = tokio::spawn(exchange(server.at, b"GET /check HTTP/1.0\r\n\r\n"));
    while runs.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = std::time::Instant::now();
    server.stop.cancel();
    server.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "took {:?}", started.elapsed());
    let answer = caller.await.unwrap().unwrap();
    assert_eq!(status(&answer), "503");
    assert!(body(&answer).contains("the process is stopping"), "{answer}");
}

#[tokio::test]
async fn a_check_may_take_longer_than_an_answer_may_be_fetched() {
    let (checks, _runs, gate) = held();
    let limits = Limits { answer_lifetime: Duration::from_millis(50), ..Limits::default() };
    let server = server_of(limits, Some(checks), Room::default()).await;
    let caller = tokio::spawn(exchange(server.at, b"GET /check HTTP/1.0\r\n\r\n"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    gate.add_permits(1);
    assert_eq!(status(&caller.await.unwrap().unwrap()), "200");
}
