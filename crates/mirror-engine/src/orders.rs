//! What an operator tells a mirror, and reads of it: through the standby's etcd alone.

use std::time::Duration;

use etcd_mvcc::{
    Commit, CommitTxn, Entry, Expect, Failure, Guard, LeaseId, Op, ReadRange, StandbyRevision, Txn,
    Value,
};
use tokio::time::{Instant, sleep};

use crate::control::{Control, Desired};
use crate::own_keys::OwnKeys;
use crate::record::{Checkpoint, Epoch, RecordError};
use crate::repair::{RepairDigest, RepairKinds, RepairOrder, RepairRecord};

/// How often it is looked what became of an order.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An order to a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Carry out the plan with this digest, although a guard stopped it.
    Accept(String),
}

/// What a mirror has stored on the standby.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Where it stands; `None` if it never wrote.
    pub checkpoint: Option<Checkpoint>,
    /// The standby revision at which the checkpoint was written: with a whole checkpoint's
    /// revision, a pair at which both sides are equal.
    pub written_at: Option<StandbyRevision>,
    /// Who may write.
    pub epoch: Option<Epoch>,
    /// What the operator wants.
    pub control: Control,
    /// What the mirror last said of itself, as it was encoded.
    pub status: Option<Value>,
    /// The standby revision at which it said so.
    pub status_written_at: Option<StandbyRevision>,
    /// The leader key, while an instance holds it.
    pub leader: Option<LeaderKey>,
    /// What became of the last order to repair that was looked at.
    pub repair: Option<RepairRecord>,
}

/// The key of the instance that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderKey {
    /// The standby revision at which that instance took it.
    pub taken_at: StandbyRevision,
    /// The lease that it hangs on.
    pub lease: LeaseId,
}

impl Stored {
    /// Returns the order to repair that no mirror has looked at yet, if there is one.
    #[must_use]
    pub fn repair_waiting(&self) -> Option<RepairOrder> {
        let seen = self.repair.as_ref().map(|record| record.order);
        self.control.repair.filter(|order| seen != Some(order.id))
    }
}

/// Why an order, or a question, came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OrderError {
    /// The standby did not answer, or refused.
    #[error("the standby: {0}")]
    Standby(Failure),
    /// A stored record can't be understood.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Somebody else kept writing the control record at the same time.
    #[error("the control record changed while the order was given; give it again")]
    Raced,
    /// Somebody else kept writing what is released at the same time.
    #[error(
        "what is released was written by others again and again; release it again: what is done is done"
    )]
    Contended,
    /// The standby was promoted, and no other promotion than that is taken back.
    #[error(
        "the standby is promoted; taking that back is an order of its own: `etcd-dr fence --help`"
    )]
    Promoted,
    /// There is no promotion to take back.
    #[error("the standby is not promoted")]
    NotPromoted,
    /// The promotion that stands is another one.
    #[error("the promotion that stands is {0}")]
    OtherFence(String),
    /// The mirror was told to stand still, or that the standby is a primary now.
    #[error("the mirror is told to stand still: `etcd-sync resume` comes first")]
    StandsStill,
}

/// Reads what the mirror called `name` has stored.
///
/// # Errors
///
/// The standby did not answer, or holds records that can't be understood.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn read_state<S>(standby: &S, name: &str) -> Result<Stored, OrderError>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let own = OwnKeys::new(name);
    let keys = [own.checkpoint, own.epoch, own.control, own.status, own.repair, own.leader];
    let entries = standby.read_keys(&keys, None).await.map_err(OrderError::Standby)?;
    let mut entries = entries.into_iter();
    let mut next = || entries.next().flatten();
    let (checkpoint, epoch, control) = (next(), next(), next());
    let (status, repair, leader) = (next(), next(), next());
    Ok(Stored {
        written_at: checkpoint.as_ref().map(|entry| entry.modified),
        checkpoint: checkpoint.map(|entry| Checkpoint::decode(&entry.value)).transpose()?,
        epoch: epoch.map(|entry| Epoch::decode(&entry.value)).transpose()?,
        control: decode_control(control.as_ref())?,
        status_written_at: status.as_ref().map(|entry| entry.modified),
        status: status.map(|entry| entry.value),
        leader: leader
            .map(|entry| LeaderKey { taken_at: entry.modified, lease: LeaseId::new(entry.lease) }),
        repair: repair.map(|entry| RepairRecord::decode(&entry.value)).transpose()?,
    })
}

fn decode_control(entry: Option<&Entry<StandbyRevision>>) -> Result<Control, RecordError> {
    entry.map_or_else(|| Ok(Control::default()), |entry| Control::decode(&entry.value))
}

