//! The promotion fence: from one standby revision on, no mirror writes, ever.
//!
//! One transaction raises the epoch, under which no transaction of a mirror can land any more, and
//! says so in the control record, which a mirror reads before it does anything else.

use std::fmt;
use std::str::FromStr;

use etcd_mvcc::{
    Commit, CommitTxn, Entry, Expect, Guard, Op, PrimaryRevision, ReadRange, Revision as _,
};
use etcd_mvcc::{StandbyRevision, Txn};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::control::{Control, Desired};
use crate::orders::OrderError;
use crate::own_keys::OwnKeys;
use crate::record::{Checkpoint, Epoch};
pub use crate::release::{InTheWay, Released, release_parked};

/// Two operators at once, or a mirror that starts over, are likely; ten collisions in a row are not.
const ATTEMPTS: usize = 10;

/// Who has promoted the standby, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Who gave the order: a person, a host, a plan.
    pub by: String,
    /// When, in seconds since 1970, by the clock of whoever gave it.
    pub at: u64,
    /// The epoch that fences every mirror.
    pub epoch: u64,
}

/// Says why no mirror writes any more.
pub(crate) fn fenced_by(promotion: Option<&Promotion>) -> String {
    match promotion {
        Some(Promotion { by, epoch, .. }) => format!(
            "the standby was promoted by {by} (epoch {epoch}); no mirror writes to it any more"
        ),
        None => "the standby was promoted".to_owned(),
    }
}

/// A promotion as it stands on the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Who and when.
    pub promotion: Promotion,
    /// The standby revision of the fence: nothing of a mirror's lands from it on.
    pub revision: StandbyRevision,
    /// The primary revision up to which the standby had everything, if the checkpoint was whole.
    pub checkpoint: Option<PrimaryRevision>,
    /// The standby revision that wrote the checkpoint: with it, the last pinned pair.
    pub written_at: Option<StandbyRevision>,
}

/// Names one promotion, so that taking it back can mean no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceDigest(u128);

impl fmt::Display for FenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for FenceDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| plain);
        number.map(Self).ok_or_else(|| format!("{text:?} is no digest (32 hexadecimal digits)"))
    }
}

impl Fence {
    /// Returns the digest that takes it back.
    #[must_use]
    pub fn digest(&self) -> FenceDigest {
        let Promotion { by, at, epoch } = &self.promotion;
        let mut digest = Xxh3::new();
        digest.update(&self.revision.get().to_be_bytes());
        digest.update(&at.to_be_bytes());
        digest.update(&epoch.to_be_bytes());
        digest.update(by.as_bytes());
        FenceDigest(digest.digest128())
    }
}

/// Raises the fence: whatever a mirror called `name` has on its way, or will send, is refused from
/// [`Fence::revision`] on. Raising it again returns the fence that stands.
///
/// # Errors
///
/// The standby did not take it, or its records can't be understood; with an unknown outcome, raise
/// it again.
///
/// # Cancel safety
///
/// A dropped call may still take effect.
pub async fn promote<S>(standby: &S, name: &str, by: &str, at: u64) -> Result<Fence, OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    for _ in 0..ATTEMPTS {
        let own = OwnKeys::new(name);
        let seen = Seen::read(standby, &own).await?;
        if let Some(fence) = seen.fence()? {
            return Ok(fence);
        }
        let number = seen.epoch()?.map_or(0, |epoch| epoch.number) + 1;
        let promotion = Promotion { by: by.to_owned(), at, epoch: number };
        let epoch = Epoch { number, owner: format!("promotion by {by}") };
        let control = Control {
            desired: Desired::Promoted,
            promotion: Some(promotion),
            accept: None,
            ..seen.control()?
        };
        let txn = Txn {
            guard: seen.guard(&own),
            writes: Vec::new(),
            own: vec![
                Op::Put { key: own.epoch, value: epoch.encode() },
                Op::Put { key: own.control, value: control.encode() },
            ],
        };
        match standby.commit(txn).await {
            // What the checkpoint is now, it stays: it is read anew.
            Ok(Commit::Done(_) | Commit::Refused) => {}
            Err(failure) => return Err(OrderError::Standby(failure)),
        }
    }
    Err(OrderError::Raced)
}

/// Returns the fence that stands, if one does.
///
/// # Errors
///
/// The standby did not answer, or its records can't be understood.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn fence<S>(standby: &S, name: &str) -> Result<Option<Fence>, OrderError>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    Seen::read(standby, &OwnKeys::new(name)).await?.fence()
}

