//! Exports what one cluster alone has written since the roles changed.

use std::io;
use std::path::PathBuf;

use dr_plan::Answer;
use dr_plan::plan::Side;
use dr_plan::runner::Acted;
use etcd_link::{Primary, Standby};
use etcd_mvcc::{
    Change, Failure, FailureClass, Key, PrimaryRevision, ReadHead as _, Revision as _,
    StandbyRevision, Walk, WalkLimits,
};
use mirror_engine::history::{Judgement, ProofError, prove_stored};
use mirror_engine::orders::read_state;
use mirror_engine::{Checkpoint, OwnKeys, promotion};
use sha2::{Digest as _, Sha256};

use super::Etcds;
use super::bundle::{BundleError, Manifest, Source, Subject, Writer, hex, verify};
use super::history::replay;
use super::parted::{Absent, Parted};
use super::status::since_1970;
use super::words::{fails, holds, unknown, unread};

/// How often it is looked anew at a cluster that has been written to meanwhile. Its API refuses
/// writers, so a second time is enough, unless somebody goes on beneath it.
const ATTEMPTS: usize = 5;

/// The cluster whose writes are looked for, and the one that had mirrored it.
struct Former {
    cluster: Primary,
    follower: Standby,
    /// Up to here the follower had everything.
    checkpoint: Checkpoint,
    /// The follower's revision at which it was so.
    written_at: StandbyRevision,
}

impl Etcds {
    /// Writes the bundle.
    pub(super) async fn export_writes(&self, side: Side, path: &str) -> Acted {
        match self.export(side, path).await {
            Ok(manifest) => {
                tracing::info!("{path}: {}", manifest.told());
                Acted::Accepted
            }
            Err(why) => Acted::Refused(why),
        }
    }

