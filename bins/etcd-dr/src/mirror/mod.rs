//! The etcds of a pair, and the mirror between them: looked at and acted on for a plan.
//!
//! The other half of what a plan asks, names, certificates and Kubernetes APIs, is `dr-world`.
//! Whatever is asked here is asked of etcd itself or of the mirror's monitor, and a peer that does
//! not answer makes an answer unknown, never a no.

pub(crate) mod bundle;
mod checks;
mod export;
mod health;
mod history;
mod monitor;
mod orders;
mod owners;
mod parked;
mod parted;
mod preflight;
mod reach;
mod readable;
mod revisions;
mod sides;
mod status;
mod surplus;
mod words;
mod writes;

pub(crate) use sides::EtcdAt;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dr_plan::plan::{Action, Probe, Side, Signal};
use dr_plan::runner::Acted;
use dr_plan::topology::{Cluster, Topology};
use dr_plan::{Answer, Timestamp};
use dr_world::World;
use etcd_link::{Primary, Standby};
use keyspace_filter::Scope;
use kube_encryption::Keyring;
use mirror_config::Failure;
use mirror_engine::freshness::Observer;

use checks::OwnCheck;

/// The etcds of a pair and the mirror between them.
#[derive(Debug)]
pub(crate) struct Etcds {
    topology: Topology,
    scope: Scope,
    /// The keys of the standby's API servers, where they are known.
    keyring: Option<Arc<Keyring>>,
    /// The etcd that is read.
    primary: Primary,
    /// The etcd that the mirror writes. Of it nothing but the mirror's own keys is written through
    /// this.
    standby: Standby,
    /// The same, for the release: what a rule holds may be written in its own place.
    releasing: Standby,
    /// Where what a plan writes is put: beside the topology file.
    folder: PathBuf,
    /// Remembers the mirror's stored status from one probe to the next.
    observer: tokio::sync::Mutex<Observer>,
    /// The check that this process asked for last.
    checked: Mutex<Option<OwnCheck>>,
    /// For what only an API or a pod's log can tell.
    world: World,
}

impl Etcds {
    /// Prepares both sides; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// An address or a file in the topology can't be used: a usage error that names the field.
    pub(crate) fn new(
        topology: &Topology,
        scope: Scope,
        keyring: Option<Arc<Keyring>>,
        folder: PathBuf,
        world: World,
    ) -> Result<Self, Failure> {
        let at = |side| EtcdAt { topology, side };
        Ok(Self {
            primary: at(Side::Primary).reader(&scope)?,
            standby: at(Side::Standby).mirrored()?,
            releasing: at(Side::Standby).releasing(scope.clone())?,
            topology: topology.clone(),
            scope,
            keyring,
            folder,
            observer: tokio::sync::Mutex::default(),
            checked: Mutex::default(),
            world,
        })
    }

    /// Answers a probe; `None` if it is not for this half.
    ///
    /// `begun` is when the step that it belongs to was begun for the first time.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment: it only looks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`dr_world::family` names every probe")]
    pub(crate) async fn probe(&self, probe: &Probe, begun: Option<Timestamp>) -> Option<Answer> {
        Some(match probe {
            Probe::Unreachable { side, signal: Signal::Etcd } => self.unreachable(*side).await,
            Probe::SpeaksEtcd { endpoint, side, .. } => self.speaks(endpoint, *side).await,
            Probe::EtcdHealthy { side, quota_percent_max } => {
                self.healthy(*side, *quota_percent_max).await
            }
            Probe::DifferentClusters => self.different().await,
            Probe::RevisionFloor { margin } => self.floor(*margin).await,
            Probe::Headroom => self.headroom().await,
            Probe::HistoryProven => self.history_proven().await,
            Probe::WritesRefused { side } => self.stands_still(*side).await,
            Probe::Drained => self.drained().await,
            Probe::Preflight => self.preflight().await,
            Probe::MirrorState { state } => self.in_state(state).await,
            Probe::MirrorLogged { text } => self.logged(text).await,
            Probe::LagAtMost { seconds } => self.lag_at_most(*seconds).await,
            Probe::NoGuard => self.no_guard().await,
            Probe::OneLeader => self.one_leader().await,
            Probe::LossKnown => self.loss_known().await,
            Probe::LossWithin { seconds } => self.loss_within(*seconds).await,
            Probe::CheckedWithin { seconds } => self.checked_within(*seconds).await,
            Probe::CheckedSinceBegun => self.checked_since(begun).await,
            Probe::MirrorFenced => self.fenced().await,
            Probe::MirrorAdmitted => self.admitted().await,
            Probe::Released => self.released().await,
            Probe::NoSurplus => self.no_surplus().await,
            Probe::OwnersLive => self.owners_live().await,
            Probe::ValuesReadable => self.values_readable().await,
            Probe::BundleWritten { path } => self.bundle_written(path).await,
            _ => return None,
        })
    }

    /// Does an action; `None` if it is not for this half. `by` says who does it.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still take effect; it may be done again.
    pub(crate) async fn act(&self, action: &Action, by: &str) -> Option<Acted> {
        Some(match action {
            Action::RunCheck => self.run_check().await,
            Action::PauseMirror => self.pause().await,
            Action::ResumeMirror => self.resume().await,
            Action::FenceMirror => self.fence(by).await,
            Action::AdmitMirror => self.admit().await,
            Action::ReleaseParked => self.release().await,
            Action::RemoveSurplus => self.remove_surplus().await,
            Action::ExportWrites { side, path } => self.export_writes(*side, path).await,
            Action::RaiseShield { .. }
            | Action::LowerShield { .. }
            | Action::RestartPods { .. }
            | Action::RestartControllers { .. }
            | Action::Scale { .. }
            | Action::RecordRole { .. } => return None,
        })
    }

    /// The mirror's name.
    fn name(&self) -> &str {
        &self.topology.mirror.name
    }

    fn at(&self, side: Side) -> EtcdAt<'_> {
        EtcdAt { topology: &self.topology, side }
    }

    fn cluster(&self, side: Side) -> &Cluster {
        self.at(side).cluster()
    }
}
