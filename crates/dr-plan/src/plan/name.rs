//! Which plans there are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A plan's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanName {
    /// Two clusters that can stand in for each other.
    Install,
    /// The mirror between them.
    Enable,
    /// The routine check.
    Check,
    /// A planned change of roles, without loss.
    Switchover,
    /// A forced change of roles: the primary is gone.
    Failover,
    /// The old primary becomes the standby.
    Failback,
    /// A newer version of the platform, the standby first.
    Upgrade,
    /// Packages for both clusters.
    Upload,
}

impl PlanName {
    /// All of them, in the order in which a pair meets them.
    pub const ALL: [Self; 8] = [
        Self::Install,
        Self::Enable,
        Self::Check,
        Self::Switchover,
        Self::Failover,
        Self::Failback,
        Self::Upgrade,
        Self::Upload,
    ];

    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Enable => "enable",
            Self::Check => "check",
            Self::Switchover => "switchover",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Upgrade => "upgrade",
            Self::Upload => "upload",
        }
    }

    /// Returns the plan of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
