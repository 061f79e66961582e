//! What stands between a mirror that runs and the standby: the preflight before the first write,
//! and the look at every encrypted value before it is sent.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use etcd_mvcc::{
    Failure as Unanswered, FailureClass, Key, KeyRange, ReadHead as _, ReadRange, Revision as _,
    StandbyRevision, Value, Walk, WalkLimits,
};
use keyspace_filter::Scope;
use kube_encryption::{Keyring, Opened};
use kube_meta::{Envelope, Format, skim};
use mirror_config::{Config, Failure, parts};
use mirror_engine::{JudgeValue, Preflight, Preflighted};
use mirror_preflight::{Gate, PreflightError, PreflightSettings};
use monitor_api::PreflightSlot;

use crate::preflight::ask;

/// The gates that the configuration allows to be passed.
pub(crate) fn allowed(config: &Config) -> Result<BTreeSet<Gate>, Failure> {
    let named = config.allow().iter().map(|name| {
        name.parse::<Gate>().map_err(|error| Failure::usage(format!("guard.allow: {error}")))
    });
    named.collect()
}

/// Prepares the look at both sides before the first write, on connections of its own; `None` where
/// no Kubernetes objects are mirrored.
pub(crate) fn preflight(
    config: &Config,
    scope: &Scope,
    slot: PreflightSlot,
) -> Result<Option<Preflight>, Failure> {
    if !scope.is_kubernetes() {
        return Ok(None);
    }
    let primary = parts::primary(config, scope)?;
    // Without a scope no key of the data may be written: this only reads.
    let standby = parts::standby(config, None)?;
    let allow = allowed(config)?;
    let (config, scope) = (config.clone(), scope.clone());
    Ok(Some(Arc::new(move || {
        let (primary, standby) = (primary.clone(), standby.clone());
        // As the mirror does: which clusters answer is judged anew at every look.
        primary.repin();
        standby.repin();
        let (config, scope, slot, allow) =
            (config.clone(), scope.clone(), slot.clone(), allow.clone());
        Box::pin(async move {
            // Read anew: whoever mends the file need not restart the mirror.
            let keyring = match parts::keyring(&config) {
                Ok(keyring) => keyring.map(Arc::new),
                Err(error) => return Ok(refused(error.message)),
            };
            let settings = PreflightSettings { keyring, allow, ..PreflightSettings::default() };
            let report = match ask(&primary, &standby, &scope, settings).await {
                Ok(report) => report,
                Err(PreflightError::Primary(failure) | PreflightError::Standby(failure)) => {
                    return Err(failure);
                }
                Err(error) => return Err(Unanswered::new(FailureClass::Retry, error)),
            };
            if let Err(error) = slot.publish(&report) {
                tracing::warn!("the preflight's report can't be shown: {error}");
            }
            Ok(match mirror_preflight::gate(&report) {
                Some((reason, release)) => Preflighted::Refused { reason, release },
                None => Preflighted::Clear,
            })
        })
    })))
}

fn refused(reason: String) -> Preflighted {
    let release = "mend the file; the mirror looks again by itself".to_owned();
    Preflighted::Refused { reason, release }
}

/// Prepares the look at every value before it is sent: one that the standby's API servers can't
/// decrypt would make every list of its kind fail.
///
/// With the standby's `EncryptionConfiguration` each encrypted value is decrypted on trial; else
/// only the name of its key is compared with those that the standby uses.
pub(crate) fn judge(config: &Config) -> Result<Option<(JudgeValue, Option<KeyNames>)>, Failure> {
    let allowed = allowed(config)?;
    let trial = parts::keyring(config)?.is_some();
    let gate = if trial { Gate::EncryptionTrial } else { Gate::EncryptionKeys };
    if allowed.contains(&gate) {
        return Ok(None);
    }
    let Some(file) = config.encryption_config() else {
        let names = KeyNames::default();
        let known = names.clone();
        let judge: JudgeValue = Arc::new(move |key, value| known.judge(key, value));
        return Ok(Some((judge, Some(names))));
    };
    let keys = Keys::new(config, file);
    Ok(Some((Arc::new(move |key, value| keys.judge(key, value)), None)))
}

