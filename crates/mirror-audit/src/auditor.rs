//! One audit: pin, compare, look again where nothing is pinned, ask why, report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use consistency_checker::{
    Check, CheckSettings, Classifier, Confirmed, Finding, Landmarks, NotPinned, Outcome, PinSource,
    Pins, Progress, Verdict, View, confirm,
};
use etcd_mvcc::{PrimaryRevision, ReadHead, ReadRange, Side, StandbyRevision};
use futures::StreamExt as _;
use kube_encryption::Keyring;
use monitor_api::{CheckReport, Comparison};

use crate::evidence::MirrorEvidence;
use crate::history::prove;
use crate::opened::look_into;
use crate::pins::{MirrorPins, pair_at};
use crate::report;

/// How many keys are asked why they differ; the rest is named without a class. Each costs a few
/// dozen reads of single keys.
const CLASSIFIED_MAX: usize = 1_000;

/// How many of them at the same time.
const CLASSIFIED_AT_ONCE: usize = 8;

/// Two clusters without a pair are looked at again after this while, unless told otherwise: longer
/// than a change is on its way.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// How to audit.
#[derive(Clone, Debug, Default)]
pub struct AuditSettings {
    /// How to compare.
    pub check: CheckSettings,
    /// Report only what lasts this long; `None` for everything that differs at the pair.
    pub min_age: Option<Duration>,
}

/// Audits one mirror: its primary, its standby, and what it has recorded. It only reads.
#[derive(Debug)]
pub struct Auditor<P, S> {
    primary: P,
    standby: S,
    view: View,
    name: String,
    settings: AuditSettings,
    /// Where the last audit has seen the keyspace is best cut.
    landmarks: Mutex<Landmarks>,
    /// What opens encrypted values.
    keyring: Mutex<Option<Arc<Keyring>>>,
}

/// What the comparison rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// A mirror's pair: both sides must be equal.
    Pair,
    /// Both heads: what is on its way may differ.
    Heads,
}

