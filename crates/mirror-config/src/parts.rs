//! What a binary is wired from: the compiled scope, the two sides, and keys. Nothing is sent yet.

use std::sync::Arc;

use etcd_link::{Primary, SettingsError, Standby};
use keyspace_filter::{OWN_PREFIX, Scope, ScopeSpec, parked_prefix};
use kube_encryption::Keyring;

use crate::exit::Failure;
use crate::file::Peer;
use crate::merge::Config;
use crate::read;
use crate::values::Preset;

/// Compiles the scope.
///
/// # Errors
///
/// The rules can't be read, or scope and rewrite can't be meant: a usage error that says which.
pub fn scope(config: &Config) -> Result<Scope, Failure> {
    compile(config.name(), config.scope().clone())
}

/// Compiles the scope as it would be without `--prefix`: where a prefix chooses from what is
/// mirrored instead of saying what is.
///
/// # Errors
///
/// As [`scope`].
pub fn scope_without_prefixes(config: &Config) -> Result<Scope, Failure> {
    let given = crate::file::Scope { prefixes: None, ..config.scope().clone() };
    compile(config.name(), given)
}

fn compile(name: &str, given: crate::file::Scope) -> Result<Scope, Failure> {
    let rules = match &given.rules_file {
        Some(file) => read::rules(file)?,
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
        parked_prefix: Some(parked_prefix(name)),
    };
    Scope::compile(spec).map_err(|error| {
        let place = given.rules_file.as_deref().and_then(|file| {
            let place = read::place_of_rule(file, error.rule()?)?;
            Some(format!(" ({} at {place})", file.display()))
        });
        Failure::usage(format!("scope: {error}{}", place.unwrap_or_default()))
    })
}

/// Prepares the primary; nothing is sent yet. Where only an answer's header matters, a key in
/// `scope` is asked for: a role that may read no more than the scope is enough.
///
/// # Errors
///
/// An endpoint, certificate or credential is missing or unusable: a usage error that names the
/// flag.
pub fn primary(config: &Config, scope: &Scope) -> Result<Primary, Failure> {
    let settings = etcd_link::Settings {
        probe_key: scope.primary_hull().start().clone(),
        ..peer("primary", config.primary(), config)?
    };
    Primary::new(settings).map_err(|error| wrong("primary", &error))
}

/// Prepares the standby; nothing is sent yet, and nothing but our own keys and those in `scope`
/// ever will be. Without a scope, our own only.
///
/// # Errors
///
/// An endpoint, certificate or credential is missing or unusable: a usage error that names the
/// flag.
pub fn standby(config: &Config, scope: Option<Scope>) -> Result<Standby, Failure> {
    let own = format!("{OWN_PREFIX}{}/", config.name());
    let admits =
        Arc::new(move |key: &[u8]| scope.as_ref().is_some_and(|scope| scope.admits_standby(key)));
    Standby::new(peer("standby", config.standby(), config)?, &own, admits)
        .map_err(|error| wrong("standby", &error))
}

/// Prepares the standby for the release of what is parked there: nothing but our own keys, those in
/// `scope` and the own places of those that it holds will be written.
///
/// # Errors
///
/// As [`standby`].
pub fn standby_for_release(config: &Config, scope: Scope) -> Result<Standby, Failure> {
    let own = format!("{OWN_PREFIX}{}/", config.name());
    let admits = Arc::new(move |key: &[u8]| scope.admits_release(key));
    Standby::new(peer("standby", config.standby(), config)?, &own, admits)
        .map_err(|error| wrong("standby", &error))
}

/// Reads the keys of the standby's API servers, if their configuration was given.
///
/// # Errors
///
/// The file can't be read, or is no `EncryptionConfiguration`: a usage error that says why. It
/// never holds a key.
pub fn keyring(config: &Config) -> Result<Option<Keyring>, Failure> {
    const FLAG: &str = "--encryption-config";

    let Some(file) = config.encryption_config() else { return Ok(None) };
    let text = read::text_of(FLAG, file)?;
    let keyring = Keyring::parse(&text)
        .map_err(|error| Failure::usage(format!("{FLAG}: {}: {error}", file.display())))?;
    Ok(Some(keyring))
}

fn peer(side: &str, peer: &Peer, config: &Config) -> Result<etcd_link::Settings, Failure> {
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
        request_timeout: config.request_timeout(),
        keep_alive_interval: config.keepalive_interval(),
        max_txn_ops: usize::try_from(config.max_txn_ops()).unwrap_or(usize::MAX),
        ..etcd_link::Settings::default()
    })
}

fn wrong(side: &str, error: &SettingsError) -> Failure {
    Failure::usage(format!("--{side}-{}: {}", error.field(), error.problem()))
}
