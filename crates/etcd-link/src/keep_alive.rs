//! How often a server is asked for a sign of life, and what it says to that.
//!
//! A server that is asked more often than its `--grpc-keepalive-min-time` allows says so, and hangs up.
//! Whoever has a request under way hears of a broken pipe only: the HTTP/2 library keeps what the server
//! said to itself. So it is looked for in what the connection carries.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::deadline;

/// However often a server hangs up, it is asked this often.
const INTERVAL_MAX: Duration = Duration::from_secs(600);

/// The interval of all connections of a cluster: as configured, or as learned.
#[derive(Clone, Debug)]
pub(crate) struct KeepAlive(Arc<AtomicU64>);

impl KeepAlive {
    pub(crate) fn new(interval: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(millis(interval))))
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// A server has hung up on a connection of the interval `used`.
    fn refused(&self, used: Duration, url: &str) {
        let longer = used.saturating_mul(2).min(INTERVAL_MAX);
        // Another connection may have learned it before.
        if self.0.fetch_max(millis(longer), Ordering::Relaxed) < millis(longer) {
            tracing::warn!(
                member = url,
                interval = deadline::shown(longer),
                "the member hangs up because it is asked for signs of life too often; it is asked \
                 less often from now on (set --keepalive-interval to the etcd's \
                 --grpc-keepalive-min-time or more)"
            );
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A connection that is listened to.
pub(crate) struct Listened<S> {
    pub(crate) stream: S,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) used: Duration,
    pub(crate) url: Arc<str>,
}

/// The GOAWAY frame of gRPC's servers: 22 bytes of payload, type 7, no flags, stream 0; then the last
/// stream (any), and the error `ENHANCE_YOUR_CALM` with the reason.
const GOAWAY_HEAD: &[u8] = &[0, 0, 22, 7, 0, 0, 0, 0, 0];
const GOAWAY_TAIL: &[u8] = b"\0\0\0\x0btoo_many_pings";
const LAST_STREAM_BYTES: usize = 4;

/// It comes on a connection on which little else does.
const LOOKED_AT_MAX: usize = 4 << 10;

fn says_too_many_pings(bytes: &[u8]) -> bool {
    let frame_bytes = GOAWAY_HEAD.len() + LAST_STREAM_BYTES + GOAWAY_TAIL.len();
    bytes.len() <= LOOKED_AT_MAX
        && bytes
            .windows(frame_bytes)
            .any(|frame| frame.starts_with(GOAWAY_HEAD) && frame.ends_with(GOAWAY_TAIL))
}

impl<S: AsyncRead + Unpin> AsyncRead for Listened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() && buffer.filled().get(before..).is_some_and(says_too_many_pings) {
            self.keep_alive.refused(self.used, &self.url);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_a_server_says_as_it_hangs_up_doubles_the_interval_once() {
        let second = Duration::from_secs(1);
        let frame = [&[9; 17][..], GOAWAY_HEAD, &[0, 0, 0, 5], GOAWAY_TAIL].concat();
        let keep_alive = KeepAlive::new(second);
        for _ in 0..2 {
            let url = "http://127.0.0.1:1".into();
            let (stream, keep_alive) = (frame.as_slice(), keep_alive.clone());
            let mut listened = Listened { stream, keep_alive, used: second, url };
            let mut bytes = [0; 100];
            let read = listened.read(&mut bytes).await.unwrap();
            assert_eq!(bytes[..read], frame, "all of it is passed on");
        }
        assert_eq!(keep_alive.interval(), second * 2);
        for _ in 0..20 {
            keep_alive.refused(keep_alive.interval(), "");
        }
        assert_eq!(keep_alive.interval(), INTERVAL_MAX);
    }

    #[test]
    fn a_value_that_speaks_of_pings_is_not_taken_for_it() {
        assert!(!says_too_many_pings(b"too_many_pings"));
        assert!(!says_too_many_pings(GOAWAY_TAIL));
        assert!(!says_too_many_pings(&[GOAWAY_HEAD, GOAWAY_TAIL].concat()));
    }
}
