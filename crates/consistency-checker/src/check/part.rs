//! One part of a check: its own comparison, retried where a read failed, pinned anew where
//! compaction overtook it.

use std::sync::{Mutex, PoisonError};

use etcd_mvcc::{PageSizes, PrimaryRevision, ReadRange, StandbyRevision};

use super::landmarks::Samples;
use super::pins::{PinSource, Pinned};
use super::view::{Part, View};
use super::{CheckSettings, Finding, Kind, Span, Totals};
use crate::patience::Patience;
use crate::{Cut, Diff, DiffError, Interrupted, Options, PrimarySide, StandbySide};

/// What one part has found.
#[derive(Debug, Default)]
pub(crate) struct PartOutcome {
    pub(crate) totals: Totals,
    pub(crate) findings: Vec<Finding>,
    pub(crate) spans: Vec<Span>,
    pub(crate) samples: Samples,
    /// Why the rest of the part could not be compared.
    pub(crate) undecided: Option<String>,
}

/// What a part is compared with.
pub(crate) struct Comparing<'a, P, S, N> {
    pub(crate) primary: &'a P,
    pub(crate) standby: &'a S,
    pub(crate) view: &'a View,
    pub(crate) pinned: &'a Pinned<'a, N>,
    pub(crate) settings: &'a CheckSettings,
    /// How large pages may get, as the parts learn it.
    pub(crate) learned: Mutex<PageSizes>,
}

impl<P, S, N> Comparing<'_, P, S, N>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    N: PinSource,
{
    /// Compares a part to its end, or to where nothing helps any more.
    pub(crate) async fn part(&self, part: Part) -> PartOutcome {
        let mut outcome = PartOutcome::default();
        let mut pins = self.pinned.current().await;
        let mut cut = None;
        loop {
            let ended = self.stretch(&part, pins, cut.clone(), &mut outcome).await;
            let interrupted = match ended {
                Ok(()) => {
                    let through = part.standby.end().cloned();
                    outcome.spans.push(Span { pins, through });
                    return outcome;
                }
                Err(DiffError::Compacted(interrupted)) => interrupted,
                Err(error) => {
                    outcome.undecided = Some(chain(&error));
                    return outcome;
                }
            };
            let Interrupted { side, reached, .. } = *interrupted;
            if reached != cut {
                let through = reached.as_ref().map(|cut| cut.standby.clone());
                outcome.spans.push(Span { pins, through });
            }
            cut = reached;
            pins = match self.pinned.renewed(pins, side).await {
                Ok(newer) => newer,
                Err(reason) => {
                    outcome.undecided = Some(reason.to_string());
                    return outcome;
                }
            };
        }
    }

    /// Compares what lies behind `cut`, at one pair.
    async fn stretch(
        &self,
        part: &Part,
        pins: crate::Pins,
        cut: Option<Cut>,
        outcome: &mut PartOutcome,
    ) -> Result<(), DiffError> {
        let learned = || self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let options = Options { sizes: *learned(), keys_only: self.settings.keys_only, after: cut };
        let PartOutcome { totals, findings, samples, .. } = outcome;
        let mut diff = Diff::new(
            PrimarySide {
                reader: self.primary,
                ranges: std::slice::from_ref(&part.primary),
                at: pins.primary,
                map: |key: &_| {
                    // What has its place elsewhere is compared there.
                    let placed = self.view.place(key).filter(|placed| part.holds(placed))?;
                    samples.pass(&placed);
                    Some(placed)
                },
            },
            StandbySide {
                reader: self.standby,
                ranges: std::slice::from_ref(&part.standby),
                at: pins.standby,
                admits: |key: &_| self.view.admits_standby(key),
            },
            &options,
        );
        let mut room = Kind::ALL.map(|kind| {
            let named = findings.iter().filter(|finding| finding.kind == kind).count();
            self.settings.named_max.saturating_sub(named)
        });
        let mut patience = Patience::default();
        let mut pages = 0;
        let ended = loop {
            let next = diff.next().await;
            if diff.pages() > pages {
                pages = diff.pages();
                patience.renew();
                *learned() = diff.page_sizes();
            }
            match next {
                Ok(Some(difference)) => {
                    let finding = Finding::new(difference, pins);
                    let room = room.iter_mut().zip(Kind::ALL).find(|(_, k)| *k == finding.kind);
                    if let Some((room, _)) = room.filter(|(room, _)| **room > 0) {
                        *room -= 1;
                        findings.push(finding);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) if patience.lasts(error.class()).await => {}
                Err(error) => break Err(error),
            }
        };
        totals.add(Totals::from(diff.summary()));
        ended
    }
}

/// An error and what it came from, on one line.
fn chain(error: &DiffError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
