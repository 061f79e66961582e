//! The accept loop: few connections, short headers, no patience.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a client may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more wait in the kernel's queue. Default 64: probes, a few
    /// scrapers and people.
    pub connections_max: usize,
    /// Time for a request's header to arrive, and for a kept connection to stay idle. Default 5 s.
    pub header_timeout: Duration,
    /// Bytes of a request's header. Default 16 KiB; hyper takes no less than 8 KiB.
    pub header_bytes_max: usize,
    /// Time after which a connection is asked to end, however busy, and is cut 5 s later.
    /// Default 60 s: nobody holds a place for ever by reading slowly.
    pub connection_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            header_timeout: Duration::from_secs(5),
            header_bytes_max: 16 << 10,
            connection_lifetime: Duration::from_secs(60),
        }
    }
}

/// hyper panics below this.
const HEADER_BYTES_MIN: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// What an answer in flight gets when its connection is to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `routes` on `listener` until `stop`, and returns once all connections are closed, at
/// most a few seconds later.
///
/// It never fails: what goes wrong with a client is that client's affair.
///
/// # Cancel safety
///
/// Dropping the future closes the listener; connections in flight end by their own limits.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections_max.max(1)));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let one = connection(stream, routes.clone(), limits, stop.clone());
                connections.spawn(async move {
                    one.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a monitoring connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn connection(stream: TcpStream, routes: Router, limits: Limits, stop: CancellationToken) {
    let connection = http1::Builder::new()
        // Without a timer the header's time-out does nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_MIN))
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(limits.connection_lifetime) => {}
        } } => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = sleep(FAREWELL) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a monitoring connection ended badly");
    }
}
