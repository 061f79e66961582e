//! One connection: one request, one answer.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::seats::Seat;

/// hyper panics below this.
const HEADER_BYTES_MIN: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// What an answer in flight gets when its connection is to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Tells a handler that its connection is about to end: the process stops, or the answer has been
/// on its way for too long.
#[derive(Clone, Debug)]
pub(crate) struct Ending(pub(crate) CancellationToken);

/// Serves one request, within limits.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(super) async fn connection(
    stream: TcpStream,
    routes: Router,
    limits: Limits,
    seat: Seat,
    stop: CancellationToken,
) {
    let ending = stop.child_token();
    let answered = CancellationToken::new();
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|mut request: Request<Incoming>| {
        seat.request_arrived();
        request.extensions_mut().insert(Ending(ending.clone()));
        let answer = routes.call(request);
        async {
            let answer = answer.await;
            answered.cancel();
            answer
        }
    });
    let connection = http1::Builder::new()
        // Without a timer the header's time-out does nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_MIN))
        .max_headers(HEADERS_MAX)
        // An idle connection would hold a seat for nothing; a new one costs next to nothing.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // How long a handler takes is its own affair; how long its answer is fetched is not.
    let expired = async {
        answered.cancelled().await;
        sleep(limits.answer_lifetime).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.lost() => return,
        () = async { tokio::select! { () = stop.cancelled() => {}, () = expired => {} } } => {
            if !seat.is_heard() {
                return;
            }
            ending.cancel();
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
