//! What each path answers.

mod answer;
mod check;
mod events;
mod source;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::routing::get;

use self::answer::{
    answer, busy, in_place, json_answer, refusal, retry_later, secured, styled, text,
};
use self::source::Source;
pub use self::source::{Room, Sources};
use crate::check::one_line;
use crate::health::{Check, liveness, readiness, verbose};
use crate::metrics::{Exposition, render};
use crate::page::{SCRIPT, STYLE, page};

/// The most characters of a path that an answer repeats.
const PATH_CHARS_MAX: usize = 200;
/// What to do about a path that does not exist, or not for this method.
const SEE_INDEX: &str = "GET / lists what there is";

const INDEX: &str = "\
etcd-sync: read-only. Orders go through the `etcd-sync` command line.

/check          compares both clusters now; ?format=json, ?strict=true, ?limit=1000
/api/v1/status  what the mirror does, as JSON
/api/v1/checks  the last checks, newest first, as JSON
/api/v1/preflight  what was found before the first write, as JSON
/api/v1/events  status and checks as they change, as server-sent events
/metrics        Prometheus and OpenMetrics
/readyz         200 while the mirror follows or stands by; ?verbose lists the checks
/livez          200 while a restart would not help
";

/// Returns the routes, as a service that can also be mounted elsewhere.
///
/// `GET` and `HEAD` only; everything else is answered with 405, unknown paths with 404.
pub fn router(sources: Sources) -> Router {
    let source = Arc::new(Source::new(sources));
    Router::new()
        .route("/", get(index))
        .route("/page.css", get(|| async { styled(STYLE, "text/css; charset=utf-8") }))
        .route("/page.js", get(|| async { styled(SCRIPT, "text/javascript; charset=utf-8") }))
        .route("/check", get(check::check).head(check::last_check))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status_json))
        .route("/api/v1/checks", get(check::checks_json))
        .route("/api/v1/preflight", get(preflight_json))
        .route("/api/v1/events", get(events::events))
        .route_layer(from_fn_with_state(Arc::clone(&source), within_room))
        // Health comes after the layer: it needs no place.
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(async |response| secured(response)))
        .with_state(source)
}

/// Answers only while there is room for one more.
async fn within_room(
    State(source): State<Arc<Source>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match source.answers.take() {
        Some(place) => in_place(next.run(request).await, place),
        None => busy(request.uri().path(), "too many answers are being fetched already"),
    }
}

/// `GET /`: the page, or for who wants text alone the paths that there are.
async fn index(State(source): State<Arc<Source>>, headers: HeaderMap) -> Response<Body> {
    if accepts(&headers, "text/plain") && !accepts(&headers, "text/html") {
        return text(StatusCode::OK, INDEX);
    }
    let checks = source.checks.as_ref().map(crate::Checks::history).unwrap_or_default();
    let html = page(&source.report(), checks.iter().map(AsRef::as_ref));
    styled(html, "text/html; charset=utf-8")
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
    let exposition = if accepts(&headers, "application/openmetrics-text") {
        Exposition::OpenMetrics
    } else {
        Exposition::Text
    };
    let totals = source.checks.as_ref().map(crate::Checks::totals);
    let text = render(&source.report(), totals.as_ref(), exposition);
    answer(StatusCode::OK, exposition.content_type(), text)
}

async fn status_json(State(source): State<Arc<Source>>) -> Response<Body> {
    let pretty = serde_json::to_string_pretty(&source.report());
    json_answer(StatusCode::OK, pretty.map(|body| body.replace('<', "\\u003c")))
}

/// `GET /api/v1/preflight`: what the last preflight said, whether it was good news or not.
async fn preflight_json(State(source): State<Arc<Source>>, uri: Uri) -> Response<Body> {
    match source.preflight.newest() {
        Some(report) => json_answer(StatusCode::OK, Ok(report.to_string())),
        None => retry_later(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            uri.path(),
            "no preflight has ended in this process",
            "etcd-sync preflight runs one from the command line",
        )),
    }
}

/// Tells whether the client names this content type among those that it takes.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get_all(header::ACCEPT);
    accept.iter().any(|value| value.to_str().is_ok_and(|value| value.contains(kind)))
}

async fn not_found(uri: Uri) -> Response<Body> {
    let path: String = one_line(uri.path()).chars().take(PATH_CHARS_MAX).collect();
    let reason = format!("there is nothing at {path}");
    refusal(StatusCode::NOT_FOUND, uri.path(), &reason, SEE_INDEX)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response<Body> {
    let method: String = method.as_str().chars().take(20).collect();
    let reason = format!("{method} is not answered: this interface is read-only");
    refusal(StatusCode::METHOD_NOT_ALLOWED, uri.path(), &reason, SEE_INDEX)
}
