//! Checks over HTTP: one now, and the last ones.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures::stream;
use serde::Serialize;

use super::accepts;
use super::answer::{answer, in_place, json_answer, json_text, retry_later, text};
use super::source::{MaybeEnding, Source, ended};
use crate::check::TextParts;
use crate::{CheckFormat, CheckQuery, CheckReport, CheckVerdict, Comparison};

/// Says what the verdict is to clients that read no bodies.
const VERDICT: &str = "x-etcd-sync-verdict";
const NOT_WIRED: &str = "no check is wired into this process";

/// `GET /check`: compares now, or joins the comparison that runs.
pub(super) async fn check(
    State(source): State<Arc<Source>>,
    ending: MaybeEnding,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let wish = match Wish::of(query.as_deref(), &headers) {
        Ok(wish) => wish,
        Err(refused) => return *refused,
    };
    let Some(checks) = &source.checks else { return wish.answer(open(NOT_WIRED)) };
    let Some(place) = source.check_callers.take() else {
        return wish.answer(open("too many callers wait for a check already; it was not joined"));
    };
    let report = tokio::select! {
        report = checks.run() => report,
        () = ended(ending.as_deref()) => open("the process is stopping"),
    };
    in_place(wish.answer(report), place)
}

/// `HEAD /check`: what the last check said, and its age. It runs none: who wants no body should
/// not cost both clusters a comparison, and the `GET` that often follows would be the second.
pub(super) async fn last_check(
    State(source): State<Arc<Source>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let wish = match Wish::of(query.as_deref(), &headers) {
        Ok(wish) => wish,
        Err(refused) => return *refused,
    };
    let Some(checks) = &source.checks else { return wish.answer(open(NOT_WIRED)) };
    match checks.newest() {
        Some((report, came)) => {
            let mut response = wish.answer(report);
            let age = HeaderValue::from(came.elapsed().as_secs());
            response.headers_mut().insert(header::AGE, age);
            response
        }
        None => wish.answer(open("no check has run yet; GET runs one")),
    }
}

/// `GET /api/v1/checks`: the last reports, newest first, written one by one as they are fetched.
pub(super) async fn checks_json(State(source): State<Arc<Source>>) -> Response<Body> {
    let history = source.checks.as_ref().map(crate::Checks::dated);
    let newest = match &history {
        None => open(NOT_WIRED),
        Some(reports) => reports
            .first()
            .map_or_else(|| open("no check has run yet"), |(report, _)| Arc::clone(report)),
    };
    let head = json_text(&Head {
        verdict: newest.verdict(),
        reason: newest.reason(),
        next_steps: newest.next_steps(),
    });
    let head = match head {
        Ok(head) => format!("{},\"checks\":[", head.trim_end_matches('}')),
        Err(error) => return json_answer(StatusCode::OK, Err(error)),
    };
    let reports = history.unwrap_or_default().into_iter().enumerate().map(|(index, dated)| {
        let separator = if index == 0 { "\n" } else { ",\n" };
        let (report, age_seconds) = dated;
        json_text(&Dated { age_seconds, report: &report })
            .map(|report| Bytes::from(format!("{separator}{report}")))
    });
    let parts = std::iter::once(Ok(Bytes::from(head)))
        .chain(reports)
        .chain(std::iter::once(Ok(Bytes::from_static(b"]}\n"))));
    answer(StatusCode::OK, "application/json", Body::from_stream(stream::iter(parts)))
}

/// What `/api/v1/checks` says before the reports.
#[derive(Serialize)]
struct Head<'a> {
    verdict: CheckVerdict,
    reason: &'a str,
    next_steps: &'a [String],
}

/// A report, and how old it is.
#[derive(Serialize)]
struct Dated<'a> {
    /// Seconds since the check began, by the clock of the process that serves this.
    age_seconds: f64,
    #[serde(flatten)]
    report: &'a CheckReport,
}

fn open(reason: &str) -> Arc<CheckReport> {
    Arc::new(CheckReport::inconclusive(reason, Comparison::default()))
}

/// How a caller wants the answer.
struct Wish {
    query: CheckQuery,
    json: bool,
}

impl Wish {
    /// Reads the wish, or says what is wrong with it.
    fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Box<Response<Body>>> {
        let query = CheckQuery::parse(query.unwrap_or_default())
            .map_err(|error| Box::new(text(StatusCode::BAD_REQUEST, format!("{error}\n"))))?;
        let json = match query.format {
            Some(format) => format == CheckFormat::Json,
            None => accepts(headers, "application/json"),
        };
        Ok(Self { query, json })
    }

    fn answer(&self, report: Arc<CheckReport>) -> Response<Body> {
        let verdict = report.verdict();
        let status = match verdict {
            CheckVerdict::InSync => StatusCode::OK,
            CheckVerdict::Drift if self.query.strict => StatusCode::CONFLICT,
            CheckVerdict::Drift => StatusCode::OK,
            CheckVerdict::Inconclusive => StatusCode::SERVICE_UNAVAILABLE,
        };
        let limit = self.query.limit;
        let mut response = if self.json {
            json_answer(status, json_text(&CheckReport::clone(&report).trimmed(limit)))
        } else {
            // Written as it is fetched: a long report does not exist twice.
            let parts = TextParts::new(report, limit).map(Ok::<_, Infallible>);
            text(status, Body::from_stream(stream::iter(parts)))
        };
        if !verdict.is_conclusive() {
            return retry_later(response);
        }
        let verdict = HeaderValue::from_static(verdict.as_str());
        response.headers_mut().insert(VERDICT, verdict);
        response
    }
}
