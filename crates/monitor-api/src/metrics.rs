//! The metrics, rendered on every scrape from a status and from the checks. No label ever holds a key's name.

use std::fmt::{self, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::check::{CheckTotals, CheckVerdict, Conclusion, DURATION_ENDS, DifferenceKind};
use crate::report::{DOCUMENTED_GUARDS, DOCUMENTED_STATES, Labelled, StatusReport};

/// The content type for clients that accept OpenMetrics.
pub const CONTENT_TYPE_OPENMETRICS: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content type for everybody else: Prometheus' older text format.
pub const CONTENT_TYPE_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every metric's name begins with.
const PREFIX: &str = "etcd_sync";

/// A metric's name without the prefix `etcd_sync_`, and what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// The name of its samples, `_total` included.
    pub name: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, as `# HELP` says it.
    pub help: &'static str,
}

const fn spec(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricSpec {
    MetricSpec { name, labels, help }
}

/// Every metric that a mirror may show. One whose value is not known is absent, never zero.
pub const METRICS: &[MetricSpec] = &[
    spec("state", &["state"], "1 for the state that the mirror is in, 0 for the others"),
    spec("leader", &[], "1 while this instance leads"),
    spec("epoch", &[], "The fence number that the mirror writes under"),
    spec("primary_revision", &[], "The primary's newest revision, as of its last answer"),
    spec(
        "checkpoint_revision",
        &[],
        "The primary revision up to which the standby equals the primary",
    ),
    spec(
        "verified_revision",
        &[],
        "The primary revision as of which a check last proved the standby equal",
    ),
    spec("standby_revision", &[], "The standby's newest revision that the mirror knows of"),
    spec(
        "primary_compacted_revision",
        &[],
        "The revision up to which the primary forgot its history",
    ),
    spec("lag_revisions", &[], "Revisions of the primary that the standby does not hold yet"),
    spec(
        "lag_seconds",
        &[],
        "Time since the standby was last known to hold everything the primary had",
    ),
    spec(
        "compaction_headroom_revisions",
        &[],
        "Revisions between the primary's compaction and the checkpoint",
    ),
    spec("events_received_total", &["op"], "Changes in scope that the watch delivered"),
    spec("events_filtered_total", &[], "Changes out of scope that the watch delivered"),
    spec("ops_applied_total", &["op"], "Writes that were committed to the standby"),
    spec("apply_txn_duration_seconds", &[], "Time that transactions took to commit"),
    spec("copy_keys", &["phase"], "Keys of the copy that runs, or of the last one"),
    spec("copy_bytes", &["phase"], "Bytes of the copy that runs, or of the last one"),
    spec("watch_restarts_total", &["reason"], "How often the watch was opened again"),
    spec("resyncs_total", &["reason"], "How often a comparison had to close a gap"),
    spec("errors_total", &["side", "class"], "Requests that failed"),
    spec("foreign_writes_total", &["op"], "Writes by others to keys in scope on the standby"),
    spec("healed_total", &[], "Keys that others deleted or changed and that were put back"),
    spec(
        "heal_refused_keys",
        &[],
        "Keys that the standby refuses, however often they are put back",
    ),
    spec("held_back_keys", &[], "Keys in scope that are kept off the standby"),
    spec("parked_keys", &[], "Keys that are parked until the standby is promoted"),
    spec("revision_gap", &[], "The standby's revision less the primary's"),
    spec("fenced_txns_total", &[], "Transactions whose guard did not hold"),
    spec("guard_blocked", &["guard"], "1 for the guard that stopped the mirror, 0 for the others"),
    spec("check_runs_total", &["result"], "Checks, by what came of them"),
    spec("check_differences", &["kind"], "Keys that differed in the last check that had an answer"),
    spec("check_duration_seconds", &[], "Time that checks took"),
    spec(
        "check_last_conclusive_timestamp_seconds",
        &[],
        "When the last check that had an answer ended, since 1970",
    ),
    spec("last_contact_timestamp_seconds", &["side"], "When the cluster last answered, since 1970"),
    spec("watch_stalls_total", &["side"], "How often a watch stood still behind a head that moved"),
    spec("db_size_bytes", &["side"], "Size of the database file of the member that answered"),
    spec("db_quota_bytes", &["side"], "Size at which that member takes no more writes"),
    spec(
        "certificate_expiry_timestamp_seconds",
        &["side"],
        "When the client certificate of the mirror expires, since 1970",
    ),
    spec("build_info", &["version"], "1, with the version that runs"),
];

/// Those that only a process that checks can tell.
const CHECK_METRICS: [&str; 5] = [
    "verified_revision",
    "check_runs_total",
    "check_differences",
    "check_duration_seconds",
    "check_last_conclusive_timestamp_seconds",
];

/// The format that metrics are written in. A text of one is not valid in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format, 0.0.4: for clients that do not ask for the other.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The content type that goes with it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => CONTENT_TYPE_TEXT,
            Self::OpenMetrics => CONTENT_TYPE_OPENMETRICS,
        }
    }
}

