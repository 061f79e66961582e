//! What a mirror tells the world over HTTP: health, metrics and status.
//!
//! This crate gives no orders: nothing that a client sends can change what the mirror does. It reads
//! plain values from a [`tokio::sync::watch`] channel and knows neither etcd nor the engine; a slow,
//! hostile or absent client costs the mirror nothing. It reads no wall clock: whoever makes a
//! [`Snapshot`] says when.
//!
//! [`StatusReport`] is the written JSON contract of `/api/v1/status`, of `etcd-sync status -o json`
//! and of the copy of it that a mirror keeps in the standby.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod health;
mod metrics;
mod report;
mod routes;
mod server;

pub use health::{Check, Thresholds, liveness, readiness};
pub use metrics::{CONTENT_TYPE_OPENMETRICS, CONTENT_TYPE_TEXT, METRICS, MetricSpec, render};
pub use report::{
    BlockedReport, CopyReport, CountersReport, DOCUMENTED_GUARDS, DOCUMENTED_STATES, Labelled,
    Snapshot, StatusReport, Verdict,
};
pub use routes::router;
pub use server::{Limits, serve};
