//! From the configuration to what the libraries take.

use std::sync::Arc;

use etcd_link::{Primary, SettingsError, Standby};
use etcd_mvcc::{PrimaryRevision, Revision as _};
use keyspace_filter::{OWN_PREFIX, Scope, ScopeSpec};

use crate::config::{self, Coalesce, Config, Peer, Preset};
use crate::exit::Failure;

/// etcd adds its own header to a request before it measures it.
const REQUEST_HEADER_BYTES: u64 = 64;

/// Compiles the scope.
pub(crate) fn scope(config: &Config) -> Result<Scope, Failure> {
    let given = config.scope().clone();
    let rules = match &given.rules_file {
        Some(file) => config::rules(file)?,
        None => given.rules.unwrap_or_default(),
    };
    let spec = ScopeSpec::default();
    let spec = ScopeSpec {
        preset: match given.preset.unwrap_or_default() {
            Preset::Kubernetes => keyspace_filter::Preset::Kubernetes,
            Preset::None => keyspace_filter::Preset::None,
        },
        prefixes: given.prefixes.unwrap_or_default(),
        exclude_prefixes: given.exclude_prefixes.unwrap_or_default(),
        exclude_namespaces: given.exclude_namespaces.unwrap_or_default(),
        include_namespaces: given.include_namespaces.unwrap_or_default(),
        rules,
        dest_prefix: given.dest_prefix,
        no_dest_prefix: given.no_dest_prefix.unwrap_or(false),
        etcd_prefix: given.etcd_prefix.unwrap_or(spec.etcd_prefix),
    };
    Scope::compile(spec).map_err(|error| Failure::usage(format!("scope: {error}")))
}

/// Prepares the primary; nothing is sent yet. Where only an answer's header matters, a key in
/// `scope` is asked for: a role that may read no more than the scope is enough.
pub(crate) fn primary(config: &Config, scope: &Scope) -> Result<Primary, Failure> {
    let settings = etcd_link::Settings {
        probe_key: scope.primary_hull().start().clone(),
        ..peer("primary", config.primary())?
    };
    Primary::new(settings).map_err(|error| wrong("primary", &error))
}

/// Prepares the standby; nothing is sent yet, and nothing but our own keys and those in `scope`
/// ever will be. Without a scope, our own only.
pub(crate) fn standby(config: &Config, scope: Option<Scope>) -> Result<Standby, Failure> {
    let own = format!("{OWN_PREFIX}{}/", config.name());
    let admits =
        Arc::new(move |key: &[u8]| scope.as_ref().is_some_and(|scope| scope.admits_standby(key)));
    Standby::new(peer("standby", config.standby())?, &own, admits)
        .map_err(|error| wrong("standby", &error))
}

fn peer(side: &str, peer: &Peer) -> Result<etcd_link::Settings, Failure> {
    let Some(endpoints) = peer.endpoints.clone() else {
        return Err(Failure::usage(format!(
            "--{side}-endpoints is missing (give the flag, ETCD_SYNC_{}_ENDPOINTS, or \
             {side}.endpoints in the file of --config)",
            side.to_uppercase()
        )));
    };
    Ok(etcd_link::Settings {
        endpoints,
        cacert: peer.cacert.clone(),
        cert: peer.cert.clone(),
        key: peer.key.clone(),
        user: peer.user.clone(),
        password_file: peer.password_file.clone(),
        ..etcd_link::Settings::default()
    })
}

fn wrong(side: &str, error: &SettingsError) -> Failure {
    Failure::usage(format!("--{side}-{}: {}", error.field(), error.problem()))
}

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
        fuse: mirror_engine::DeleteFuse { keys, percent },
        txn: mirror_engine::TxnLimits {
            bytes: txn.bytes.min(request_bytes / 2),
            request_bytes,
            ..txn
        },
        start_at: config.rev().map(PrimaryRevision::new),
        detail_logs: config.detail_logs(),
        ..mirror_engine::Settings::default()
    }
}
