//! Where both sides ought to be equal, as a mirror's checkpoint says.

use std::time::Duration;

use consistency_checker::{NotPinned, PinSource, Pins};
use etcd_mvcc::{
    ClusterId, KeyRange, PageRequest, PrimaryRevision, ReadRange, Revision as _, Side,
    StandbyRevision,
};
use keyspace_filter::ScopeHash;
use mirror_engine::{Checkpoint, OwnKeys, Phase};
use tokio::time::sleep;

use crate::records::Records;

/// A torn revision is whole again as soon as its last part is in.
const TORN_PATIENCE: Duration = Duration::from_secs(5);
const TORN_PAUSE: Duration = Duration::from_millis(100);

/// Pins the newest pair of a mirror: its checkpoint's value, and the standby's newest revision.
///
/// The pair that the mirror has proven ends with the revision that wrote the checkpoint. Until the
/// next checkpoint the mirror writes nothing, so whatever differs at a later revision is the work
/// of others: pinning the newest one shows that too, however quiet the primary is.
#[derive(Clone, Debug)]
pub struct MirrorPins<'a, S, G> {
    standby: &'a S,
    own: OwnKeys,
    scope: ScopeHash,
    primary: ClusterId,
    refusal: G,
}

impl<'a, S, G> MirrorPins<'a, S, G>
where
    S: ReadRange<Revision = StandbyRevision>,
    G: Fn() -> Option<String> + Send + Sync,
{
    /// Pins what the mirror called `name` writes of the primary with this id, under the scope with
    /// this hash. While `refusal` says something, nothing is pinned, for that reason.
    pub fn new(
        standby: &'a S,
        name: &str,
        (primary, scope): (ClusterId, ScopeHash),
        refusal: G,
    ) -> Self {
        Self { standby, own: OwnKeys::new(name), scope, primary, refusal }
    }

    /// The newest checkpoint, and the standby's revision as of which it is the newest.
    async fn newest(&self) -> Result<Option<(Checkpoint, StandbyRevision)>, NotPinned> {
        let request = PageRequest {
            range: KeyRange::single(&self.own.checkpoint),
            at: None,
            limit: 1,
            keys_only: false,
        };
        let unread = |failure| NotPinned::Unread { side: Side::Standby, failure };
        let page = self.standby.read_page(request).await.map_err(unread)?;
        let Some(entry) = page.entries.first() else { return Ok(None) };
        let checkpoint = Checkpoint::decode(&entry.value)
            .map_err(|error| NotPinned::Undecided(error.to_string()))?;
        Ok(Some((checkpoint, page.at)))
    }

    /// The newest pair; `None` while a revision is torn.
    async fn pair(&self) -> Result<Option<Pins>, NotPinned> {
        if let Some(reason) = (self.refusal)() {
            return Err(NotPinned::Undecided(reason));
        }
        let undecided = |reason: &str| Err(NotPinned::Undecided(reason.to_owned()));
        let Some((checkpoint, standby)) = self.newest().await? else {
            return undecided("no mirror of this name has written to this standby");
        };
        if checkpoint.cluster != self.primary {
            return Err(NotPinned::Undecided(format!(
                "the mirror's checkpoint was taken from cluster {}; this primary is {}",
                checkpoint.cluster, self.primary
            )));
        }
        if checkpoint.scope != self.scope.to_string() {
            return undecided(
                "the mirror's scope is another one: give the flags that it runs with",
            );
        }
        match checkpoint.phase {
            Phase::Whole if checkpoint.revision.get() > 0 => {
                Ok(Some(Pins { primary: checkpoint.revision, standby }))
            }
            Phase::Whole => undecided("the mirror has not copied anything yet"),
            Phase::Copying(_) => {
                undecided("the mirror is copying: the standby is between two states")
            }
            Phase::Torn { .. } => Ok(None),
        }
    }
}

impl<S, G> PinSource for MirrorPins<'_, S, G>
where
    S: ReadRange<Revision = StandbyRevision>,
    G: Fn() -> Option<String> + Send + Sync,
{
    async fn pin(&self) -> Result<Pins, NotPinned> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(pins) = self.pair().await? {
                return Ok(pins);
            }
            if waited >= TORN_PATIENCE {
                let reason = "a revision of the primary is torn: part of it has been applied";
                return Err(NotPinned::Undecided(reason.to_owned()));
            }
            sleep(TORN_PAUSE).await;
            waited += TORN_PAUSE;
        }
    }
}

/// Finds the pair of one particular primary revision in the mirror's past.
///
/// # Errors
///
/// No checkpoint of that revision is left in the standby's history; the reason names the nearest.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn pair_at<S>(
    standby: &S,
    name: &str,
    revision: PrimaryRevision,
    newest: StandbyRevision,
) -> Result<Pins, NotPinned>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let records = Records::new(standby, name);
    let unread = |failure| NotPinned::Unread { side: Side::Standby, failure };
    let (first, _) = records.first_at_or_after(revision, newest).await.map_err(unread)?;
    match first {
        Some((record, standby)) if record.is_whole() && record.revision == revision => {
            Ok(Pins { primary: revision, standby })
        }
        Some((record, _)) => Err(NotPinned::Undecided(format!(
            "no checkpoint of primary revision {revision} is left on the standby; the next one is \
             of {}",
            record.revision
        ))),
        None => Err(NotPinned::Undecided(format!(
            "the mirror has not reached primary revision {revision}"
        ))),
    }
}