fn envelope(value: &Value) -> Option<Envelope<'_>> {
    // Most values are not: no need to look further.
    if !value.expose().starts_with(b"k8s:enc:") {
        return None;
    }
    match skim(value.expose()).format() {
        Format::Encrypted(envelope) => Some(envelope),
        Format::Protobuf | Format::Json | Format::Cbor | Format::Opaque => None,
    }
}

fn name(envelope: &Envelope<'_>) -> String {
    format!("{}:{}:{}", envelope.provider, envelope.version, envelope.key)
}

/// The standby's keys, out of a file that is read again when it changes.
pub(crate) struct Keys {
    config: Config,
    file: std::path::PathBuf,
    loaded: Mutex<(Option<SystemTime>, Option<Arc<Keyring>>)>,
}

impl Keys {
    pub(crate) fn new(config: &Config, file: &Path) -> Self {
        Self { config: config.clone(), file: file.to_owned(), loaded: Mutex::default() }
    }

    /// Returns the keys, those of the newest file that could be read.
    pub(crate) fn keyring(&self) -> Option<Arc<Keyring>> {
        let changed = std::fs::metadata(&self.file).and_then(|file| file.modified()).ok();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.1.is_none() || loaded.0 != changed {
            match parts::keyring(&self.config) {
                Ok(keyring) => *loaded = (changed, keyring.map(Arc::new)),
                Err(error) => {
                    tracing::warn!("{}; the keys read before go on to count", error.message);
                }
            }
        }
        loaded.1.clone()
    }

    fn judge(&self, key: &Key, value: &Value) -> Result<(), String> {
        let Some(envelope) = envelope(value) else { return Ok(()) };
        let Some(keyring) = self.keyring() else { return Ok(()) };
        let trouble = match keyring.open(key.as_bytes(), value.expose()) {
            Opened::Plain | Opened::Opens | Opened::Unproven => return Ok(()),
            Opened::UnknownKey => "which --encryption-config does not name",
            Opened::WrongKey => "and the key of that name in --encryption-config does not open it",
            Opened::Unreadable => "and holds no object that an API server could read",
        };
        Err(format!("{key} is encrypted with {}, {trouble}", name(&envelope)))
    }
}

/// The names of the keys that the standby's own values are encrypted with, once they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyNames(Arc<OnceLock<BTreeSet<String>>>);

impl KeyNames {
    fn judge(&self, key: &Key, value: &Value) -> Result<(), String> {
        let Some(envelope) = envelope(value) else { return Ok(()) };
        let name = name(&envelope);
        match self.0.get() {
            None => Err(format!(
                "{key} is encrypted with {name}; which keys the standby uses is not known yet"
            )),
            Some(names) if names.contains(&name) => Ok(()),
            Some(_) => Err(format!(
                "{key} is encrypted with {name}, which the standby does not use; give it the key, \
                 and the mirror the standby's configuration with --encryption-config"
            )),
        }
    }

    /// Reads the standby until its keys are known.
    pub(crate) async fn learn<S>(self, standby: S)
    where
        S: ReadRange<Revision = StandbyRevision>,
    {
        loop {
            match names(&standby).await {
                Ok(names) => {
                    self.0.get_or_init(|| names);
                    return;
                }
                Err(failure) => {
                    tracing::debug!("the standby's encryption keys are not known yet: {failure}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn names<S>(standby: &S) -> Result<BTreeSet<String>, Unanswered>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let mut names = BTreeSet::new();
    let mut walk = Walk::new(&[KeyRange::all()], WalkLimits::default(), false);
    while let Some(page) = walk.next_page(standby, None).await? {
        debug_assert!(page.at.get() > 0);
        names.extend(page.entries.iter().filter_map(|entry| Some(name(&envelope(&entry.value)?))));
    }
    Ok(names)
}
