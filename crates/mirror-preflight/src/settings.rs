//! What a preflight is to know beside the two clusters.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube_encryption::Keyring;

use crate::Gate;

/// What a preflight is to know beside the two clusters.
#[derive(Debug)]
pub struct PreflightSettings {
    /// The keys of the standby's apiservers, if somebody has given their configuration.
    pub keyring: Option<Arc<Keyring>>,
    /// What the etcds call their versions.
    pub versions: Versions,
    /// How far the standby's revision has to be above the primary's. Default 10¹¹: less than it is
    /// lifted by, for the primary catches up from then on.
    pub revision_margin: u64,
    /// How far above the primary's it is to be lifted. Default 10¹².
    pub revision_lift: u64,
    /// The most findings that each gate shows. Default 20.
    pub shown_max: usize,
    /// The most values that are tried for each encryption key. Default 32.
    pub trials_max: usize,
    /// Gates that need not be met.
    pub allow: BTreeSet<Gate>,
}

/// What the etcds call their versions (`3.6.14`); `None` where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The primary's.
    pub primary: Option<String>,
    /// The standby's.
    pub standby: Option<String>,
}

impl Default for PreflightSettings {
    fn default() -> Self {
        Self {
            keyring: None,
            versions: Versions::default(),
            // 3 years at a thousand writes a second, and 30; exact in a double.
            revision_margin: 100_000_000_000,
            revision_lift: 1_000_000_000_000,
            shown_max: 20,
            trials_max: 32,
            allow: BTreeSet::new(),
        }
    }
}
