//! How answers are put together.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::Verdict;

/// When a client that was sent away should come back.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

pub(super) fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", body)
}

pub(super) fn answer(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// Writes a value as JSON in which no markup can hide, whoever mistakes it for a page.
pub(super) fn json_text(value: &impl Serialize) -> serde_json::Result<String> {
    // JSON has the sign in strings only, and there it may be escaped.
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

/// An answer in JSON, or the admission that there is none.
pub(super) fn json_answer(status: StatusCode, body: serde_json::Result<String>) -> Response<Body> {
    match body {
        Ok(body) => answer(status, "application/json", body + "\n"),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written as JSON\n")
        }
    }
}

/// An error, as JSON below `/api/`, else as text.
pub(super) fn refusal(status: StatusCode, path: &str, reason: &str, step: &str) -> Response<Body> {
    if path.starts_with("/api/") {
        let verdict = Verdict::Unknown.as_str();
        json_answer(
            status,
            json_text(&json!({ "verdict": verdict, "reason": reason, "next_steps": [step] })),
        )
    } else {
        text(status, format!("{reason}; {step}\n"))
    }
}

/// Says that there are too many already.
pub(super) fn busy(path: &str, reason: &str) -> Response<Body> {
    let step = format!("try again in {} s", RETRY_AFTER.as_secs());
    retry_later(refusal(StatusCode::SERVICE_UNAVAILABLE, path, reason, &step))
}

/// Says when to come back.
pub(super) fn retry_later(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
    response
}

/// A page, its style or its script: it may load these and itself from here, and nothing else.
pub(super) fn styled(body: impl Into<Body>, kind: &'static str) -> Response<Body> {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = answer(StatusCode::OK, kind, body);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Nothing here is to be cached, framed, sniffed or to load anything.
pub(super) fn secured(mut response: Response<Body>) -> Response<Body> {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    const POLICY: HeaderValue =
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // A page has a policy of its own.
    response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY);
    response
}

/// Makes an answer keep its place until it has been fetched, or cut off.
pub(super) fn in_place(response: Response<Body>, place: OwnedSemaphorePermit) -> Response<Body> {
    response.map(|body| Body::new(InPlace { body, _place: place }))
}

/// A body and the place that it takes up.
struct InPlace {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for InPlace {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
