//! Flags over file over defaults.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use crate::exit::Failure;
use crate::file::{Connection, FileConfig, Guard, Heal, Leader, Log, Peer, Scope};
use crate::rate::Rate;
use crate::values::{Coalesce, Listen, LogFormat, LogLevel, Order, Preset, Span};

/// The settings that count, with every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    merged: FileConfig,
}

/// A check beside the mirror reads no faster than this, in bytes per second: half of what one
/// member delivers over a link of 1 Gbit/s, so that the mirror keeps the other half.
const CHECK_RATE: u64 = 64 << 20;
/// etcd's own `--max-request-bytes`.
const MAX_REQUEST_BYTES: u64 = 3 << 19;
/// Four waits that double from two seconds on: half a minute.
const HEAL_LIMIT: u32 = 4;
/// What Kubernetes' own controllers take; etcd grants nothing below 2 s, and what is near that
/// ends at every pause of the network.
const LEADER_LEASE: Duration = Duration::from_secs(15);
const LEADER_LEASE_MIN: Duration = Duration::from_secs(3);
/// Below this, not even a Kubernetes object of ordinary size fits.
const MAX_REQUEST_BYTES_MIN: u64 = 64 << 10;
/// It outlasts an election of a new leader.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Twice etcd's own `--grpc-keepalive-min-time`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL_MAX: Duration = Duration::from_secs(600);
/// etcd's own `--max-txn-ops`.
const MAX_TXN_OPS: u32 = 128;
/// Below this no guarded write has room.
const MAX_TXN_OPS_MIN: u32 = 8;
const MIRROR_NAME_CHARS_MAX: usize = 63;

macro_rules! prefer {
    ($over:expr, $under:expr, { $($field:ident).+ $(, $($more:ident).+)* $(,)? }) => {
        prefer!(@one $over, $under, $($field).+);
        $(prefer!(@one $over, $under, $($more).+);)*
    };
    (@one $over:expr, $under:expr, $($field:ident).+) => {
        $over.$($field).+ = $over.$($field).+.take().or($under.$($field).+.take());
    };
}

/// Takes from `under` what `flags` leaves open.
fn over(mut flags: FileConfig, mut under: FileConfig) -> FileConfig {
    if flags.scope.rules_file.is_some() {
        under.scope.rules = None;
    }
    prefer!(flags, under, {
        mirror_name, rev, encryption_config, listen, ready_max_lag, check_interval, check_rate, samples_file, detail_logs,
        guard.max_deletes, guard.max_deletes_percent, guard.assume_distinct_clusters, guard.allow,
        apply.coalesce, apply.max_request_bytes, apply.order,
        heal.deletions, heal.changes, heal.limit,
        leader.election, leader.lease,
        log.format, log.level,
        scope.preset, scope.prefixes, scope.exclude_prefixes, scope.exclude_namespaces,
        scope.include_namespaces, scope.rules, scope.rules_file, scope.dest_prefix, scope.no_dest_prefix,
        scope.etcd_prefix,
        connection.request_timeout, connection.keepalive_interval, connection.max_txn_ops,
        primary.endpoints, primary.cacert, primary.cert, primary.key, primary.user,
        primary.password_file,
        standby.endpoints, standby.cacert, standby.cert, standby.key, standby.user,
        standby.password_file,
    });
    flags
}

fn defaults() -> FileConfig {
    let mut config = FileConfig {
        mirror_name: Some("default".to_owned()),
        listen: Some(Listen::At(([127, 0, 0, 1], 8080).into())),
        check_interval: Some(Span(Duration::from_secs(300))),
        check_rate: NonZeroU64::new(CHECK_RATE).map(Rate),
        detail_logs: Some(false),
        log: Log { format: Some(LogFormat::Text), level: Some(LogLevel::Info) },
        ..FileConfig::default()
    };
    config.scope.preset = Some(Preset::default());
    config.guard.max_deletes = Some(500);
    config.guard.max_deletes_percent = Some(10);
    config.guard.assume_distinct_clusters = Some(false);
    config.apply.coalesce = Some(Coalesce::default());
    config.apply.max_request_bytes = Some(MAX_REQUEST_BYTES);
    config.apply.order = Some(Order::default());
    config.connection = Connection {
        request_timeout: Some(Span(REQUEST_TIMEOUT)),
        keepalive_interval: Some(Span(KEEPALIVE_INTERVAL)),
        max_txn_ops: Some(MAX_TXN_OPS),
    };
    config.leader = Leader { election: Some(true), lease: Some(Span(LEADER_LEASE)) };
    config.heal = Heal { deletions: Some(true), changes: Some(false), limit: Some(HEAL_LIMIT) };
    config
}

