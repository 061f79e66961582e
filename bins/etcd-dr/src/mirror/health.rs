//! Whether an etcd could carry the platform.

use dr_plan::Answer;
use dr_plan::plan::Side;
use etcd_link::MemberHealth;
use etcd_mvcc::FailureClass;

use super::Etcds;
use super::words::{fails, holds, unknown};

impl Etcds {
    /// Whether all members answer, know a leader, raise no alarm and have room.
    pub(super) async fn healthy(&self, side: Side, quota_percent_max: u8) -> Answer {
        let (mut seen, mut wrong, mut untold) = (Vec::new(), Vec::new(), Vec::new());
        for endpoint in &self.cluster(side).etcd.endpoints {
            let member = match self.at(side).member(endpoint) {
                Ok(member) => member,
                Err(wrong) => return unknown(wrong.message),
            };
            match member.health().await {
                Ok(health) => {
                    seen.push(described(endpoint, &health));
                    wrong.extend(trouble(endpoint, &health, quota_percent_max));
                }
                Err(failure) if failure.class == FailureClass::Retry => {
                    wrong.push(failure.to_string());
                }
                Err(failure) => untold.push(failure.to_string()),
            }
        }
        if !wrong.is_empty() {
            return fails(wrong.join("; "));
        }
        if untold.is_empty() { holds(seen.join("; ")) } else { unknown(untold.join("; ")) }
    }
}

fn described(endpoint: &str, health: &MemberHealth) -> String {
    let quota = if health.quota_told { "" } else { " by etcd's default, its own is not told" };
    format!("{endpoint} {} uses {} % of its quota{quota}", health.version, percent(health))
}

fn trouble(endpoint: &str, health: &MemberHealth, quota_percent_max: u8) -> Vec<String> {
    let mut trouble = Vec::new();
    if !health.has_leader {
        trouble.push(format!("{endpoint} knows no leader"));
    }
    if health.learner {
        trouble.push(format!("{endpoint} is a learner and has no vote"));
    }
    if percent(health) > u64::from(quota_percent_max) {
        trouble.push(format!("{endpoint} uses {} % of its quota", percent(health)));
    }
    trouble.extend(health.complaints.iter().map(|text| format!("{endpoint}: {text}")));
    trouble
}

fn percent(health: &MemberHealth) -> u64 {
    health.database_bytes.saturating_mul(100).checked_div(health.quota_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> MemberHealth {
        MemberHealth {
            version: "3.6.14".into(),
            has_leader: true,
            learner: false,
            database_bytes: 40,
            quota_bytes: 100,
            quota_told: true,
            complaints: Vec::new(),
        }
    }

    #[test]
    fn a_member_that_is_well_has_no_trouble_and_each_trouble_is_told() {
        assert!(trouble("m", &well(), 80).is_empty());
        let full = MemberHealth { database_bytes: 81, ..well() };
        assert_eq!(trouble("m", &full, 80), ["m uses 81 % of its quota"]);
        let ill = MemberHealth {
            has_leader: false,
            learner: true,
            complaints: vec!["alarm:NOSPACE".into()],
            ..well()
        };
        assert_eq!(trouble("m", &ill, 80).len(), 3);
    }
}
