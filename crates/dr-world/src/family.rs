//! Who can answer a probe.

use dr_plan::plan::{Probe, Signal};
use dr_plan::{Answer, Verdict};

/// Who can answer a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// [`World`](crate::World) alone.
    World,
    /// Whoever asks the mirror and the etcds, alone.
    Mirror,
    /// Each of them one half; [`both`] puts the answers together.
    Both,
    /// A person.
    Person,
}

/// Returns who can answer a probe.
#[must_use]
pub const fn family(probe: &Probe) -> Family {
    match probe {
        Probe::Resolves { .. }
        | Probe::Connects { .. }
        | Probe::CertificateNames { .. }
        | Probe::CertificateFile { .. }
        | Probe::SameCertificate { .. }
        | Probe::PageServed { .. }
        | Probe::SameFile { .. }
        | Probe::ShieldLowered { .. }
        | Probe::Unreachable { signal: Signal::Api, .. }
        | Probe::PodsReady { .. }
        | Probe::PodsRestarted { .. }
        | Probe::PodsGone { .. }
        | Probe::ControllersRestarted { .. }
        | Probe::VersionNotOlder
        | Probe::SameVersion
        | Probe::SameTokenSettings
        | Probe::TokenAccepted
        | Probe::ServiceAddressesApart
        | Probe::RoleRecorded { .. } => Family::World,
        Probe::SpeaksEtcd { .. } | Probe::DifferentClusters | Probe::WritesRefused { .. } => {
            Family::Both
        }
        Probe::Unreachable { signal: Signal::Etcd, .. }
        | Probe::EtcdHealthy { .. }
        | Probe::RevisionFloor { .. }
        | Probe::Preflight
        | Probe::MirrorState { .. }
        | Probe::MirrorLogged { .. }
        | Probe::LagAtMost { .. }
        | Probe::Drained
        | Probe::CheckedWithin { .. }
        | Probe::CheckedSinceBegun
        | Probe::NoGuard
        | Probe::HistoryProven
        | Probe::OneLeader
        | Probe::Headroom
        | Probe::ValuesReadable
        | Probe::OwnersLive
        | Probe::MirrorFenced
        | Probe::MirrorAdmitted
        | Probe::Released
        | Probe::NoSurplus
        | Probe::BundleWritten { .. }
        | Probe::LossKnown
        | Probe::LossWithin { .. } => Family::Mirror,
        Probe::Attested { .. } => Family::Person,
    }
}

/// Puts two halves of an answer together. Both must hold; one that does not decides, then one that
/// nobody could tell.
#[must_use]
pub fn both(one: Answer, other: Answer) -> Answer {
    let weight = |verdict| match verdict {
        Verdict::Holds => 0,
        Verdict::Pending => 1,
        Verdict::Unknown => 2,
        Verdict::Fails => 3,
    };
    let verdict =
        if weight(one.verdict) >= weight(other.verdict) { one.verdict } else { other.verdict };
    Answer::new(verdict, format!("{}; {}", one.evidence, other.evidence))
}
