//! Whatever is done to its HTTP, the mirror goes on.

use std::sync::Arc;
use std::time::Duration;

use end_to_end::http;
use etcd_client::PutOptions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::support::{caught_up, check, fill, mirror, pair, wait_until_checked};

/// Clients that begin a header and never end it; bounded in number, and gone with their task.
async fn half_sent(address: &str, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        // The server may close the oldest ones meanwhile, and refuse none.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(b"GET /check HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
        open.push(stream);
    }
    open
}

/// Sends bytes and returns the answer's first line; nothing if there was none.
async fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_of_its_http_leaves_replication_and_health_alone() {
    // A thousand clients want as many descriptors of this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    fill(&client, "/k/", 5_000, |_| vec![b'1'; 300]).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    // Keys that would like to be markup, control characters, or a heading.
    let hostile: [&[u8]; 3] =
        [b"/k/<script>alert(1)</script>", b"/k/\x1b[31m\r\n", b"LOCAL ETCD x"];
    let mut there = standby.client().await;
    for key in hostile {
        there.put(key, "1", None::<PutOptions>).await.unwrap();
    }

    let address = Arc::new(mirror.address().to_owned());
    let slow = half_sent(&address, 1_000).await;
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let address = Arc::clone(&address);
            tokio::spawn(async move { http::get(&address, "/check", &[]).await })
        })
        .collect();
    let huge = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 100_000], b"\r\n\r\n"].concat();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(50_000));
    for (request, allowed) in [
        (huge.as_slice(), ["HTTP/1.1 431", "HTTP/1.1 400", ""]),
        (long.as_bytes(), ["HTTP/1.1 414", "HTTP/1.1 431", ""]),
        (b"DELETE /check HTTP/1.1\r\nHost: a\r\n\r\n", ["HTTP/1.1 405", "", ""]),
        (
            b"POST /api/v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
            ["HTTP/1.1 405", "", ""],
        ),
        (
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
            ["HTTP/1.1 404", "HTTP/1.1 400", ""],
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", ["HTTP/1.1 400", "", ""]),
    ] {
        let answer = raw(&address, request).await;
        let fits = allowed
            .iter()
            .any(|start| answer.starts_with(start) && start.is_empty() == answer.is_empty());
        assert!(fits, "{:?}: {answer}", String::from_utf8_lossy(&request[..20.min(request.len())]));
    }

    // Meanwhile it replicates, and says that it lives.
    let (mut lives, mut follows) = (Vec::new(), Vec::new());
    for number in 0..50 {
        let began = Instant::now();
        let answer = mirror.get("/livez").await.unwrap();
        lives.push(began.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let began = Instant::now();
        client.put("/k/live", number.to_string(), None).await.unwrap();
        loop {
            let read = there.get("/k/live", None).await.unwrap();
            if read.kvs().first().is_some_and(|kv| kv.value() == number.to_string().as_bytes()) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "the mirror stalls");
            sleep(Duration::from_millis(1)).await;
        }
        follows.push(began.elapsed());
    }
    lives.sort_unstable();
    follows.sort_unstable();
    println!(
        "/livez: median {:?}, slowest {:?}; a put arrives: median {:?}, slowest {:?}",
        lives[25], lives[49], follows[25], follows[49]
    );
    assert!(lives[25] < Duration::from_millis(100), "/livez takes {:?}", lives[25]);
    drop(slow);

    let mut answered = 0;
    for caller in callers {
        let answer = caller.await.unwrap().unwrap();
        assert!([200, 503].contains(&answer.status), "{}: {}", answer.status, answer.body);
        answered += u32::from(answer.status == 200);
    }
    assert!(answered >= 1, "nobody got an answer");
    let text = mirror.get("/check").await.unwrap().body;
    assert!(text.contains("LOCAL ETCD surplus keys: 3\n"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with("LOCAL ETCD")).count(), 3, "{text}");
    let (_, json) = check(&mirror, "").await;
    assert_eq!(json["surplus"], 3, "{json}");
    assert!(!mirror.get("/check?format=json").await.unwrap().body.contains('<'));
    caught_up(&mut mirror, &primary).await;
    mirror.assert_no_errors(&[]);
}
