//! The cluster that is read.

use std::sync::Arc;

use etcd_mvcc::{Entry, Failure, Head, Key, KeyRange, Page, PageRequest, PrimaryRevision};
use etcd_mvcc::{Position, ReadHead, ReadRange, WatchRange};

use crate::health::MemberHealth;
use crate::link::Link;
use crate::settings::{Settings, SettingsError};
use crate::watch::{self, Watch};

/// The primary: may be read and watched. There is no way to write to it. Cloning is cheap, and
/// clones share their connections.
#[derive(Clone, Debug)]
pub struct Primary {
    link: Arc<Link>,
}

impl Primary {
    /// Checks the settings. Connections are made when they are first needed.
    ///
    /// # Errors
    ///
    /// The settings make no sense; nothing was sent.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let (link, _) = Link::new(settings)?;
        Ok(Self { link: Arc::new(link) })
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
        self.link.version().await
    }

    /// Asks one member how it is; to hear of each, prepare one of these for each. It answers
    /// without a quorum too. Some versions of etcd answer root only.
    ///
    /// # Errors
    ///
    /// Whatever kept the member from answering.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn health(&self) -> Result<MemberHealth, Failure> {
        self.link.health().await
    }

    /// Returns the revision up to which the history is compacted: the oldest that can still be
    /// read. `None` if the history is whole.
    ///
    /// # Errors
    ///
    /// Whatever kept the cluster from answering.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn compacted(&self) -> Result<Option<PrimaryRevision>, Failure> {
        watch::compacted(&self.link).await
    }
}

impl ReadHead for Primary {
    type Revision = PrimaryRevision;

    async fn head(&self) -> Result<Head<PrimaryRevision>, Failure> {
        self.link.head().await
    }

    async fn position(&self) -> Result<Position<PrimaryRevision>, Failure> {
        self.link.position().await
    }

    fn repin(&self) {
        self.link.repin();
    }
}

impl ReadRange for Primary {
    type Revision = PrimaryRevision;

    async fn read_page(
        &self,
        request: PageRequest<PrimaryRevision>,
    ) -> Result<Page<PrimaryRevision>, Failure> {
        self.link.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<PrimaryRevision>,
    ) -> Result<Vec<Option<Entry<PrimaryRevision>>>, Failure> {
        self.link.read_keys(keys, at).await
    }
}

impl WatchRange for Primary {
    type Revision = PrimaryRevision;
    type Stream = Watch<PrimaryRevision>;

    async fn watch(
        &self,
        range: KeyRange,
        from: PrimaryRevision,
    ) -> Result<Watch<PrimaryRevision>, Failure> {
        watch::open(&self.link, range, from).await
    }

    fn turn_away(&self) {
        self.link.watches.turn_away_from_current();
    }
}
