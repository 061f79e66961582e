//! What is looked at, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// One thing that must hold, or should, before a pair is mirrored. The names are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Gate {
    /// Objects in scope whose owners will not exist on the standby.
    Owners,
    /// Keys whose uid changes while objects that stay local name the old one as their owner.
    UidChange,
    /// Encryption keys of the primary that the standby is not known to have.
    EncryptionKeys,
    /// Whether the standby's keys open the primary's values.
    EncryptionTrial,
    /// Values that can't be decrypted under another key, which a rewrite gives them.
    EncryptionPrefix,
    /// Objects that act on real infrastructure and are admitted all the same.
    HardLocal,
    /// Addresses and ports that services of both clusters claim.
    ServiceAddresses,
    /// Versions of etcd that are known to harm a mirror.
    EtcdVersions,
    /// Whether clients that change clusters notice it by their revisions.
    RevisionFloor,
    /// Rules of the preset that are right for some clusters only.
    Choices,
    /// Resource definitions that need a service which stays local.
    ConversionWebhooks,
    /// Service accounts and resource definitions whose uid changes.
    UidSwaps,
}

/// How bad it is if a gate is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warn,
    /// The pair is not to be mirrored until this is resolved or allowed.
    Refuse,
}

/// No gate has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no gate `{name}` (known: {})", Gate::NAMES.join(", "))]
pub struct UnknownGate {
    /// What was given.
    pub name: String,
}

impl Gate {
    /// Every gate, in the order of a report.
    pub const ALL: [Self; 12] = [
        Self::Owners,
        Self::UidChange,
        Self::EncryptionKeys,
        Self::EncryptionTrial,
        Self::EncryptionPrefix,
        Self::HardLocal,
        Self::ServiceAddresses,
        Self::EtcdVersions,
        Self::RevisionFloor,
        Self::Choices,
        Self::ConversionWebhooks,
        Self::UidSwaps,
    ];

    /// The names, in the same order.
    pub const NAMES: [&str; 12] = {
        let mut names = [""; 12];
        let mut at = 0;
        while at < names.len() {
            #[allow(clippy::indexing_slicing, reason = "checked by the compiler: it runs there")]
            {
                names[at] = Self::ALL[at].as_str();
            }
            at += 1;
        }
        names
    };

    /// The gate's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owners => "owners",
            Self::UidChange => "uid-change",
            Self::EncryptionKeys => "encryption-keys",
            Self::EncryptionTrial => "encryption-trial",
            Self::EncryptionPrefix => "encryption-prefix",
            Self::HardLocal => "hard-local",
            Self::ServiceAddresses => "service-addresses",
            Self::EtcdVersions => "etcd-versions",
            Self::RevisionFloor => "revision-floor",
            Self::Choices => "choices",
            Self::ConversionWebhooks => "conversion-webhooks",
            Self::UidSwaps => "uid-swaps",
        }
    }

    /// How bad it is at worst if the gate is not met.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::UidChange
            | Self::EncryptionKeys
            | Self::EncryptionTrial
            | Self::EncryptionPrefix => Severity::Refuse,
            Self::Owners
            | Self::HardLocal
            | Self::ServiceAddresses
            | Self::EtcdVersions
            | Self::RevisionFloor
            | Self::ConversionWebhooks => Severity::Warn,
            Self::Choices | Self::UidSwaps => Severity::Info,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Gate {
    type Err = UnknownGate;

    fn from_str(name: &str) -> Result<Self, UnknownGate> {
        Self::ALL
            .into_iter()
            .find(|gate| gate.as_str() == name)
            .ok_or_else(|| UnknownGate { name: name.to_owned() })
    }
}

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_is_known_by_its_name_and_no_other() {
        for (gate, name) in Gate::ALL.into_iter().zip(Gate::NAMES) {
            assert_eq!(name.parse(), Ok(gate));
        }
        let told = "owner".parse::<Gate>().unwrap_err().to_string();
        assert!(told.contains("`owner`") && told.contains("known: owners, uid-change"), "{told}");
    }
}
