//! What each path answers.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use crate::health::{Check, Thresholds, liveness, one_line, readiness, verbose};
use crate::metrics::{CONTENT_TYPE_OPENMETRICS, CONTENT_TYPE_TEXT, render};
use crate::{Snapshot, StatusReport, Verdict};

/// The most characters of a path that an answer repeats.
const PATH_CHARS_MAX: usize = 200;

const INDEX: &str = "\
etcd-sync: read-only. Orders go through the `etcd-sync` command line.

/api/v1/status  what the mirror does, as JSON
/metrics        Prometheus and OpenMetrics
/readyz         200 while the mirror follows or stands by; ?verbose lists the checks
/livez          200 while a restart would not help
";

#[derive(Debug)]
struct Source {
    status: watch::Receiver<Snapshot>,
    asked: Thresholds,
}

impl Source {
    /// The engine's sender is gone once its task has ended.
    fn mirror_runs(&self) -> bool {
        self.status.has_changed().is_ok()
    }

    fn report(&self) -> StatusReport {
        // The borrow ends before any await: it would hold up the engine's next status.
        self.status.borrow().at(Instant::now())
    }
}

/// Returns the routes, as a service that can also be mounted elsewhere.
///
/// `GET` and `HEAD` only; everything else is answered with 405, unknown paths with 404.
pub fn router(status: watch::Receiver<Snapshot>, asked: Thresholds) -> Router {
    Router::new()
        .route("/", get(|| async { text(StatusCode::OK, INDEX) }))
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status_json))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(axum::middleware::map_response(async |response| secured(response)))
        .with_state(Arc::new(Source { status, asked }))
}

async fn livez(
    State(source): State<Arc<Source>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let name = uri.path().trim_start_matches('/');
    health(name, &liveness(source.mirror_runs()), query.as_deref())
}

async fn readyz(State(source): State<Arc<Source>>, RawQuery(query): RawQuery) -> Response<Body> {
    let checks = readiness(&source.report(), source.mirror_runs(), source.asked);
    health("readyz", &checks, query.as_deref())
}

fn health(name: &str, checks: &[Check], query: Option<&str>) -> Response<Body> {
    let listed = query.is_some_and(|query| {
        query.split('&').any(|part| part == "verbose" || part.starts_with("verbose="))
    });
    if checks.iter().any(|check| check.failure.is_some()) {
        text(StatusCode::SERVICE_UNAVAILABLE, verbose(name, checks))
    } else if listed {
        text(StatusCode::OK, verbose(name, checks))
    } else {
        text(StatusCode::OK, "ok")
    }
}

async fn metrics(State(source): State<Arc<Source>>, headers: HeaderMap) -> Response<Body> {
    let openmetrics = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let kind = if openmetrics { CONTENT_TYPE_OPENMETRICS } else { CONTENT_TYPE_TEXT };
    answer(StatusCode::OK, kind, render(&source.report()))
}

async fn status_json(State(source): State<Arc<Source>>) -> Response<Body> {
    match serde_json::to_string_pretty(&source.report()) {
        Ok(body) => answer(StatusCode::OK, "application/json", body + "\n"),
        Err(error) => {
            tracing::error!(%error, "the status could not be written as JSON");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the status could not be written as JSON\n")
        }
    }
}

async fn not_found(uri: Uri) -> Response<Body> {
    let path: String = one_line(uri.path()).chars().take(PATH_CHARS_MAX).collect();
    refusal(StatusCode::NOT_FOUND, uri.path(), &format!("there is nothing at {path}"))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response<Body> {
    let method: String = method.as_str().chars().take(20).collect();
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        uri.path(),
        &format!("{method} is not answered: this interface is read-only"),
    )
}

/// An error, as JSON below `/api/`, else as text.
fn refusal(status: StatusCode, path: &str, reason: &str) -> Response<Body> {
    let step = "GET / lists what there is";
    if path.starts_with("/api/") {
        let verdict = Verdict::Unknown.as_str();
        let body = json!({ "verdict": verdict, "reason": reason, "next_steps": [step] });
        answer(status, "application/json", format!("{body}\n"))
    } else {
        text(status, format!("{reason}; {step}\n"))
    }
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", body)
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// Nothing here is to be cached, framed, sniffed or to load anything.
fn secured(mut response: Response<Body>) -> Response<Body> {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
