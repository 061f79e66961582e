//! What an operator tells a mirror, and reads of it: through the standby's etcd alone.

use etcd_mvcc::{
    Commit, CommitTxn, Entry, Expect, Failure, Guard, Op, ReadRange, StandbyRevision, Txn, Value,
};

use crate::own_keys::OwnKeys;
use crate::record::{Checkpoint, Control, Desired, Epoch, RecordError};

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
    let keys = [own.checkpoint, own.epoch, own.control, own.status];
    let entries = standby.read_keys(&keys, None).await.map_err(OrderError::Standby)?;
    let mut entries = entries.into_iter();
    let mut next = || entries.next().flatten();
    let (checkpoint, epoch, control, status) = (next(), next(), next(), next());
    Ok(Stored {
        written_at: checkpoint.as_ref().map(|entry| entry.modified),
        checkpoint: checkpoint.map(|entry| Checkpoint::decode(&entry.value)).transpose()?,
        epoch: epoch.map(|entry| Epoch::decode(&entry.value)).transpose()?,
        control: decode_control(control.as_ref())?,
        status: status.map(|entry| entry.value),
    })
}

fn decode_control(entry: Option<&Entry<StandbyRevision>>) -> Result<Control, RecordError> {
    entry.map_or_else(|| Ok(Control::default()), |entry| Control::decode(&entry.value))
}

/// Gives an order to the mirror called `name`. It is seen within a second or two.
///
/// # Errors
///
/// The standby did not take it; the mirror goes on as before.
///
/// # Cancel safety
///
/// A dropped call may still take effect.
pub async fn give<S>(standby: &S, name: &str, order: Order) -> Result<(), OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    /// Two operators at once are likely to be told so; ten collisions in a row are not.
    const ATTEMPTS: usize = 10;

    let own = OwnKeys::new(name);
    for _ in 0..ATTEMPTS {
        let keys = [own.control.clone()];
        let entries = standby.read_keys(&keys, None).await.map_err(OrderError::Standby)?;
        let entry = entries.into_iter().next().flatten();
        let mut control = decode_control(entry.as_ref())?;
        match &order {
            Order::Pause => control.desired = Desired::Pause,
            Order::Resume => control.desired = Desired::Run,
            Order::Accept(digest) => control.accept = Some(digest.clone()),
        }
        let expect = entry.map_or(Expect::Absent, |entry| Expect::ModifiedAt(entry.modified));
        let txn = Txn {
            guard: Guard(vec![(own.control.clone(), expect)]),
            writes: Vec::new(),
            own: vec![Op::Put { key: own.control.clone(), value: control.encode() }],
        };
        match standby.commit(txn).await {
            Ok(Commit::Done(_)) => return Ok(()),
            Ok(Commit::Refused) => {}
            Err(failure) => return Err(OrderError::Standby(failure)),
        }
    }
    Err(OrderError::Raced)
}