/// Renders the metrics of a status, and of the checks if there are any.
#[must_use]
pub fn render(
    report: &StatusReport,
    checks: Option<&CheckTotals>,
    exposition: Exposition,
) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    let told = Told { report: report.clone(), checks: checks.cloned() };
    registry.register_collector(Box::new(told));
    let mut text = String::new();
    // Writing to a string can't fail; a partial exposition without `# EOF` would be refused.
    let _ = encode(&mut text, &registry);
    match exposition {
        Exposition::OpenMetrics => text,
        Exposition::Text => plain(&text),
    }
}

/// Turns OpenMetrics into the older format: there a counter's family is named as its samples are,
/// and the text has no end mark.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.lines() {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|word| {
            let (name, rest) = line.strip_prefix(word)?.split_once(' ')?;
            Some((word, name, rest))
        });
        // Writing to a string can't fail.
        let _ = match described {
            Some((word, name, rest)) if is_counter(name) => {
                writeln!(plain, "{word}{name}_total {rest}")
            }
            None if line.starts_with('#') => Ok(()),
            _ => writeln!(plain, "{line}"),
        };
    }
    plain
}

/// Tells whether this is the name of a counter's family, without the `_total` of its samples.
fn is_counter(family: &str) -> bool {
    METRICS.iter().any(|metric| {
        metric.name.strip_suffix("_total").is_some_and(|name| {
            family.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_')) == Some(name)
        })
    })
}

