//! What a mirror tells the world over HTTP: health, metrics, status and checks.
//!
//! This crate gives no orders: nothing that a client sends can change what the mirror does, or what
//! either cluster holds. It reads plain values from a [`tokio::sync::watch`] channel, runs the
//! comparison that it is handed, and knows neither etcd nor the engine; a slow, hostile or absent
//! client costs the mirror nothing. It reads no wall clock (whoever makes a [`Snapshot`] says when),
//! save to date a check that did not live to do so itself.
//!
//! [`StatusReport`] is the written JSON contract of `/api/v1/status`, of `etcd-sync status -o json`
//! and of the copy of it that a mirror keeps in the standby; [`CheckReport`] is the one of `/check`,
//! of `/api/v1/checks` and of `etcd-check -o json`.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod check;
mod health;
mod metrics;
mod page;
mod preflight;
mod repair;
mod report;
mod routes;
mod server;

pub use check::{
    CheckFormat, CheckMode, CheckQuery, CheckReport, CheckTotals, CheckVerdict, Checks, Comparison,
    Conclusion, DifferenceKind, DifferenceReport, PinsReport, QueryError, printable_key,
};
pub use health::{Check, Thresholds, liveness, readiness};
pub use metrics::{
    CONTENT_TYPE_OPENMETRICS, CONTENT_TYPE_TEXT, Exposition, METRICS, MetricSpec, render,
};
pub use preflight::PreflightSlot;
pub use repair::{RepairCountsReport, RepairPlanReport, RepairReport};
pub use report::{
    BlockedReport, CopyReport, CountersReport, DOCUMENTED_GUARDS, DOCUMENTED_STATES, DbReport,
    DriftReport, HeldBackReport, Labelled, LastCheckReport, NamedKey, PromotionReport, Snapshot,
    StatusReport, Verdict,
};
pub use routes::{Room, Sources, router};
pub use server::{Limits, serve};