/// Gives an order to the mirror called `name`, and returns the standby's revision at which it was
/// written. It is seen within a second or two; a status of a later revision may say what came of it.
///
/// # Errors
///
/// The standby did not take it; the mirror goes on as before.
///
/// # Cancel safety
///
/// A dropped call may still take effect.
pub async fn give<S>(standby: &S, name: &str, order: Order) -> Result<StandbyRevision, OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    let change = |control: &mut Control, _: Option<&Value>| {
        if control.desired == Desired::Promoted {
            return Err(OrderError::Promoted);
        }
        match &order {
            Order::Pause => control.desired = Desired::Pause,
            Order::Resume => control.desired = Desired::Run,
            Order::Accept(digest) => control.accept = Some(digest.clone()),
        }
        Ok(())
    };
    change_control(standby, name, change).await.map(|((), given_at)| given_at)
}

/// Orders the mirror called `name` to carry out the repair with this digest, and returns the
/// order's id: [`Stored::repair`] has the same one as soon as the mirror has looked at it.
///
/// The order is looked at while the mirror follows; until then it waits, through restarts too. It
/// is carried out only if it still does exactly what the digest names, and at most once; giving
/// the same digest again is another order. An order that waits gives way to a newer one. A full
/// resync is the repair of [`RepairKinds::default`].
///
/// # Errors
///
/// The standby did not take it, or [`OrderError::StandsStill`]: the mirror goes on as before. An
/// order that is given first and a pause afterwards is not refused: it waits for the resumption.
///
/// # Cancel safety
///
/// A dropped call may still take effect.
pub async fn order_repair<S>(
    standby: &S,
    name: &str,
    kinds: RepairKinds,
    digest: RepairDigest,
) -> Result<u64, OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    let change = |control: &mut Control, last: Option<&Value>| {
        if control.desired != Desired::Run {
            return Err(OrderError::StandsStill);
        }
        // Unlike the one that waits and the one that was looked at: no order is taken for another.
        let given = control.repair.map_or(0, |order| order.id);
        let last = last.map(RepairRecord::decode).transpose()?;
        let id = given.max(last.map_or(0, |record| record.order)) + 1;
        control.repair = Some(RepairOrder { id, kinds, digest });
        Ok(id)
    };
    change_control(standby, name, change).await.map(|(id, _)| id)
}

/// Waits until the mirror called `name` is through with the order of this id, and returns what
/// became of it; `None` if it is not within `patience`: it still may be carried out.
///
/// A standby that does not answer for a moment is asked again.
///
/// # Cancel safety
///
/// May be dropped at any moment: it only looks.
pub async fn repair_outcome<S>(
    standby: &S,
    name: &str,
    order: u64,
    patience: Duration,
) -> Option<RepairRecord>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Ok(stored) = read_state(standby, name).await
            && let Some(record) = stored.repair.filter(|record| record.order == order)
            && record.outcome.is_final()
        {
            return Some(record);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Changes the control record, unless somebody else does so at the same time. `change` is given
/// the repair record too.
async fn change_control<S, T>(
    standby: &S,
    name: &str,
    change: impl Fn(&mut Control, Option<&Value>) -> Result<T, OrderError>,
) -> Result<(T, StandbyRevision), OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    /// Two operators at once are likely to be told so; ten collisions in a row are not.
    const ATTEMPTS: usize = 10;

    let own = OwnKeys::new(name);
    for _ in 0..ATTEMPTS {
        let keys = [own.control.clone(), own.repair.clone()];
        let entries = standby.read_keys(&keys, None).await.map_err(OrderError::Standby)?;
        let mut entries = entries.into_iter();
        let (entry, repair) = (entries.next().flatten(), entries.next().flatten());
        let mut control = decode_control(entry.as_ref())?;
        let changed = change(&mut control, repair.as_ref().map(|entry| &entry.value))?;
        let expect = entry.map_or(Expect::Absent, |entry| Expect::ModifiedAt(entry.modified));
        let txn = Txn {
            guard: Guard(vec![(own.control.clone(), expect)]),
            writes: Vec::new(),
            own: vec![Op::Put { key: own.control.clone(), value: control.encode() }],
        };
        match standby.commit(txn).await {
            Ok(Commit::Done(committed)) => return Ok((changed, committed.revision)),
            Ok(Commit::Refused) => {}
            Err(failure) => return Err(OrderError::Standby(failure)),
        }
    }
    Err(OrderError::Raced)
}