#[derive(Debug)]
struct Told {
    report: StatusReport,
    checks: Option<CheckTotals>,
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in METRICS {
            let samples = Samples { encoder: &mut encoder, metric };
            match &self.checks {
                _ if !CHECK_METRICS.contains(&metric.name) => samples.write(&self.report)?,
                Some(checks) => samples.write_checks(checks)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Writes the samples of one metric.
struct Samples<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    metric: &'static MetricSpec,
}

impl Samples<'_, '_> {
    fn write(mut self, report: &StatusReport) -> fmt::Result {
        let (counters, copy) = (&report.counters, &report.copy);
        match self.metric.name {
            "state" => self.one_of(&DOCUMENTED_STATES, Some(report.state.as_str())),
            "leader" => self.gauge(report.leader.map(i64::from)),
            "epoch" => self.gauge(report.epoch.map(signed)),
            "primary_revision" => self.gauge(report.primary_revision),
            "checkpoint_revision" => self.gauge(report.checkpoint_revision),
            "standby_revision" => self.gauge(report.standby_revision),
            "primary_compacted_revision" => self.gauge(report.primary_compacted_revision),
            "lag_revisions" => self.gauge(report.lag_revisions.map(signed)),
            "lag_seconds" => self.seconds(report.lag_seconds),
            "compaction_headroom_revisions" => self.gauge(report.compaction_headroom()),
            "events_received_total" => {
                self.by_op(counters.puts_received, counters.deletes_received)
            }
            "events_filtered_total" => self.counter(counters.filtered),
            "ops_applied_total" => self.by_op(counters.puts_applied, counters.deletes_applied),
            "apply_txn_duration_seconds" => self.durations(counters.txn_seconds, counters.txns),
            "copy_keys" => self.phases(&[
                ("total", copy.keys_total),
                ("read", Some(copy.keys_read)),
                ("written", Some(copy.keys_written)),
                ("deleted", Some(copy.keys_deleted)),
            ]),
            "copy_bytes" => self
                .phases(&[("read", Some(copy.bytes_read)), ("written", Some(copy.bytes_written))]),
            "watch_restarts_total" => self.labelled(&counters.watch_restarts),
            "resyncs_total" => self.labelled(&counters.resyncs),
            "errors_total" => self.labelled(&counters.errors),
            "foreign_writes_total" => self.by_op(counters.foreign_puts, counters.foreign_deletes),
            "healed_total" => self.counter(report.drift.healed),
            "heal_refused_keys" => self.gauge(Some(signed(report.drift.refused))),
            "held_back_keys" => self.gauge(Some(signed(report.held_back.count))),
            "parked_keys" => self.gauge(Some(signed(report.parked))),
            "revision_gap" => self.gauge(report.revision_gap),
            "fenced_txns_total" => self.counter(counters.fenced_txns),
            "guard_blocked" => {
                let guard = report.blocked.as_ref().map(|blocked| blocked.guard.as_str());
                self.one_of(&DOCUMENTED_GUARDS, guard)
            }
            "last_contact_timestamp_seconds" => self.contacts(report),
            "watch_stalls_total" => self.labelled(&counters.watch_stalls),
            "db_size_bytes" => self.by_side(
                report.primary_db.map(|db| signed(db.bytes)),
                report.standby_db.map(|db| signed(db.bytes)),
            ),
            "db_quota_bytes" => self.by_side(
                report.primary_db.and_then(|db| db.quota_bytes).map(signed),
                report.standby_db.and_then(|db| db.quota_bytes).map(signed),
            ),
            "certificate_expiry_timestamp_seconds" => {
                self.by_side(report.primary_certificate_expiry, report.standby_certificate_expiry)
            }
            "build_info" => self.version(&report.version),
            _ => Ok(()),
        }
    }

    fn write_checks(mut self, checks: &CheckTotals) -> fmt::Result {
        match self.metric.name {
            "verified_revision" => self.gauge(checks.verified_revision),
            "check_runs_total" => self.runs(&[
                (CheckVerdict::InSync, checks.in_sync),
                (CheckVerdict::Drift, checks.drift),
                (CheckVerdict::Inconclusive, checks.inconclusive),
            ]),
            "check_differences" => self.differences(checks.last),
            "check_duration_seconds" => self.check_durations(checks),
            "check_last_conclusive_timestamp_seconds" => {
                self.gauge(checks.last.and_then(|last| last.ended_at).map(signed))
            }
            _ => Ok(()),
        }
    }

    fn describe(&mut self, kind: MetricType) -> Result<MetricEncoder<'_>, fmt::Error> {
        // The encoder appends `_total` itself.
        let name = self.metric.name;
        let name = name.strip_suffix("_total");
        self.encoder.encode_descriptor(
            name.unwrap_or(self.metric.name),
            self.metric.help,
            None,
            kind,
        )
    }

    fn gauge(&mut self, value: Option<i64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        ConstGauge::new(value).encode(self.describe(MetricType::Gauge)?)
    }

    fn seconds(&mut self, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        ConstGauge::new(value).encode(self.describe(MetricType::Gauge)?)
    }

    fn counter(&mut self, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.describe(MetricType::Counter)?)
    }

    fn by_op(&mut self, puts: u64, deletes: u64) -> fmt::Result {
        let mut family = self.describe(MetricType::Counter)?;
        for (op, count) in [("put", puts), ("delete", deletes)] {
            ConstCounter::new(count).encode(family.encode_family(&[("op", op)])?)?;
        }
        Ok(())
    }

