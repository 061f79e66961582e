//! How long a read that fails is tried again.

use std::time::Duration;

use etcd_mvcc::FailureClass;
use tokio::time::sleep;

/// So often in a row, with pauses that add up to some 12 s: enough for a member to be replaced by
/// the next one, not for a caller to think it hangs.
const RETRIES: u32 = 7;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// A read has succeeded.
    pub(crate) fn renew(&mut self) {
        self.failures = 0;
    }

    /// A read has failed. Waits, longer each time, and says whether to try again; `false` at once
    /// if that would not help.
    pub(crate) async fn lasts(&mut self, class: FailureClass) -> bool {
        let helps = match class {
            FailureClass::Retry | FailureClass::Reauthenticate => self.failures < RETRIES,
            FailureClass::Resync
            | FailureClass::Blocked
            | FailureClass::NoSpace
            | FailureClass::Corrupt
            | FailureClass::NotEtcd
            | FailureClass::OtherCluster
            | FailureClass::TooLarge
            | FailureClass::Fatal => false,
        };
        if helps {
            sleep(RETRY_PAUSE * (1 << self.failures)).await;
            self.failures += 1;
        }
        helps
    }
}