impl<P, S> Auditor<P, S>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    /// Prepares to audit the mirror called `name`.
    #[must_use]
    pub fn new(primary: P, standby: S, view: View, name: &str, settings: AuditSettings) -> Self {
        let (landmarks, keyring) = (Mutex::default(), Mutex::default());
        Self { primary, standby, view, name: name.to_owned(), settings, landmarks, keyring }
    }

    /// Opens encrypted values with these keys from the next audit on, where they differ: to tell
    /// what a controller has rewritten, and what was only encrypted anew, from a changed object.
    /// Without keys all three look alike.
    pub fn open_with(&self, keyring: Option<Arc<Keyring>>) {
        *self.keyring.lock().unwrap_or_else(PoisonError::into_inner) = keyring;
    }

    pub(crate) fn sides(&self) -> (&P, &S) {
        (&self.primary, &self.standby)
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Compares at the newest pair that the mirror has written. While `refusal` says something,
    /// the answer is inconclusive, for that reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn at_newest_pair<G>(&self, refusal: G, progress: &Progress) -> CheckReport
    where
        G: Fn() -> Option<String> + Send + Sync,
    {
        if let Some(reason) = refusal() {
            return self.undecided(&NotPinned::Undecided(reason));
        }
        let primary = match self.primary.head().await {
            Ok(head) => head.cluster,
            Err(failure) => {
                return self.undecided(&NotPinned::Unread { side: Side::Primary, failure });
            }
        };
        let identity = (primary, self.view.scope().hash());
        let pins = MirrorPins::new(&self.standby, &self.name, identity, refusal);
        self.compare(&pins, Basis::Pair, progress).await
    }

    /// Compares at the pair that the mirror wrote when it had applied `revision`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn at_revision(&self, revision: PrimaryRevision, progress: &Progress) -> CheckReport {
        let unread = |failure| NotPinned::Unread { side: Side::Standby, failure };
        let pair = match self.standby.head().await.map_err(unread) {
            Ok(head) => pair_at(&self.standby, &self.name, revision, head.revision).await,
            Err(reason) => Err(reason),
        };
        match pair {
            Ok(pins) => self.compare(&Still(pins), Basis::Pair, progress).await,
            Err(reason) => self.undecided(&reason),
        }
    }

    /// Compares what both sides hold today, and looks again at whatever differs: for two clusters
    /// between which no mirror runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn at_heads(&self, progress: &Progress) -> CheckReport {
        let pins = Heads { primary: &self.primary, standby: &self.standby };
        self.compare(&pins, Basis::Heads, progress).await
    }

    async fn compare(
        &self,
        pins: &impl PinSource,
        basis: Basis,
        progress: &Progress,
    ) -> CheckReport {
        let began = (since_1970(), Instant::now());
        let landmarks = self.landmarks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let check = Check {
            primary: &self.primary,
            standby: &self.standby,
            view: &self.view,
            pins,
            settings: &self.settings.check,
            landmarks: &landmarks,
        };
        let mut outcome = check.run(progress).await;
        if outcome.landmarks != Landmarks::default() {
            let mut kept = self.landmarks.lock().unwrap_or_else(PoisonError::into_inner);
            kept.renew(&outcome.landmarks);
        }
        if let (Basis::Pair, Verdict::Drift) = (basis, &outcome.verdict) {
            for span in &outcome.spans {
                let proof = prove(&self.primary, &self.standby, &self.name, span.pins);
                if let Err(reason) = proof.await {
                    return self.undecided(&reason);
                }
            }
        }
        let mut unsettled = 0;
        let after = match basis {
            Basis::Pair => self.settings.min_age,
            Basis::Heads => Some(self.settings.min_age.unwrap_or(CONFIRM_AFTER)),
        };
        if let (Some(after), Verdict::Drift) = (after, &outcome.verdict) {
            let sides = (&self.primary, &self.standby);
            match confirm(sides, &self.view, pins, outcome, after).await {
                Ok(confirmed) => {
                    Confirmed { outcome, unsettled } = confirmed;
                }
                Err(reason) => return self.undecided(&reason),
            }
        }
        let keyring = self.keyring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(keyring) = keyring {
            let named = outcome.findings.iter_mut().take(CLASSIFIED_MAX);
            look_into(&keyring, (&self.primary, &self.standby), named).await;
        }
        self.classify(&mut outcome, basis).await;
        let found = report::comparison(&outcome, unsettled, self.blank(began));
        match outcome.verdict {
            Verdict::InSync | Verdict::Drift => CheckReport::judged(found),
            Verdict::Inconclusive(reason) => CheckReport::inconclusive(reason, found),
        }
    }

    /// Asks why each key differs, as of the pair at which it does.
    async fn classify(&self, outcome: &mut Outcome, basis: Basis) {
        let mut by_pair = BTreeMap::<StandbyRevision, Vec<&mut Finding>>::new();
        for finding in outcome.findings.iter_mut().take(CLASSIFIED_MAX) {
            by_pair.entry(finding.pins.standby).or_default().push(finding);
        }
        for (at, findings) in by_pair {
            let is_pair = basis == Basis::Pair;
            let evidence = MirrorEvidence::new(&self.standby, &self.name, at, is_pair);
            // What can't be read stays unattributed.
            let Ok(evidence) = evidence.await else { continue };
            let classifier = Classifier {
                standby: &self.standby,
                evidence: &evidence,
                grammar: self.view.scope().grammar(),
                readable: &outcome.envelopes,
            };
            futures::stream::iter(findings)
                .for_each_concurrent(CLASSIFIED_AT_ONCE, |finding| classifier.classify(finding))
                .await;
        }
    }

    fn undecided(&self, reason: &NotPinned) -> CheckReport {
        let found = self.blank((since_1970(), Instant::now()));
        CheckReport::inconclusive(reason.to_string(), found)
    }

    /// A report's frame: who was compared, how, and for how long.
    fn blank(&self, (started_at, began): (u64, Instant)) -> Comparison {
        Comparison {
            mirror: self.name.clone(),
            scope_hash: self.view.scope().hash().to_string(),
            mode: report::mode(self.settings.check.keys_only),
            started_at: Some(started_at),
            duration_seconds: began.elapsed().as_secs_f64(),
            ..Comparison::default()
        }
    }
}

/// One pair, and never a newer one.
struct Still(Pins);

impl PinSource for Still {
    async fn pin(&self) -> Result<Pins, NotPinned> {
        Ok(self.0)
    }
}

/// What both sides hold at the moment.
struct Heads<'a, P, S> {
    primary: &'a P,
    standby: &'a S,
}

impl<P, S> PinSource for Heads<'_, P, S>
where
    P: ReadHead<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision>,
{
    /// The standby last: what a mirror has brought over by then was on the primary before.
    async fn pin(&self) -> Result<Pins, NotPinned> {
        let unread = |side| move |failure| NotPinned::Unread { side, failure };
        let primary = self.primary.head().await.map_err(unread(Side::Primary))?;
        let standby = self.standby.head().await.map_err(unread(Side::Standby))?;
        Ok(Pins { primary: primary.revision, standby: standby.revision })
    }
}

fn since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