    /// A value of each side; nothing of a side of which it is not known.
    fn by_side(&mut self, primary: Option<i64>, standby: Option<i64>) -> fmt::Result {
        if primary.or(standby).is_none() {
            return Ok(());
        }
        let mut family = self.describe(MetricType::Gauge)?;
        for (side, value) in [("primary", primary), ("standby", standby)] {
            let Some(value) = value else { continue };
            ConstGauge::new(value).encode(family.encode_family(&[("side", side)])?)?;
        }
        Ok(())
    }

    fn labelled(&mut self, counts: &[Labelled]) -> fmt::Result {
        let name = self.metric.labels.last().copied().unwrap_or("class");
        let mut family = self.describe(MetricType::Counter)?;
        for Labelled { side, class, count } in counts {
            let mut labels = vec![(name, class.as_str())];
            labels.extend(side.as_deref().map(|side| ("side", side)));
            ConstCounter::new(*count).encode(family.encode_family(&labels.as_slice())?)?;
        }
        Ok(())
    }

    fn one_of(&mut self, all: &[&str], current: Option<&str>) -> fmt::Result {
        let label = self.metric.labels.first().copied().unwrap_or("value");
        let unlisted = current.filter(|word| !word.is_empty() && !all.contains(word));
        let mut family = self.describe(MetricType::Gauge)?;
        for word in all.iter().copied().chain(unlisted) {
            let value = i64::from(Some(word) == current);
            ConstGauge::new(value).encode(family.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }

    fn phases(&mut self, phases: &[(&str, Option<u64>)]) -> fmt::Result {
        let mut family = self.describe(MetricType::Gauge)?;
        for (phase, count) in phases {
            let Some(count) = count else { continue };
            let labels = [("phase", *phase)];
            ConstGauge::new(signed(*count)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A histogram whose only bucket is the last: sum and count are known, their spread is not.
    fn durations(&mut self, sum: f64, count: u64) -> fmt::Result {
        let mut histogram = self.describe(MetricType::Histogram)?;
        histogram.encode_histogram::<[(&str, &str); 0]>(sum, count, &[(f64::INFINITY, count)], None)
    }

    fn runs(&mut self, runs: &[(CheckVerdict, u64)]) -> fmt::Result {
        let mut family = self.describe(MetricType::Counter)?;
        for (verdict, count) in runs {
            let labels = [("result", verdict.as_str())];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn differences(&mut self, last: Option<Conclusion>) -> fmt::Result {
        let Some(last) = last else { return Ok(()) };
        let mut family = self.describe(MetricType::Gauge)?;
        for (kind, count) in [
            (DifferenceKind::Missed, last.missed),
            (DifferenceKind::Surplus, last.surplus),
            (DifferenceKind::Different, last.different),
        ] {
            let labels = [("kind", kind.as_str())];
            ConstGauge::new(signed(count)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn check_durations(&mut self, checks: &CheckTotals) -> fmt::Result {
        let ends = DURATION_ENDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = ends.zip(checks.durations).collect();
        let mut histogram = self.describe(MetricType::Histogram)?;
        histogram.encode_histogram::<[(&str, &str); 0]>(
            checks.seconds,
            checks.runs(),
            &buckets,
            None,
        )
    }

    fn contacts(&mut self, report: &StatusReport) -> fmt::Result {
        let Some(observed_at) = report.observed_at else { return Ok(()) };
        let mut family = self.describe(MetricType::Gauge)?;
        for (side, age) in [
            ("primary", report.primary_contact_age_seconds),
            ("standby", report.standby_contact_age_seconds),
        ] {
            let Some(age) = age else { continue };
            let age = std::time::Duration::try_from_secs_f64(age).unwrap_or_default();
            let Some(at) = observed_at.checked_sub(age.as_secs()) else { continue };
            ConstGauge::new(signed(at)).encode(family.encode_family(&[("side", side)])?)?;
        }
        Ok(())
    }

    fn version(&mut self, version: &str) -> fmt::Result {
        // A gauge, not an info: the older format has no such type.
        let mut family = self.describe(MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(family.encode_family(&[("version", version)])?)
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
