//! The cluster that is written, under a guard only.

use std::fmt;
use std::sync::Arc;

use etcd_mvcc::{
    Commit, CommitTxn, Entry, Failure, FailureCause, FailureClass, Head, Key, KeyRange, Page,
};
use etcd_mvcc::{PageRequest, Position, ReadAlarms, ReadHead, ReadRange, StandbyRevision};
use etcd_mvcc::{Txn, WatchRange};

use crate::channel::Lane;
use crate::link::Link;
use crate::settings::{Settings, SettingsError};
use crate::txn;
use crate::watch::{self, Watch};

/// Below the prefix of our own keys, what the mirrored ones begin with that are parked there.
const PARKED: &str = "parked";

/// Tells whether a key is mirrored, and so may be written.
pub type Admits = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The standby: may be read and watched, and written through [`CommitTxn::commit`] alone. Cloning
/// is cheap, and clones share their connections.
#[derive(Clone)]
pub struct Standby {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    txns: Lane,
    own_prefix: Vec<u8>,
    /// Where mirrored keys are parked: of our own keys, only these are data.
    parked_prefix: Vec<u8>,
    admits: Admits,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").field("link", &self.shared.link).finish_non_exhaustive()
    }
}

impl Standby {
    /// Checks the settings. Connections are made when they are first needed.
    ///
    /// `own_prefix` is where this software keeps its own keys (`/etcd-sync/<mirror>/`); it also
    /// takes the place of [`Settings::probe_key`]. `admits` says which keys are mirrored, those that
    /// are parked among our own included: whatever a transaction is made of, every key in it is held
    /// against these two before it is sent.
    ///
    /// # Errors
    ///
    /// The settings make no sense; nothing was sent.
    pub fn new(
        mut settings: Settings,
        own_prefix: &str,
        admits: Admits,
    ) -> Result<Self, SettingsError> {
        if own_prefix.is_empty() {
            return Err(SettingsError::new("mirror-name", "the prefix of our own keys is empty"));
        }
        settings.probe_key = Key::from(own_prefix);
        let (link, endpoints) = Link::new(settings)?;
        let shared = Shared {
            link: Arc::new(link),
            txns: Lane::new(&endpoints),
            own_prefix: own_prefix.into(),
            parked_prefix: format!("{own_prefix}{PARKED}").into(),
            admits,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Asks one member for its version (`3.6.14`). Some versions of etcd answer root only.
    ///
    /// # Errors
    ///
    /// Whatever kept the member from answering. Nothing should depend on the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn version(&self) -> Result<String, Failure> {
        self.shared.link.version().await
    }

    /// Returns the size of the request that a transaction becomes, in bytes, exactly. Up to
    /// [`REQUEST_BYTES_MAX`](crate::REQUEST_BYTES_MAX), a cluster with etcd's defaults takes it.
    /// `usize::MAX` if no nesting makes it fit the limit of operations, [`Settings::max_txn_ops`]
    /// or what was learned since.
    #[must_use]
    pub fn request_bytes(&self, txn: &Txn) -> usize {
        txn::sized(txn, self.shared.link.txn_ops())
    }
}

impl Standby {
    /// Tells whether a key is this software's own.
    pub(crate) fn is_own(&self, key: &Key) -> bool {
        key.as_bytes().starts_with(&self.shared.own_prefix)
    }

    /// What reads go over.
    pub(crate) fn link(&self) -> &Link {
        &self.shared.link
    }

