//! The configuration file. Its groups are flags as well, so that both are described once: the
//! comment on a field is its help, and its description in the schema.

use std::path::PathBuf;

use clap::Args;
use keyspace_filter::RuleSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rate::Rate;
use crate::values::{Coalesce, Listen, LogFormat, LogLevel, Order, Preset, Span};

/// Settings of etcd-sync. A field that is left out takes the default.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// The mirror's name; its own keys lie under `/etcd-sync/<name>/` on the standby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror_name: Option<String>,
    /// The etcd that is read.
    pub primary: Peer,
    /// The etcd that is written.
    pub standby: Peer,
    /// How both are asked.
    pub connection: Connection,
    /// Which keys are mirrored.
    pub scope: Scope,
    /// Start by watching at this revision of the primary, without a base copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<i64>,
    /// The `EncryptionConfiguration` of the standby's API servers: with it, the keys of encryption
    /// at rest are tried on the primary's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_config: Option<PathBuf>,
    /// What stops the mirror until somebody agrees.
    pub guard: Guard,
    /// How changes are written.
    pub apply: Apply,
    /// What others do on the standby that is undone.
    pub heal: Heal,
    /// Which of several instances works.
    pub leader: Leader,
    /// Where health, metrics and status are served: `ADDRESS:PORT`, `:PORT` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// The lag up to which a following mirror counts as ready; without it, any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_max_lag: Option<Span>,
    /// How often both sides are compared, key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_interval: Option<Span>,
    /// How fast a comparison reads, both sides together, in bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_rate: Option<Rate>,
    /// Where the lag of every second is kept, thinned with age, for `etcd-dr report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_file: Option<PathBuf>,
    /// Log one line for each key that is applied, without its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_logs: Option<bool>,
    /// What is logged, and how.
    pub log: Log,
}

/// How to reach a cluster, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Peer {
    /// The members' client URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// PEM file of the authority that signed the members' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cacert: Option<PathBuf>,
    /// PEM file of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The etcd user to act as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file that holds the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// How both clusters are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// How long a request may go without a piece of its answer [default: 5s]
    #[arg(long, env = "ETCD_SYNC_REQUEST_TIMEOUT", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Span>,
    /// How long a connection may be silent before it is asked for a sign of life; not below etcd's
    /// --grpc-keepalive-min-time [default: 10s]
    #[arg(long, env = "ETCD_SYNC_KEEPALIVE_INTERVAL", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_interval: Option<Span>,
    /// The most operations of a transaction to begin with; a lower --max-txn-ops of either etcd is
    /// learned [default: 128]
    #[arg(long, env = "ETCD_SYNC_MAX_TXN_OPS", value_name = "OPERATIONS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_txn_ops: Option<u32>,
}

/// Which keys are mirrored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Scope")]
pub struct Scope {
    /// What the scope starts from: `/registry/` without what is a cluster's own, or every key
    /// [default: kubernetes]
    #[arg(long, env = "ETCD_SYNC_PRESET", value_enum, value_name = "PRESET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Mirror keys that begin with this; may be given several times
    #[arg(long = "prefix", env = "ETCD_SYNC_PREFIX", value_name = "P")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<String>>,
    /// Leave out keys that begin with this; may be given several times
    #[arg(long = "exclude-prefix", env = "ETCD_SYNC_EXCLUDE_PREFIX", value_name = "P")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_prefixes: Option<Vec<String>>,
    /// Leave out this namespace and what is in it; may be given several times
    #[arg(
        long = "exclude-namespace",
        env = "ETCD_SYNC_EXCLUDE_NAMESPACE",
        value_name = "NS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_namespaces: Option<Vec<String>>,
    /// Mirror this namespace although the preset leaves it out; may be given several times
    #[arg(
        long = "include-namespace",
        env = "ETCD_SYNC_INCLUDE_NAMESPACE",
        value_name = "NS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_namespaces: Option<Vec<String>>,
    /// Ordered rules; the first that matches a key decides.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleSpec>>,
    /// File of ordered rules (a YAML list); the first that matches a key decides
    #[arg(long = "rules", env = "ETCD_SYNC_RULES", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_file: Option<PathBuf>,
    /// The API servers' --etcd-prefix, if it is not the default [default: /registry]
    #[arg(long, env = "ETCD_SYNC_ETCD_PREFIX", value_name = "P")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd_prefix: Option<String>,
    /// Write keys under this prefix instead of the one that was read; needs exactly one --prefix
    #[arg(long, env = "ETCD_SYNC_DEST_PREFIX", value_name = "P")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_prefix: Option<String>,
    /// Write keys without the prefix that was read; needs exactly one --prefix
    #[arg(
        long,
        env = "ETCD_SYNC_NO_DEST_PREFIX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_dest_prefix: Option<bool>,
}

