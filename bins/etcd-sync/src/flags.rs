//! Flags of a mirror that runs; which mirror it is, mirror-config's flags say.

use std::path::PathBuf;

use clap::Args;
use mirror_config::{Apply, FileConfig, Guard, Heal, Leader, Listen, Rate, Span};

/// What is known of encryption at rest.
#[derive(Clone, Debug, Args)]
pub(crate) struct EncryptionFlags {
    /// The EncryptionConfiguration of the standby's API servers, to try its keys on the primary's
    /// values
    #[arg(long, env = "ETCD_SYNC_ENCRYPTION_CONFIG", value_name = "FILE")]
    encryption_config: Option<PathBuf>,
}

impl EncryptionFlags {
    /// Returns `settings` with what these flags say in addition.
    pub(crate) fn beside(self, settings: FileConfig) -> FileConfig {
        FileConfig { encryption_config: self.encryption_config, ..settings }
    }
}

/// How the mirror runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunFlags {
    /// Where health, metrics and status are served, read-only: ADDRESS:PORT, :PORT or off
    /// [default: 127.0.0.1:8080]
    #[arg(long, env = "ETCD_SYNC_LISTEN", value_name = "ADDR")]
    listen: Option<Listen>,
    /// How large the lag may be, and for how long the primary's state may be unknown, for a
    /// following mirror to count as ready [default: 30s for what is unknown, and any lag]
    #[arg(long, env = "ETCD_SYNC_READY_MAX_LAG", value_name = "DURATION")]
    ready_max_lag: Option<Span>,
    /// How often both sides are compared, key by key [default: 5m]
    #[arg(long, env = "ETCD_SYNC_CHECK_INTERVAL", value_name = "DURATION")]
    check_interval: Option<Span>,
    /// How fast a comparison reads, both sides together, in bytes per second [default: 64MiB]
    #[arg(long, env = "ETCD_SYNC_CHECK_RATE", value_name = "BYTES_PER_SECOND")]
    check_rate: Option<Rate>,
    /// Where the lag of every second is kept, thinned with age, for `etcd-dr report`
    #[arg(long, env = "ETCD_SYNC_SAMPLES_FILE", value_name = "FILE")]
    samples_file: Option<PathBuf>,
    /// Log one line for each key that is applied, without its value
    #[arg(
        long,
        env = "ETCD_SYNC_DETAIL_LOGS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    detail_logs: Option<bool>,
    #[command(flatten)]
    encryption: EncryptionFlags,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    apply: Apply,
    #[command(flatten)]
    heal: Heal,
    #[command(flatten)]
    leader: Leader,
    /// Bring the standby up to date once, and end: 0 done, 4 a guard or a fence forbids it
    #[arg(long, env = "ETCD_SYNC_ONCE", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", value_name = "BOOL")]
    pub(crate) once: bool,
}

impl RunFlags {
    /// Returns `settings` with what these flags say in addition.
    pub(crate) fn beside(self, settings: FileConfig) -> FileConfig {
        let Self {
            listen,
            ready_max_lag,
            check_interval,
            check_rate,
            samples_file,
            detail_logs,
            encryption,
            guard,
            apply,
            heal,
            leader,
            once: _,
        } = self;
        FileConfig {
            listen,
            ready_max_lag,
            check_interval,
            check_rate,
            samples_file,
            detail_logs,
            guard,
            apply,
            heal,
            leader,
            ..encryption.beside(settings)
        }
    }
}