impl Config {
    /// Merges, and refuses what can't be meant.
    ///
    /// # Errors
    ///
    /// A usage error that names the flag, or the field that has none.
    pub fn new(flags: FileConfig, file: FileConfig) -> Result<Self, Failure> {
        check_rewrite(&flags.scope, &file.scope)?;
        let config = Self { merged: over(over(flags, file), defaults()) };
        config.check_name()?;
        config.check_numbers()?;
        config.check_rules()?;
        Ok(config)
    }

    fn check_name(&self) -> Result<(), Failure> {
        let name = self.name();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = (1..=MIRROR_NAME_CHARS_MAX).contains(&name.len());
        if fits && name.chars().all(plain) && !name.starts_with('.') {
            return Ok(());
        }
        Err(Failure::usage(
            "--mirror-name: give 1 to 63 letters, digits, `-`, `_` or `.`, not starting with `.`",
        ))
    }

    fn check_numbers(&self) -> Result<(), Failure> {
        if self.merged.rev.is_some_and(|rev| rev < 1) {
            return Err(Failure::usage("--rev: etcd counts revisions from 1 on"));
        }
        if self.merged.guard.max_deletes_percent.is_some_and(|percent| percent > 100) {
            return Err(Failure::usage("guard.max_deletes_percent: give 0 to 100"));
        }
        if self.max_request_bytes() < MAX_REQUEST_BYTES_MIN {
            return Err(Failure::usage("--max-request-bytes: give at least 65536 (64 KiB)"));
        }
        if self.leader_lease().is_some_and(|lease| lease < LEADER_LEASE_MIN) {
            return Err(Failure::usage("--leader-lease: give at least 3s"));
        }
        let (least, most) = (Duration::from_secs(1), REQUEST_TIMEOUT_MAX);
        if !(least..=most).contains(&self.request_timeout()) {
            return Err(Failure::usage("--request-timeout: give 1s to 10m"));
        }
        let (least, most) = (Duration::from_secs(1), KEEPALIVE_INTERVAL_MAX);
        if !(least..=most).contains(&self.keepalive_interval()) {
            return Err(Failure::usage("--keepalive-interval: give 1s to 10m"));
        }
        if self.max_txn_ops() < MAX_TXN_OPS_MIN {
            return Err(Failure::usage("--max-txn-ops: give at least 8"));
        }
        if self.check_interval() < Duration::from_secs(1) {
            return Err(Failure::usage("--check-interval: give at least 1s"));
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<(), Failure> {
        // A file given by flag replaces a list in the configuration; two in one place are a slip.
        if self.scope().rules.is_some() && self.scope().rules_file.is_some() {
            return Err(Failure::usage("scope.rules and scope.rules_file: give one of them"));
        }
        Ok(())
    }

    /// Returns what `config show` prints: the file that would say the same.
    #[must_use]
    pub fn as_file(&self) -> &FileConfig {
        &self.merged
    }

    /// Returns the mirror's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.merged.mirror_name.as_deref().unwrap_or_default()
    }

    /// Returns how to reach the primary.
    #[must_use]
    pub fn primary(&self) -> &Peer {
        &self.merged.primary
    }

    /// Returns how to reach the standby.
    #[must_use]
    pub fn standby(&self) -> &Peer {
        &self.merged.standby
    }

    /// Returns which keys are mirrored.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.merged.scope
    }