    async fn export(&self, side: Side, path: &str) -> Result<Manifest, String> {
        let former = self.former(side).await.map_err(|answer| answer.evidence)?;
        for _ in 0..ATTEMPTS {
            // Looked at before and after: in between, whatever is read shows the same.
            let state = self.state(&former).await.map_err(told)?;
            let (writer, until, source) = self.collect(&former, path).await?;
            if self.state(&former).await.map_err(told)? != state {
                continue;
            }
            let subject = Subject {
                cluster: self.cluster(side).name.clone(),
                cluster_id: former.checkpoint.cluster.to_string(),
                after: former.checkpoint.revision,
                until,
                source,
                state_sha256: state,
                written_at_ms: u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX),
            };
            return writer.finish(subject).map_err(told);
        }
        let name = &self.cluster(side).name;
        Err(format!(
            "{name} is written to: {ATTEMPTS} times it was not the same any more when its writes were \
             exported; stop whoever writes beneath its API"
        ))
    }

    /// Writes down what there is, up to now.
    async fn collect(
        &self,
        former: &Former,
        path: &str,
    ) -> Result<(Writer, PrimaryRevision, Source), String> {
        let folder = self.bundle_folder(path);
        let begin =
            || Writer::begin(&folder).map_err(|error| format!("{}: {error}", folder.display()));
        let until = former.cluster.head().await.map_err(told)?.revision;
        let mut writer = begin()?;
        match self.replayed(former, until, &mut writer).await {
            Ok(()) => return Ok((writer, until, Source::History)),
            Err(failure) if failure.class == FailureClass::Resync => {}
            Err(failure) => return Err(told(failure)),
        }
        let mut writer = begin()?;
        self.compared(former, until, &mut writer).await.map_err(told)?;
        Ok((writer, until, Source::Comparison))
    }

    /// Looks up where the two clusters parted: the last pair of the mirror that ran from `side` to
    /// the other.
    ///
    /// # Errors
    ///
    /// It can't be told, or there is none that a bundle could begin with: no, or unknown.
    async fn former(&self, side: Side) -> Result<Former, Answer> {
        let other = match side {
            Side::Primary => Side::Standby,
            Side::Standby => Side::Primary,
        };
        let (name, follower_name) = (&self.cluster(side).name, &self.cluster(other).name);
        let cluster = self.reader(side).map_err(|wrong| unknown(wrong.message))?;
        let follower = self.at(other).mirrored().map_err(|wrong| unknown(wrong.message))?;
        let stored = read_state(&follower, self.name()).await;
        let stored = stored.map_err(|error| unknown(error.to_string()))?;
        let (Some(checkpoint), Some(written_at)) = (stored.checkpoint, stored.written_at) else {
            return Err(fails(format!(
                "{follower_name} has no checkpoint of a mirror: {name} was never mirrored there"
            )));
        };
        if let Some(other) = self.other_scope(&checkpoint) {
            return Err(fails(other));
        }
        match promotion::fence(&follower, self.name()).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                return Err(fails(format!(
                    "{follower_name} is not promoted: its mirror may go on"
                )));
            }
            Err(error) => return Err(unknown(error.to_string())),
        }
        let no_bundle = |why: String| {
            fails(format!("{name} {why}; keep a snapshot of its etcd instead of a bundle"))
        };
        if !checkpoint.is_whole() {
            // Whatever the follower had, it had not all: there is nothing that could be told apart.
            let why = format!("was promoted over: {follower_name} was not whole then");
            return Err(no_bundle(why));
        }
        match prove_stored(&cluster, &follower, self.name(), None).await {
            Ok(Some(Judgement::Proven(_))) => {}
            Ok(Some(Judgement::Refuted(refutation))) => {
                return Err(no_bundle(format!(
                    "is not the history that was mirrored: {}",
                    refutation.evidence
                )));
            }
            Ok(Some(Judgement::Undecided(reason))) => {
                return Err(unknown(format!("whether {name} is what was mirrored: {reason}")));
            }
            Ok(None) => return Err(unknown(format!("{follower_name} has lost its checkpoint"))),
            Err(ProofError::Unread { failure, .. }) => return Err(unread(name, &failure)),
            Err(ProofError::Record(error)) => return Err(unknown(error.to_string())),
        }
        Ok(Former { cluster, follower, checkpoint, written_at })
    }

    async fn replayed(
        &self,
        former: &Former,
        until: PrimaryRevision,
        writer: &mut Writer,
    ) -> Result<(), Failure> {
        let each = |group: etcd_mvcc::Group<PrimaryRevision>| {
            let mut changes = group.changes.iter();
            let admitted = changes.by_ref().filter(|change| self.admits(change.key()));
            for change in admitted {
                writer.add(change).map_err(unwritten)?;
            }
            Ok(())
        };
        replay(&former.cluster, former.checkpoint.revision, until, each).await
    }

    /// Where the history is compacted, both clusters are asked what they hold.
    async fn compared(
        &self,
        former: &Former,
        until: PrimaryRevision,
        writer: &mut Writer,
    ) -> Result<(), Failure> {
        let parted = Parted {
            scope: &self.scope,
            cluster: &former.cluster,
            checkpoint: &former.checkpoint,
            follower: &former.follower,
            own: &OwnKeys::new(self.name()),
            written_at: former.written_at,
        };
        parted.puts(|change| writer.add(change).map_err(unwritten)).await?;
        let absent = |key: &Key, absent| {
            let written = match absent {
                Absent::Deleted => {
                    writer.add(&Change::Delete { key: key.clone(), modified: until })
                }
                Absent::Undecided => writer.add_undecided(key, until),
            };
            written.map_err(unwritten)
        };
        parted.absent(absent).await
    }

    fn admits(&self, key: &Key) -> bool {
        self.scope.admits(key.as_bytes())
    }

    fn bundle_folder(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Whether the bundle is whole, is of the old cluster since the roles changed, and nothing was
    /// written there after it.
    pub(super) async fn bundle_written(&self, path: &str) -> Answer {
        let manifest = match verify(&self.bundle_folder(path)) {
            Ok(manifest) => manifest,
            Err(error @ (BundleError::Absent | BundleError::Damaged(_))) => {
                return fails(format!("{path}: {error}"));
            }
            Err(error @ BundleError::Unreadable(..)) => return unknown(format!("{path}: {error}")),
        };
        let former = match self.former(Side::Standby).await {
            Ok(former) => former,
            Err(answer) => return answer,
        };
        let told = manifest.told();
        if manifest.cluster_id != former.checkpoint.cluster.to_string()
            || manifest.after_revision != former.checkpoint.revision.get()
        {
            return fails(format!("{path} is of another time: {told}"));
        }
        match self.state(&former).await {
            Ok(state) if state == manifest.state_sha256 => holds(told),
            Ok(_) => fails(format!("{told}; it was written to since")),
            Err(failure) => unknown(failure.to_string()),
        }
    }

    /// The digest of every key in scope and its newest revision. A key that was deleted is missing
    /// in it, so whatever is written changes it. It is read at no revision, which could be compacted
    /// meanwhile: of a cluster that is written to it is the digest of no moment, and of none again.
    async fn state(&self, former: &Former) -> Result<String, Failure> {
        let mut state = Sha256::new();
        let mut walk = Walk::new(self.scope.primary_ranges(), WalkLimits::default(), true);
        while let Some(page) = walk.next_page(&former.cluster, None).await? {
            for entry in page.entries.iter().filter(|entry| self.admits(&entry.key)) {
                state.update(entry.key.len().to_be_bytes());
                state.update(entry.key.as_bytes());
                state.update(entry.modified.get().to_be_bytes());
            }
        }
        Ok(hex(state))
    }
}

fn unwritten(error: io::Error) -> Failure {
    Failure::new(FailureClass::Fatal, format!("the bundle can't be written: {error}"))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
