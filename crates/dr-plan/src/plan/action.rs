//! What can be done to the world without a hand.

use serde::Serialize;

use super::place::{Side, Target};

/// Something that is done. Every action may be done again without harm, as far as one can arrange
/// it; the runner avoids it all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Asks the mirror for an exact check.
    RunCheck,
    /// Tells the mirror to stand still.
    PauseMirror,
    /// Tells it to go on.
    ResumeMirror,
    /// Promotes the standby: raises the epoch, so that no mirror of the old one ever writes again,
    /// not even with a write that is on its way.
    FenceMirror,
    /// Takes the mark of an earlier promotion off the standby, so that a mirror may write there
    /// again, under a new epoch.
    AdmitMirror,
    /// Moves what a rule of the mirror held until promotion to its own place, owners first. What the
    /// standby has there of its own stays.
    ReleaseParked,
    /// Orders the mirror to delete what only the standby has, of what is mirrored.
    RemoveSurplus,
    /// Installs a policy that refuses writes to the objects that are mirrored.
    RaiseShield {
        /// Where.
        side: Side,
    },
    /// Removes it.
    LowerShield {
        /// Where.
        side: Side,
    },
    /// Deletes pods, so that whoever owns them makes new ones.
    RestartPods {
        /// Where.
        target: Target,
        /// The namespace.
        namespace: String,
        /// The label selector.
        selector: String,
    },
    /// Restarts the API servers and the controller manager, one node after the other.
    RestartControllers {
        /// Which cluster.
        side: Side,
    },
    /// Sets the number of a deployment's pods.
    Scale {
        /// Where.
        target: Target,
        /// The namespace.
        namespace: String,
        /// The deployment.
        deployment: String,
        /// How many.
        replicas: u32,
    },
    /// Writes the role of the cluster down where controllers look it up: `role` of the config map
    /// [`ROLE_RECORD`](super::ROLE_RECORD), in the namespace of the mirror.
    RecordRole {
        /// Where.
        side: Side,
        /// `primary` or `standby`.
        role: String,
    },
    /// Writes everything that only this cluster has written since the checkpoint into a bundle.
    ExportWrites {
        /// Whose writes.
        side: Side,
        /// The folder of the bundle.
        path: String,
    },
}