    /// Returns what is logged, and how.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.merged.log
    }

    /// Returns where HTTP is served.
    #[must_use]
    pub fn listen(&self) -> Listen {
        self.merged.listen.unwrap_or(Listen::Off)
    }

    /// Returns the standby's request limit.
    #[must_use]
    pub fn max_request_bytes(&self) -> u64 {
        self.merged.apply.max_request_bytes.unwrap_or(MAX_REQUEST_BYTES)
    }

    /// Returns how long a request may go without a piece of its answer.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.merged.connection.request_timeout.map_or(REQUEST_TIMEOUT, |span| span.0)
    }

    /// Returns how long a connection may be silent before it is asked for a sign of life.
    #[must_use]
    pub fn keepalive_interval(&self) -> Duration {
        self.merged.connection.keepalive_interval.map_or(KEEPALIVE_INTERVAL, |span| span.0)
    }

    /// Returns the most operations of a transaction to begin with.
    #[must_use]
    pub fn max_txn_ops(&self) -> u32 {
        self.merged.connection.max_txn_ops.unwrap_or(MAX_TXN_OPS)
    }

    /// Returns when revisions may share a transaction.
    #[must_use]
    pub fn coalesce(&self) -> Coalesce {
        self.merged.apply.coalesce.unwrap_or_default()
    }

    /// Returns the gates of the preflight that may be passed although they refuse.
    #[must_use]
    pub fn allow(&self) -> &[String] {
        self.merged.guard.allow.as_deref().unwrap_or_default()
    }

    /// Returns how long a leader that is not heard of goes on to count as one; `None` if instances
    /// elect none.
    #[must_use]
    pub fn leader_lease(&self) -> Option<Duration> {
        let Leader { election, lease } = self.merged.leader;
        let lease = lease.map_or(LEADER_LEASE, |lease| lease.0);
        election.unwrap_or(true).then_some(lease)
    }

    /// Returns the order in which a copy writes.
    #[must_use]
    pub fn order(&self) -> Order {
        self.merged.apply.order.unwrap_or_default()
    }

    /// Returns what others do on the standby that is undone.
    #[must_use]
    pub fn heal(&self) -> &Heal {
        &self.merged.heal
    }

    /// Returns the limits on deletions: keys, and per cent of the scope.
    #[must_use]
    pub fn max_deletes(&self) -> (u64, u64) {
        let Guard { max_deletes, max_deletes_percent, .. } = self.merged.guard;
        (max_deletes.unwrap_or(500), max_deletes_percent.unwrap_or(10))
    }

    /// Returns true if equal cluster ids are known to be those of two clusters.
    #[must_use]
    pub fn assume_distinct_clusters(&self) -> bool {
        self.merged.guard.assume_distinct_clusters == Some(true)
    }

    /// Returns the revision to start watching at, if one was given.
    #[must_use]
    pub fn rev(&self) -> Option<i64> {
        self.merged.rev
    }

    /// Returns the file with the keys of the standby's API servers, if one was given.
    #[must_use]
    pub fn encryption_config(&self) -> Option<&Path> {
        self.merged.encryption_config.as_deref()
    }

    /// Tells whether each applied key gets a log line.
    #[must_use]
    pub fn detail_logs(&self) -> bool {
        self.merged.detail_logs == Some(true)
    }

    /// Returns the lag up to which a following mirror counts as ready.
    #[must_use]
    pub fn ready_max_lag(&self) -> Option<Duration> {
        self.merged.ready_max_lag.map(|span| span.0)
    }

    /// Returns how fast a comparison beside the mirror reads, in bytes per second.
    #[must_use]
    pub fn check_rate(&self) -> Option<u64> {
        self.merged.check_rate.map(|rate| rate.0.get())
    }

    /// Returns where the lag of every second is kept, if anywhere.
    #[must_use]
    pub fn samples_file(&self) -> Option<&Path> {
        self.merged.samples_file.as_deref()
    }

    /// Returns how often both sides are compared.
    #[must_use]
    pub fn check_interval(&self) -> Duration {
        self.merged.check_interval.map_or(Duration::from_secs(300), |span| span.0)
    }
}

/// Refuses two rewrites, by the names under which they were given.
fn check_rewrite(flags: &Scope, file: &Scope) -> Result<(), Failure> {
    let dest = flags.dest_prefix.as_ref().or(file.dest_prefix.as_ref());
    let strip = flags.no_dest_prefix.or(file.no_dest_prefix).unwrap_or(false);
    if dest.is_none() || !strip {
        return Ok(());
    }
    let dest = given_as("dest_prefix", flags.dest_prefix.is_some());
    let strip = given_as("no_dest_prefix", flags.no_dest_prefix.is_some());
    Err(Failure::usage(format!(
        "{strip} and {dest}: one removes the prefix, the other replaces it; give one of them"
    )))
}

