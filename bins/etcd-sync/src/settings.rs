//! From the configuration to the engine's settings.

use etcd_mvcc::{PrimaryRevision, Revision as _};
use mirror_config::{Coalesce, Config, Order};

/// etcd adds its own header to a request before it measures it.
const REQUEST_HEADER_BYTES: u64 = 64;

/// The mirror's settings, less what only a running process has.
pub(crate) fn mirror(config: &Config) -> mirror_engine::Settings {
    let (keys, percent) = config.max_deletes();
    let request_bytes = config.max_request_bytes().saturating_sub(REQUEST_HEADER_BYTES);
    let request_bytes = usize::try_from(request_bytes).unwrap_or(usize::MAX);
    let txn = mirror_engine::TxnLimits::default();
    mirror_engine::Settings {
        name: config.name().to_owned(),
        coalesce: match config.coalesce() {
            Coalesce::Lagging => mirror_engine::Coalesce::Lagging,
            Coalesce::Always => mirror_engine::Coalesce::Always,
            Coalesce::Never => mirror_engine::Coalesce::Never,
        },
        order: match config.order() {
            Order::Owners => mirror_engine::WriteOrder::Owners,
            Order::Keys => mirror_engine::WriteOrder::Keys,
        },
        heal: heal(config),
        fuse: mirror_engine::DeleteFuse { keys, percent },
        txn: mirror_engine::TxnLimits {
            bytes: txn.bytes.min(request_bytes / 2),
            request_bytes,
            ..txn
        },
        start_at: config.rev().map(PrimaryRevision::new),
        assume_distinct_clusters: config.assume_distinct_clusters(),
        detail_logs: config.detail_logs(),
        ..mirror_engine::Settings::default()
    }
}

fn heal(config: &Config) -> mirror_engine::Heal {
    let (given, default) = (config.heal(), mirror_engine::Heal::default());
    mirror_engine::Heal {
        deletions: given.deletions.unwrap_or(default.deletions),
        changes: given.changes.unwrap_or(default.changes),
        limit: given.limit.unwrap_or(default.limit),
    }
}