/// What stops the mirror until somebody agrees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Guards")]
pub struct Guard {
    /// A resync that deletes more keys than this, and more than the percentage, must be accepted
    /// [default: 500]
    #[arg(long = "guard-max-deletes", env = "ETCD_SYNC_GUARD_MAX_DELETES", value_name = "KEYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deletes: Option<u64>,
    /// The percentage of the standby's keys in scope that goes with it [default: 10]
    #[arg(
        long = "guard-max-deletes-percent",
        env = "ETCD_SYNC_GUARD_MAX_DELETES_PERCENT",
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u64).range(0..=100)
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deletes_percent: Option<u64>,
    /// Take both ends for two clusters although their ids are equal and nothing that can be read
    /// tells them apart [default: false]
    #[arg(
        long,
        env = "ETCD_SYNC_ASSUME_DISTINCT_CLUSTERS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_distinct_clusters: Option<bool>,
    /// Begin although the preflight refuses because of this gate; may be given several times
    #[arg(long = "allow", env = "ETCD_SYNC_ALLOW", value_name = "GATE", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
}

/// How changes are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Writing")]
pub struct Apply {
    /// When several primary revisions may share one standby transaction [default: lagging]
    #[arg(long, env = "ETCD_SYNC_COALESCE", value_enum, value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// The standby's --max-request-bytes, if it is not etcd's default [default: 1572864]
    #[arg(long, env = "ETCD_SYNC_MAX_REQUEST_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<u64>,
    /// In which order a copy of Kubernetes objects writes [default: owners]
    #[arg(long, env = "ETCD_SYNC_ORDER", value_enum, value_name = "ORDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// What others do to the mirror's keys on the standby that is undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Healing")]
pub struct Heal {
    /// Put back keys that others delete [default: true]
    #[arg(
        long = "heal-deletions",
        env = "ETCD_SYNC_HEAL_DELETIONS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions: Option<bool>,
    /// Write over keys that others change [default: false]
    #[arg(
        long = "heal-changes",
        env = "ETCD_SYNC_HEAL_CHANGES",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<bool>,
    /// How often a key is put back before the standby is said to refuse it [default: 4]
    #[arg(long = "heal-limit", env = "ETCD_SYNC_HEAL_LIMIT", value_name = "TIMES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which of several instances works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Leadership")]
pub struct Leader {
    /// Mirror only while this instance leads, so that several may run [default: true]
    #[arg(
        long = "leader-election",
        env = "ETCD_SYNC_LEADER_ELECTION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election: Option<bool>,
    /// How long a leader that is not heard of goes on to count as one [default: 15s]
    #[arg(long = "leader-lease", env = "ETCD_SYNC_LEADER_LEASE", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Output")]
pub struct Log {
    /// How log lines are written [default: text]
    #[arg(
        long = "log-format",
        env = "ETCD_SYNC_LOG_FORMAT",
        value_enum,
        global = true,
        value_name = "FORMAT"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
    /// The least important lines that are logged [default: info]
    #[arg(
        long = "log-level",
        env = "ETCD_SYNC_LOG_LEVEL",
        value_enum,
        global = true,
        value_name = "LEVEL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}