/// Takes back the promotion that `digest` names: a mirror called `name` may write again, and
/// overwrite what the standby has become since.
///
/// The checkpoint goes with the fence, in the same transaction. It spoke of a standby that nobody
/// but the mirror wrote; whoever went on from it would never look at a key that the standby changed
/// while it was promoted and the primary has left alone. So the next start enrols the standby anew:
/// it compares every key, writes what differs, and takes what the standby alone has for others'.
///
/// # Errors
///
/// [`OrderError::NotPromoted`], or [`OrderError::OtherFence`] if the fence is not that one; else as
/// [`promote`].
///
/// # Cancel safety
///
/// A dropped call may still take effect.
pub async fn take_back<S>(standby: &S, name: &str, digest: FenceDigest) -> Result<(), OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    let own = OwnKeys::new(name);
    let seen = Seen::read(standby, &own).await?;
    let Some(fence) = seen.fence()? else { return Err(OrderError::NotPromoted) };
    if fence.digest() != digest {
        return Err(OrderError::OtherFence(fence.digest().to_string()));
    }
    let control = Control { desired: Desired::Run, promotion: None, ..seen.control()? };
    let txn = Txn {
        guard: Guard(vec![(own.control.clone(), expect(seen.control.as_ref()))]),
        writes: Vec::new(),
        // While the fence stands nobody writes the checkpoint: the guard need not name it.
        own: vec![
            Op::Put { key: own.control, value: control.encode() },
            Op::Delete { key: own.checkpoint },
        ],
    };
    match standby.commit(txn).await {
        Ok(Commit::Done(_)) => Ok(()),
        Ok(Commit::Refused) => Err(OrderError::Raced),
        Err(failure) => Err(OrderError::Standby(failure)),
    }
}

/// The standby's records at one revision.
pub(crate) struct Seen {
    epoch: Option<Entry<StandbyRevision>>,
    control: Option<Entry<StandbyRevision>>,
    checkpoint: Option<Entry<StandbyRevision>>,
}

impl Seen {
    pub(crate) async fn read<S>(standby: &S, own: &OwnKeys) -> Result<Self, OrderError>
    where
        S: ReadRange<Revision = StandbyRevision>,
    {
        let keys = [own.epoch.clone(), own.control.clone(), own.checkpoint.clone()];
        let entries = standby.read_keys(&keys, None).await.map_err(OrderError::Standby)?;
        let mut entries = entries.into_iter();
        let mut next = || entries.next().flatten();
        Ok(Self { epoch: next(), control: next(), checkpoint: next() })
    }

    fn epoch(&self) -> Result<Option<Epoch>, OrderError> {
        Ok(self.epoch.as_ref().map(|entry| Epoch::decode(&entry.value)).transpose()?)
    }

    fn control(&self) -> Result<Control, OrderError> {
        let control = self.control.as_ref().map(|entry| Control::decode(&entry.value));
        Ok(control.transpose()?.unwrap_or_default())
    }

    /// What has to stay as it was seen for the fence to stand.
    pub(crate) fn guard(&self, own: &OwnKeys) -> Guard {
        Guard(vec![
            (own.epoch.clone(), expect(self.epoch.as_ref())),
            (own.control.clone(), expect(self.control.as_ref())),
        ])
    }

    pub(crate) fn fence(&self) -> Result<Option<Fence>, OrderError> {
        let control = self.control()?;
        let (Desired::Promoted, Some(entry)) = (control.desired, &self.control) else {
            return Ok(None);
        };
        let unknown = || Promotion { by: "somebody".to_owned(), at: 0, epoch: 0 };
        let checkpoint = self.checkpoint.as_ref();
        let read = checkpoint.map(|entry| Checkpoint::decode(&entry.value)).transpose()?;
        Ok(Some(Fence {
            promotion: control.promotion.unwrap_or_else(unknown),
            revision: entry.modified,
            checkpoint: read.filter(Checkpoint::is_whole).map(|checkpoint| checkpoint.revision),
            written_at: checkpoint.map(|entry| entry.modified),
        }))
    }
}

fn expect(entry: Option<&Entry<StandbyRevision>>) -> Expect {
    entry.map_or(Expect::Absent, |entry| Expect::ModifiedAt(entry.modified))
}
