//! What a field says that is left out: one place for the reader, the schema and the commented file.

use super::{Mirror, Objectives};

pub(super) const fn http_port() -> u16 {
    80
}

pub(super) const fn https_port() -> u16 {
    443
}

pub(super) fn encryption_config() -> String {
    "/etc/kubernetes/encryption-provider.conf".to_owned()
}

pub(super) fn ssh_user() -> String {
    "root".to_owned()
}

pub(super) const fn sends_monitoring() -> bool {
    true
}

impl Default for Mirror {
    /// As `etcd-sync run` names itself, where the platform has its own things.
    fn default() -> Self {
        let [name, namespace] = ["default", "cpaas-system"].map(str::to_owned);
        Self { name, namespace, monitor: String::new() }
    }
}

impl Default for Objectives {
    /// Half a minute of writes, half an hour away: a mirror that follows stays far below the one,
    /// and a failover with its restarts below the other.
    fn default() -> Self {
        Self { rpo_seconds: 30, rto_seconds: 1_800 }
    }
}