    /// What writes go over.
    pub(crate) fn lane(&self) -> (&Link, &Lane) {
        (&self.shared.link, &self.shared.txns)
    }
}

impl Shared {
    /// The last look at a transaction before it leaves.
    fn check(&self, txn: &Txn) -> Result<(), Failure> {
        let refused = |what: String| Err(Failure::new(FailureClass::Fatal, what));
        let own = |key: &Key| key.as_bytes().starts_with(&self.own_prefix);
        if !txn.guard.0.iter().any(|(key, _)| own(key)) {
            return refused("not sent: the transaction's guard names none of our own keys".into());
        }
        for write in &txn.writes {
            let key = write.op.key();
            let records = own(key) && !key.as_bytes().starts_with(&self.parked_prefix);
            if records || !(self.admits)(key.as_bytes()) {
                return refused(format!("not sent: the key {key} is out of scope"));
            }
        }
        match txn.own.iter().find(|op| !own(op.key())) {
            Some(op) => refused(format!("not sent: the key {} is not our own", op.key())),
            None => Ok(()),
        }
    }
}

/// No nesting makes the transaction fit a limit of operations: fewer have to do, if any can.
fn no_room(txn: &Txn, ops_max: usize) -> Failure {
    match txn::most(txn, ops_max) {
        0 => too_few_ops(ops_max),
        most => {
            let leaves = txn.writes.len() + txn.own.len();
            let cause = format!(
                "not sent: {leaves} operations are more than {most}, which is all that a \
                 --max-txn-ops of {ops_max} has room for"
            );
            let cause = Failure::new(FailureClass::TooLarge, cause);
            cause.because(FailureCause::Operations { max: Some(most) })
        }
    }
}

/// The limit of operations leaves no room for a guarded write.
fn too_few_ops(ops_max: usize) -> Failure {
    let cause = format!(
        "a limit of {ops_max} operations in a transaction leaves no room for a guarded write \
         (raise the standby's --max-txn-ops to 16 or more)"
    );
    Failure::new(FailureClass::Blocked, cause)
}

impl CommitTxn for Standby {
    /// Sends the transaction in one request, however many operations it has: nested, they count as
    /// one revision. A write with an expectation becomes a transaction of its own in there, so that
    /// it alone is skipped.
    async fn commit(&self, txn: Txn) -> Result<Commit, Failure> {
        let shared = &self.shared;
        shared.check(&txn)?;
        let link = &shared.link;
        let leaves = txn.writes.len() + txn.own.len();
        let mut txn = Some(txn);
        let (answer, shape) = loop {
            let Some(asked) = txn.take() else { return Err(too_few_ops(link.txn_ops())) };
            let ops_max = link.txn_ops();
            let Some(shape) = txn::shape(&asked, ops_max) else {
                return Err(no_room(&asked, ops_max));
            };
            // A limit that is not known yet may have to be learned from a refusal.
            if !link.takes_ops(shape.cost) {
                txn = Some(asked.clone());
            }
            let patience = link.writing(leaves, asked.size());
            let request = txn::build(asked, &shape);
            let answer = link
                .call(&shared.txns, patience, |mut member| {
                    let request = request.clone();
                    async move { member.clients.kv.txn(request).await }
                })
                .await;
            match answer {
                Ok(answer) => {
                    link.took_ops(shape.cost);
                    break (answer, shape);
                }
                Err(Failure { cause: FailureCause::Operations { .. }, .. })
                    if link.fewer_ops(ops_max) => {}
                Err(failure) => return Err(failure),
            }
        };
        txn::outcome(answer, &shape, leaves).map_err(|txn::Misfit| {
            let cause = "the answer to a transaction does not fit it";
            Failure { outcome_unknown: true, ..Failure::new(FailureClass::Fatal, cause) }
        })
    }
}

impl ReadHead for Standby {
    type Revision = StandbyRevision;

    async fn head(&self) -> Result<Head<StandbyRevision>, Failure> {
        self.shared.link.head().await
    }

    async fn position(&self) -> Result<Position<StandbyRevision>, Failure> {
        self.shared.link.position().await
    }

    fn repin(&self) {
        self.shared.link.repin();
    }
}

impl ReadAlarms for Standby {
    async fn alarms(&self) -> Result<Vec<String>, Failure> {
        self.shared.link.alarms().await
    }
}

impl ReadRange for Standby {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        self.shared.link.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.shared.link.read_keys(keys, at).await
    }
}

impl WatchRange for Standby {
    type Revision = StandbyRevision;
    type Stream = Watch<StandbyRevision>;

    async fn watch(
        &self,
        range: KeyRange,
        from: StandbyRevision,
    ) -> Result<Watch<StandbyRevision>, Failure> {
        watch::open(&self.shared.link, range, from).await
    }

    fn turn_away(&self) {
        self.shared.link.watches.turn_away_from_current();
    }
}
