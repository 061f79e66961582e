//! Whether the primary still has the history that a checkpoint was taken from.
//!
//! What differs in another history is not drift: there is no pair.

use consistency_checker::{NotPinned, Pins};
use etcd_mvcc::{PrimaryRevision, ReadHead, ReadRange, StandbyRevision};
use mirror_engine::history::{Judgement, ProofError, Refutation, prove_stored};

/// Makes sure that the pair was one.
///
/// # Errors
///
/// It was not, that is not decided, or it could not be read.
pub(crate) async fn prove<P, S>(
    primary: &P,
    standby: &S,
    name: &str,
    pins: Pins,
) -> Result<(), NotPinned>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    match prove_stored(primary, standby, name, Some(pins.standby)).await {
        Ok(None | Some(Judgement::Proven(_))) => Ok(()),
        Ok(Some(
            Judgement::Refuted(Refutation { evidence: reason, .. }) | Judgement::Undecided(reason),
        )) => Err(NotPinned::Undecided(reason)),
        Err(ProofError::Unread { side, failure }) => Err(NotPinned::Unread { side, failure }),
        Err(ProofError::Record(error)) => Err(NotPinned::Undecided(error.to_string())),
    }
}
