//! Tries the standby's keys on a few of the primary's values. What comes out is looked at by
//! nobody: it counts that it came out.

use std::collections::BTreeMap;

use etcd_mvcc::{Failure, Key, PrimaryRevision, ReadRange};
use kube_encryption::{Keyring, Opened};

use crate::Gate;
use crate::encryption::{Encryption, Name, Sealed};
use crate::findings::Findings;
use crate::report::GateReport;

/// How many values are read at a time: each may be as large as etcd allows.
const VALUES_AT_ONCE: usize = 8;

/// Returns `encryption-trial`.
///
/// # Errors
///
/// The primary did not answer.
pub(crate) async fn run<P>(
    primary: &P,
    encryption: &Encryption,
    keyring: Option<&Keyring>,
    shown_max: usize,
) -> Result<GateReport, Failure>
where
    P: ReadRange<Revision = PrimaryRevision>,
{
    if encryption.sealed.is_empty() {
        let reason = "nothing in scope is encrypted at rest";
        return Ok(GateReport::passed(Gate::EncryptionTrial, reason));
    }
    let Some(keyring) = keyring else {
        return Ok(without_keyring(&encryption.sealed, shown_max));
    };
    let mut trial = Trial {
        closed: Findings::new(shown_max),
        unproven: Findings::new(shown_max),
        opened: 0,
        keyring,
    };
    for (name, sealed) in &encryption.sealed {
        let sample: Vec<Key> = sealed.sample.iter().map(|(_, key)| key.clone()).collect();
        for keys in sample.chunks(VALUES_AT_ONCE) {
            for entry in primary.read_keys(keys, None).await?.into_iter().flatten() {
                trial.open(name, &entry.key, entry.value.expose());
            }
        }
    }
    Ok(trial.judge())
}

struct Trial<'a> {
    keyring: &'a Keyring,
    opened: u64,
    /// Values that the standby can't open.
    closed: Findings,
    /// Values of which only the standby's plugin could say.
    unproven: Findings,
}

impl Trial<'_> {
    fn open(&mut self, name: &Name, key: &Key, value: &[u8]) {
        let closed = |why: &str| format!("encrypted with {name}: {why}");
        match self.keyring.open(key.as_bytes(), value) {
            Opened::Plain => {}
            Opened::Opens => self.opened += 1,
            Opened::UnknownKey => {
                self.closed.add(key, || closed("the configuration names no such key"));
            }
            Opened::WrongKey => {
                self.closed.add(key, || closed("the configuration's key of that name is another"));
            }
            Opened::Unreadable => self.closed.add(key, || closed("the value is damaged")),
            Opened::Unproven => {
                self.unproven.add(key, || closed("only the plugin itself could tell"));
            }
        }
    }

    fn judge(self) -> GateReport {
        if self.closed.count() > 0 {
            return GateReport::found(
                Gate::EncryptionTrial,
                self.closed,
                "the standby's keys do not open the primary's values",
                "give the standby's apiservers the very keys of the primary, not only their names",
            );
        }
        if self.unproven.count() > 0 {
            return GateReport::found(
                Gate::EncryptionTrial,
                self.unproven,
                "the standby names the same key of its plugin, which proves nothing",
                "after the first copy, read one of these objects through the standby's API",
            )
            .informing();
        }
        let reason = format!("the standby's keys open all {} values that were tried", self.opened);
        GateReport::passed(Gate::EncryptionTrial, reason)
    }
}

fn without_keyring(sealed: &BTreeMap<Name, Sealed>, shown_max: usize) -> GateReport {
    let mut untried = Findings::new(shown_max);
    for (name, sealed) in sealed {
        untried.add_named(|| name.to_string(), || format!("{} values, none tried", sealed.count));
    }
    GateReport::found(
        Gate::EncryptionTrial,
        untried,
        "the standby's keys are not known here, and equal names do not prove equal keys",
        "give the configuration of the standby's apiservers to --encryption-config",
    )
    .informing()
}
