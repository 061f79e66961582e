//! One request of HTTP/1.1 on a connection, and its answer, within a time limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How servers know this client in their logs.
pub(crate) const AGENT: &str = concat!("etcd-dr/", env!("CARGO_PKG_VERSION"));
/// No list of pods, and no page, is larger.
const BODY_BYTES_MAX: usize = 64 << 20;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends a request and reads the answer to its end.
///
/// # Errors
///
/// Why there is none. The request may have arrived all the same.
pub(crate) async fn exchange<S, B>(
    stream: S,
    request: Request<B>,
    limit: Duration,
) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Dropped with the set, the connection ends with this call, whatever becomes of it.
    let mut driver = JoinSet::new();
    let whole = async {
        let response = begin(stream, request, &mut driver).await?;
        let (parts, body) = response.into_parts();
        let body = read(body).await?;
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    };
    match timeout(limit, whole).await {
        Ok(reply) => reply,
        Err(_) => Err(format!("no answer within {}", humantime::format_duration(limit))),
    }
}

/// Sends a request; returns the answer once its head is there. The connection lives in `driver`.
pub(crate) async fn begin<S, B>(
    stream: S,
    request: Request<B>,
    driver: &mut JoinSet<()>,
) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(|error| told(&error))?;
    driver.spawn(async move {
        // What goes wrong with it is told to whoever waits for the answer.
        let _ = connection.with_upgrades().await;
    });
    sender.send_request(request).await.map_err(|error| told(&error))
}

async fn read(mut body: Incoming) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| told(&error))?.into_data() else { continue };
        if whole.len() + data.len() > BODY_BYTES_MAX {
            return Err(format!("an answer of more than {BODY_BYTES_MAX} bytes"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn told(error: &hyper::Error) -> String {
    if error.is_parse() {
        return "an answer that is not HTTP".to_owned();
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("the connection broke: {error}: {cause}"),
        None => format!("the connection broke: {error}"),
    }
}
