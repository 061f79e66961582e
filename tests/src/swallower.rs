//! A proxy that makes watches fall silent and nothing else: the connection stays open, pings are
//! answered, and so is every question that has one answer.
//!
//! It reads HTTP/2 frames, so it works without TLS only. What a server sends on a stream after its
//! first message is what it swallows: a watch's first message says that it stands, the next ones are
//! the changes. Flow control is left alone, so little may be swallowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const DATA: u8 = 0;

/// The length of a frame's head, and of a gRPC message's.
const FRAME_HEAD: usize = 9;
const MESSAGE_HEAD: usize = 5;

/// Every connection, those to come included.
const ALL: usize = usize::MAX;

#[derive(Debug, Default)]
struct Controls {
    /// Connections with a number below this one are silent.
    silent_below: AtomicUsize,
    connections: AtomicUsize,
    swallowed: AtomicU64,
}

/// A running proxy. Dropping it stops listening.
#[derive(Debug)]
pub struct Swallower {
    endpoint: String,
    controls: Arc<Controls>,
    accept: JoinHandle<()>,
}

impl Swallower {
    /// Starts a proxy before `target`, a URL such as `http://127.0.0.1:2379`. It swallows nothing yet.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("the port"));
        let controls = Arc::new(Controls::default());
        let shared = Arc::clone(&controls);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection(client, target.clone(), number, Arc::clone(&shared)));
            }
        });
        Self { endpoint, controls, accept }
    }

    /// Returns the proxy's own URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Silences the connections that are there. New ones are well.
    pub fn silence_open(&self) {
        let open = self.controls.connections.load(Ordering::Relaxed);
        self.controls.silent_below.store(open, Ordering::Relaxed);
    }

    /// Silences the connections that are there and those to come.
    pub fn silence_all(&self) {
        self.controls.silent_below.store(ALL, Ordering::Relaxed);
    }

    /// Passes everything on again. What was swallowed is gone.
    pub fn heal(&self) {
        self.controls.silent_below.store(0, Ordering::Relaxed);
    }

    /// Returns how many frames were swallowed.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.controls.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Swallower {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn connection(client: TcpStream, target: String, number: usize, controls: Arc<Controls>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let up = async move {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    tokio::join!(up, down(from_server, to_client, number, &controls));
}

/// Passes on what the server sends, frame by frame, less what is to be swallowed.
async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: usize, controls: &Controls) {
    let mut streams: BTreeMap<u32, First> = BTreeMap::new();
    let mut frame = vec![0; FRAME_HEAD];
    while from.read_exact(&mut frame[..FRAME_HEAD]).await.is_ok() {
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
        let is_data = frame[3] == DATA;
        frame.resize(FRAME_HEAD + length, 0);
        if from.read_exact(&mut frame[FRAME_HEAD..]).await.is_err() {
            break;
        }
        let later = is_data && streams.entry(stream).or_default().is_past(&frame[FRAME_HEAD..]);
        if later && number < controls.silent_below.load(Ordering::Relaxed) {
            controls.swallowed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if to.write_all(&frame).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// How much of a stream's first message has passed.
#[derive(Debug, Default)]
struct First {
    head: Vec<u8>,
    body: usize,
}

impl First {
    /// Takes in a stream's next data; returns true if it comes after the first message.
    fn is_past(&mut self, data: &[u8]) -> bool {
        if self.is_whole() {
            return true;
        }
        let head = data.len().min(MESSAGE_HEAD - self.head.len());
        self.head.extend_from_slice(&data[..head]);
        self.body += data.len() - head;
        false
    }

    fn is_whole(&self) -> bool {
        match self.head[..] {
            [_, a, b, c, d] => self.body >= u32::from_be_bytes([a, b, c, d]) as usize,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_passes_also_in_parts() {
        let mut first = First::default();
        assert!(!first.is_past(&[0, 0, 0]));
        assert!(!first.is_past(&[0, 3, b'a']));
        assert!(!first.is_past(b"bc"));
        assert!(first.is_past(&[0, 0, 0, 0, 1, b'd']));
        let mut empty = First::default();
        assert!(!empty.is_past(&[0, 0, 0, 0, 0]));
        assert!(empty.is_past(&[0]));
    }
}
