//! One request to a Kubernetes API.

use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::error::KubeError;
use super::kubeconfig::Access;
use crate::http::{self, Reply, exchange};
use crate::network::address::Address;
use crate::network::dial::dial;
use crate::words::one_line;

/// What is asked of an API.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    /// Kind of the body, and the body.
    pub(super) body: Option<(&'static str, String)>,
}

/// JSON, or JSON under another name: an API gives its public keys as `application/jwk-set+json`, and
/// whoever asks for nothing but JSON gets none.
const ANY_JSON: &str = "application/json, */*";
/// JSON.
pub(super) const JSON: &str = "application/json";
/// A change of some fields.
pub(super) const MERGE: &str = "application/merge-patch+json";
/// A whole object that is to be there, whether it was or not. YAML, of which JSON is a part.
pub(super) const APPLY: &str = "application/apply-patch+yaml";

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).with(JSON, body.to_string())
    }

    /// Makes an object be as it is described, under the name of this program.
    pub(super) fn apply(path: &str, yaml: impl Into<String>) -> Self {
        let path = format!("{path}?fieldManager=etcd-dr&force=true");
        Self::new(Method::PATCH, path).with(APPLY, yaml.into())
    }

    pub(super) fn with(mut self, kind: &'static str, body: String) -> Self {
        self.body = Some((kind, body));
        self
    }
}

/// What an API answered.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) body: Value,
    /// By how many milliseconds its clock is ahead of ours.
    pub(super) ahead_ms: i64,
}

/// A connection to an API.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Access {
    /// Connects to the server that the kubeconfig names, or, if `at` says so, to another address in
    /// its name.
    pub(super) async fn connect(
        &self,
        at: Option<&Address>,
        limit: Duration,
    ) -> Result<Box<dyn Wire>, KubeError> {
        let until = Instant::now() + limit;
        let address = at.unwrap_or(&self.server.address);
        let stream = dial(address, limit).await;
        let stream = stream.map_err(|error| KubeError::Away(error.text().to_owned()))?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.server_name.clone()).map_err(|_| {
            KubeError::Setup(format!("{} is no name for a certificate", self.server_name))
        })?;
        let handshake = TlsConnector::from(tls.clone()).connect(name, stream);
        match timeout_at(until, handshake).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(handshake_failed(address, &error)),
            Err(_) => Err(KubeError::Away(format!(
                "{address} accepts, and says nothing within {}",
                humantime::format_duration(limit)
            ))),
        }
    }

    /// Makes a request, with everything but what it is about.
    pub(super) fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, KubeError> {
        let setup = |error: &dyn std::fmt::Display| KubeError::Setup(error.to_string());
        let path = format!("{}{}", self.server.path.trim_end_matches('/'), call.path);
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(path)
            .header(HOST, self.server.address.to_string())
            .header(USER_AGENT, http::AGENT)
            .header(ACCEPT, ANY_JSON);
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
            let mut value =
                value.map_err(|_| KubeError::Setup("the token is no text for a header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = call.body.as_ref().map(|(kind, body)| {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            (*kind, bytes)
        });
        let (request, body) = match body {
            Some((kind, bytes)) => (request.header(CONTENT_TYPE, kind), bytes),
            None => (request, Bytes::new()),
        };
        request.body(Full::new(body)).map_err(|error| setup(&error))
    }

    /// Connects, asks, and reads the answer.
    pub(super) async fn call(&self, call: &Call, limit: Duration) -> Result<Found, KubeError> {
        self.call_at(None, call, limit).await
    }

    /// The same, of another address that serves this API.
    pub(super) async fn call_at(
        &self,
        at: Option<&Address>,
        call: &Call,
        limit: Duration,
    ) -> Result<Found, KubeError> {
        let reply = self.reply(at, call, limit).await?;
        self.read(&reply)
    }

    /// Connects, asks, and reads an answer that is a text, such as a log.
    pub(super) async fn text(&self, call: &Call, limit: Duration) -> Result<String, KubeError> {
        let reply = self.reply(None, call, limit).await?;
        if reply.status.is_success() {
            return Ok(String::from_utf8_lossy(&reply.body).into_owned());
        }
        self.read(&reply).map(|_| String::new())
    }

    async fn reply(
        &self,
        at: Option<&Address>,
        call: &Call,
        limit: Duration,
    ) -> Result<Reply, KubeError> {
        let until = Instant::now() + limit;
        let request = self.request(call)?;
        let stream = self.connect(at, limit).await?;
        let left = until.saturating_duration_since(Instant::now());
        let reply = exchange(stream, request, left).await;
        reply.map_err(|why| {
            let address = at.unwrap_or(&self.server.address);
            KubeError::Lost(self.hide(&format!("{address}: {why}")))
        })
    }

    fn read(&self, reply: &Reply) -> Result<Found, KubeError> {
        let body = serde_json::from_slice(&reply.body);
        if reply.status.is_success() {
            let body = body.map_err(|_| KubeError::Lost("an answer that is not JSON".into()))?;
            return Ok(Found { body, ahead_ms: ahead_ms(reply.headers.get(DATE)) });
        }
        let body: Value = body.unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
        let message = if message.is_empty() {
            reply.status.canonical_reason().unwrap_or("nothing more").to_owned()
        } else {
            one_line(&self.hide(message))
        };
        Err(KubeError::Refused { status: reply.status.as_u16(), message })
    }

    /// A server may repeat what it was sent.
    pub(super) fn hide(&self, text: &str) -> String {
        match self.token.as_ref().map(super::kubeconfig::Token::reveal) {
            Some(token) if !token.is_empty() => text.replace(token, "…"),
            Some(_) | None => text.to_owned(),
        }
    }
}

fn handshake_failed(address: &Address, error: &io::Error) -> KubeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        None => KubeError::Away(format!("{address} hangs up in the TLS handshake ({error})")),
        Some(rustls::Error::InvalidMessage(_)) => {
            KubeError::Distrusted(format!("{address} does not speak TLS"))
        }
        Some(inner) => KubeError::Distrusted(format!("{address}: TLS: {inner}")),
    }
}

/// Reads by how much the server's clock is ahead. The header has whole seconds, and the answer took
/// a moment: less than two seconds is nothing.
fn ahead_ms(date: Option<&HeaderValue>) -> i64 {
    let Some(date) = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
    else {
        return 0;
    };
    let now = SystemTime::now();
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let ahead = match date.duration_since(now) {
        Ok(ahead) => ms(ahead),
        Err(behind) => -ms(behind.duration()),
    };
    if ahead.abs() < 2_000 { 0 } else { ahead }
}

/// Writes a text as a part of a path or of a query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
