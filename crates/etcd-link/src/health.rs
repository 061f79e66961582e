//! How one member is, as it says itself.

use std::collections::BTreeSet;

use etcd_client::{AlarmAction, AlarmType};
use etcd_mvcc::Failure;

use crate::link::Link;

/// etcd's default for `--quota-backend-bytes`, for members that do not tell theirs (before 3.6).
const QUOTA_BYTES_DEFAULT: u64 = 2 << 30;
/// A cluster has three alarms at most; a member that says more is not quoted further.
const COMPLAINTS_MAX: usize = 8;

/// How one member is, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberHealth {
    /// Its version, such as `3.6.14`.
    pub version: String,
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// Whether it only learns, and has no vote.
    pub learner: bool,
    /// The size of its database file, in bytes: what counts against the quota.
    pub database_bytes: u64,
    /// Its quota, in bytes.
    pub quota_bytes: u64,
    /// Whether it told its quota; else it is taken for etcd's default.
    pub quota_told: bool,
    /// Alarms and other trouble, printable.
    pub complaints: Vec<String>,
}

impl Link {
    /// Asks which alarms the cluster has raised, whichever members did. Needs a quorum.
    pub(crate) async fn alarms(&self) -> Result<Vec<String>, Failure> {
        let answer = self
            .call(&self.reads, self.reading(), |mut member| async move {
                let (action, kind) = (AlarmAction::Get, AlarmType::None);
                member.clients.maintenance.alarm(action, kind, None).await
            })
            .await?;
        let named = |alarm: AlarmType| match alarm {
            AlarmType::None => None,
            AlarmType::Nospace => Some("NOSPACE"),
            AlarmType::Corrupt => Some("CORRUPT"),
        };
        let alarms = answer.alarms().iter().filter_map(|member| named(member.alarm()));
        let alarms: BTreeSet<&str> = alarms.collect();
        Ok(alarms.into_iter().map(str::to_owned).collect())
    }

    /// Asks one member how it is. It answers without a quorum too.
    pub(crate) async fn health(&self) -> Result<MemberHealth, Failure> {
        let status = self
            .call(&self.reads, self.reading(), |mut member| async move {
                member.clients.maintenance.status().await
            })
            .await?;
        let bytes = |number: i64| u64::try_from(number).unwrap_or_default();
        let quota = bytes(status.db_size_quota());
        let complaints = status.errors().iter().take(COMPLAINTS_MAX);
        Ok(MemberHealth {
            version: printable(status.version(), 64),
            has_leader: status.leader() != 0,
            learner: status.is_learner(),
            database_bytes: bytes(status.db_size()),
            quota_bytes: if quota > 0 { quota } else { QUOTA_BYTES_DEFAULT },
            quota_told: quota > 0,
            complaints: complaints.map(|text| printable(text, 200)).collect(),
        })
    }
}

/// What a server says is shown to people: on one line, and not without an end.
fn printable(text: &str, chars_max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(chars_max).collect()
}
