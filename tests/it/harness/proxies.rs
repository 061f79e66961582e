//! The fault proxy: each fault does what it says, and nothing else.

use std::io::ErrorKind;
use std::time::Duration;

use end_to_end::{Direction, Etcd, Faults, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Long enough for what should not happen to happen.
const A_WHILE: Duration = Duration::from_millis(150);
const LIMIT: Duration = Duration::from_secs(10);

/// Starts a server that sends back what it gets, and a proxy before it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::start(&address.to_string()).await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).await.unwrap()
}

async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    timeout(LIMIT, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

/// True if nothing arrives for a while.
async fn silent(stream: &mut TcpStream) -> bool {
    timeout(A_WHILE, stream.read(&mut [0])).await.is_err()
}

/// Reads up to the end and returns how it came: `None` if in order.
async fn end(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap();
    (bytes, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn without_faults_bytes_pass_both_ways_and_ends_do_too() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut from, mut to) = stream.split();
    let send = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (_, read) = tokio::join!(send, from.read_to_end(&mut received));
    read.unwrap();
    assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.bytes(Direction::ToServer), 3_000_000);
    assert_eq!(proxy.bytes(Direction::ToClient), 3_000_000);
}

#[tokio::test]
async fn held_bytes_arrive_in_order_when_released() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    assert_eq!(read(&mut stream, 6).await, b"before");
    proxy.hold(Direction::ToClient);
    stream.write_all(b"one").await.unwrap();
    stream.write_all(b"two").await.unwrap();
    assert!(silent(&mut stream).await);
    proxy.release(Direction::ToClient);
    assert_eq!(read(&mut stream, 6).await, b"onetwo");
}

#[tokio::test]
async fn dropped_answers_are_gone_though_requests_arrive() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"a").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, b"a");
    proxy.drop_answers();
    stream.write_all(b"lost").await.unwrap();
    assert!(silent(&mut stream).await);
    assert_eq!(proxy.bytes(Direction::ToServer), 5);
    assert_eq!(proxy.bytes(Direction::ToClient), 1);
    // The peer that lost something learns of it, and a new connection works.
    proxy.heal();
    let (bytes, error) = end(&mut stream).await;
    assert_eq!((bytes, error), (vec![], Some(ErrorKind::ConnectionReset)));
    let mut stream = connect(&proxy).await;
    stream.write_all(b"b").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, b"b");
}

#[tokio::test]
async fn a_blackhole_swallows_and_keeps_the_connection_open() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.blackhole();
    stream.write_all(b"lost").await.unwrap();
    assert!(silent(&mut stream).await);
    assert_eq!(proxy.bytes(Direction::ToServer), 0);
}

#[tokio::test]
async fn a_cut_is_a_reset() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"a").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, b"a");
    proxy.cut();
    assert_eq!(end(&mut stream).await, (vec![], Some(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_limit_ends_the_connection_at_its_byte() {
    let proxy = echo().await;
    proxy.set(Direction::ToClient, Faults { limit: Some(5), ..Faults::default() });
    let mut stream = connect(&proxy).await;
    stream.write_all(b"123456789").await.unwrap();
    let (bytes, error) = end(&mut stream).await;
    // What arrived just before a reset may be thrown away by the receiver's kernel.
    assert!(b"12345".starts_with(&bytes), "{bytes:?}");
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert_eq!(proxy.bytes(Direction::ToClient), 5);
}

#[tokio::test]
async fn refused_connections_are_reset_until_let_in() {
    let proxy = echo().await;
    proxy.refuse(true);
    let mut stream = connect(&proxy).await;
    assert_eq!(end(&mut stream).await, (vec![], Some(ErrorKind::ConnectionReset)));
    proxy.heal();
    let mut stream = connect(&proxy).await;
    stream.write_all(b"a").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, b"a");
}

#[tokio::test]
async fn latency_delays_and_bandwidth_slows() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let slow = Faults { latency: Duration::from_millis(120), ..Faults::default() };
    proxy.set(Direction::ToServer, slow);
    let begin = Instant::now();
    stream.write_all(b"a").await.unwrap();
    read(&mut stream, 1).await;
    assert!(begin.elapsed() >= Duration::from_millis(120), "{:?}", begin.elapsed());
    proxy.set(Direction::ToServer, Faults { bandwidth: Some(100_000), ..Faults::default() });
    let begin = Instant::now();
    stream.write_all(&[7; 40_000]).await.unwrap();
    read(&mut stream, 40_000).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn slices_change_nothing_but_the_sizes() {
    let proxy = echo().await;
    proxy.set(Direction::ToServer, Faults { slice: Some(1), ..Faults::default() });
    proxy.set(Direction::ToClient, Faults { slice: Some(3), ..Faults::default() });
    let mut stream = connect(&proxy).await;
    let sent: Vec<u8> = (0..2_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    stream.write_all(&sent).await.unwrap();
    assert_eq!(read(&mut stream, sent.len()).await, sent);
}

/// What the proxy is for: a write that lands, and an answer that does not.
#[tokio::test]
async fn a_write_lands_though_its_answer_is_held() {
    let etcd = Etcd::start().await;
    let proxy = Proxy::start(&etcd.endpoints()[0]).await;
    let through = end_to_end::Access { endpoints: vec![proxy.endpoint()], ..etcd.access().clone() };
    let mut client = through.client().await;
    client.put("a", "1", None).await.unwrap();
    proxy.hold(Direction::ToClient);
    let write = tokio::spawn(async move { client.put("a", "2", None).await });
    sleep(A_WHILE).await;
    assert!(!write.is_finished());
    assert_eq!(etcd.client().await.get("a", None).await.unwrap().kvs()[0].value(), b"2");
    proxy.release(Direction::ToClient);
    timeout(LIMIT, write).await.unwrap().unwrap().unwrap();
}
