//! The accept loop: short headers, one answer each, no patience.

mod connection;
mod seats;

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::connection::Ending;
use self::connection::connection;
use self::seats::Seats;

/// What a client may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time. Beyond, the oldest whose request has not arrived makes room
    /// for a new one; if there is none, the new one is turned away. Default 320: the 64 answers of
    /// [`Room`](crate::Room), and 256 requests on their way.
    pub connections_max: usize,
    /// Time for a request's header to arrive. Default 5 s.
    pub header_timeout: Duration,
    /// Bytes of a request's header. Default 16 KiB; hyper takes no less than 8 KiB.
    pub header_bytes_max: usize,
    /// Time for an answer to be fetched, from its first byte on. Then its connection is asked to
    /// end, and is cut 5 s later. Default 60 s: nobody holds a place for ever by reading slowly,
    /// and a stream of events begins anew once a minute.
    pub answer_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 320,
            header_timeout: Duration::from_secs(5),
            header_bytes_max: 16 << 10,
            answer_lifetime: Duration::from_secs(60),
        }
    }
}

/// Pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `routes` on `listener` until `stop`, and returns once all connections are closed, at
/// most a few seconds later. Each connection gets one answer.
///
/// It never fails: what goes wrong with a client is that client's affair.
///
/// # Cancel safety
///
/// Dropping the future closes the listener; connections in flight end by their own limits.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let seats = Seats::new(limits.connections_max);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if seats.are_taken() {
                    // Requests that have come, but not been read, are read before any is dropped.
                    yield_now().await;
                }
                let Some(seat) = seats.take() else { continue };
                let one = connection(stream, routes.clone(), limits, seat, stop.clone());
                connections.spawn(one);
            }
            Err(error) => {
                tracing::warn!(%error, "a monitoring connection could not be accepted");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}
