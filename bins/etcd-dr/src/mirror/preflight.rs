//! What would go wrong if this pair were mirrored.

use dr_plan::Answer;
use etcd_mvcc::Failure as Unanswered;
use mirror_preflight::{
    PreflightError, PreflightReport, PreflightSettings, Verdict, Versions, preflight,
};

use super::Etcds;
use super::words::{fails, holds, unknown};

impl Etcds {
    /// Reads both sides, and says what stands against mirroring them.
    ///
    /// # Errors
    ///
    /// A side could not be read, or both are one cluster.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub(crate) async fn preflight_report(&self) -> Result<PreflightReport, PreflightError> {
        let versions = Versions {
            primary: known(self.primary.version().await),
            standby: known(self.standby.version().await),
        };
        let keyring = self.keyring.clone();
        let settings = PreflightSettings { versions, keyring, ..PreflightSettings::default() };
        preflight(&self.primary, &self.standby, &self.scope, &settings).await
    }

    pub(super) async fn preflight(&self) -> Answer {
        match self.preflight_report().await {
            Ok(report) => match report.verdict {
                Verdict::Ready | Verdict::Warnings => {
                    holds(format!("{}: {}", report.verdict.as_str(), report.reason))
                }
                Verdict::Refused => fails(report.reason),
            },
            Err(error @ PreflightError::SameCluster(_)) => fails(error.to_string()),
            Err(error) => unknown(error.to_string()),
        }
    }
}

/// Some etcds tell their version to root only; whatever else is wrong, the reading will tell.
fn known(version: Result<String, Unanswered>) -> Option<String> {
    version.ok()
}