/// Names a setting of the scope as it was given: as a flag, as a variable, or in the file.
pub(crate) fn given_as(field: &str, outside_the_file: bool) -> String {
    if !outside_the_file {
        return format!("scope.{field} in the configuration file");
    }
    let flag = format!("--{}", field.replace('_', "-"));
    let variable = format!("ETCD_SYNC_{}", field.to_uppercase());
    let typed = std::env::args().any(|arg| {
        arg.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    if !typed && std::env::var_os(&variable).is_some() { variable } else { flag }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> FileConfig {
        FileConfig::parse(text).unwrap()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let flags = file("mirror_name: flag");
        let under = file("mirror_name: file\nrev: 7\nscope: {prefixes: [/a]}");
        let config = Config::new(flags, under).unwrap();
        assert_eq!(config.name(), "flag");
        assert_eq!(config.rev(), Some(7));
        assert_eq!(config.scope().prefixes, Some(vec!["/a".to_owned()]));
        assert_eq!(config.max_deletes(), (500, 10));
    }

    #[test]
    fn every_field_of_the_file_survives_the_merge() {
        let text = "\
            mirror_name: a\nrev: 7\nencryption_config: e\nlisten: 'off'\nready_max_lag: 5s\ncheck_interval: 1m\ncheck_rate: 1MiB\nsamples_file: s\n\
            detail_logs: true\nguard: {max_deletes: 1, max_deletes_percent: 2, assume_distinct_clusters: true, allow: [owners]}\n\
            apply: {coalesce: never, max_request_bytes: 100000, order: keys}\n\
            heal: {deletions: false, changes: true, limit: 9}\n\
            leader: {election: false, lease: 4s}\n\
            connection: {request_timeout: 7s, keepalive_interval: 1m, max_txn_ops: 64}\nlog: {format: json, level: warn}\n\
            scope: {preset: none, prefixes: [p], exclude_prefixes: [e], exclude_namespaces: [n],\n  \
            include_namespaces: [i], rules: [{action: local, name: x}], dest_prefix: d,\n  \
            no_dest_prefix: false, etcd_prefix: /r}\n\
            primary: {endpoints: [u], cacert: c, cert: d, key: k, user: r, password_file: p}\n\
            standby: {endpoints: [u], cacert: c, cert: d, key: k, user: r, password_file: p}\n";
        let all = serde_json::to_value(file(text)).unwrap();
        for (flags, under) in [(text, ""), ("", text)] {
            let config = Config::new(file(flags), file(under)).unwrap();
            assert_eq!(serde_json::to_value(config.as_file()).unwrap(), all);
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let shown = Config::new(FileConfig::default(), FileConfig::default()).unwrap();
        let text = serde_saphyr::to_string(shown.as_file()).unwrap();
        let again = Config::new(FileConfig::default(), file(&text)).unwrap();
        assert_eq!(
            serde_json::to_value(again.as_file()).unwrap(),
            serde_json::to_value(shown.as_file()).unwrap()
        );
    }

    #[test]
    fn two_rewrites_are_named_as_they_were_given() {
        let dest = "scope: {prefixes: [a], dest_prefix: b}";
        let strip = "scope: {prefixes: [a], no_dest_prefix: true}";
        let both = "scope: {prefixes: [a], dest_prefix: b, no_dest_prefix: true}";
        let told = |flags, under| Config::new(file(flags), file(under)).unwrap_err().message;
        let (in_flags, in_file) =
            ("--dest-prefix:", "scope.dest_prefix in the configuration file:");
        assert!(told(dest, strip).contains(in_flags), "{}", told(dest, strip));
        assert!(told(strip, dest).contains(in_file), "{}", told(strip, dest));
        assert!(told(both, "").starts_with("--no-dest-prefix and --dest-prefix:"));
        let off = "scope: {no_dest_prefix: false}";
        assert!(Config::new(file(off), file(both)).is_ok(), "the flag wins");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "mirror_name: ''",
            "mirror_name: a/b",
            "mirror_name: ..",
            "rev: 0",
            "guard: {max_deletes_percent: 101}",
            "apply: {max_request_bytes: 1}",
            "check_interval: 1ms",
            "leader: {lease: 1s}",
            "connection: {request_timeout: 500ms}",
            "connection: {request_timeout: 11m}",
            "connection: {keepalive_interval: 500ms}",
            "connection: {keepalive_interval: 11m}",
            "connection: {max_txn_ops: 7}",
            "scope: {rules: [], rules_file: x}",
        ] {
            assert!(Config::new(FileConfig::default(), file(text)).is_err(), "{text}");
        }
    }
}
