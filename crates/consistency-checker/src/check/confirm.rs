//! Looking again: where nothing pins a pair, or only what lasts is of interest.
//!
//! Two clusters read at their heads differ in whatever is on its way between them. So a key is
//! reported only if it differs again after a while, and neither side has written it in between. A
//! key that keeps changing can't be judged, and is counted as unsettled.

use std::time::Duration;

use etcd_mvcc::{
    Entry, Failure, FailureClass, Key, PrimaryRevision, ReadRange, Side, StandbyRevision,
};
use futures::future::join;
use tokio::time::sleep;

use super::{Finding, Held, Kind, NotPinned, Outcome, PinSource, Totals, Verdict, View};
use crate::Pins;

/// Keys asked for in one request, below etcd's limit of operations in a transaction.
const KEYS_PER_READ: usize = 100;

/// How often a key that keeps changing is looked at again.
const ROUNDS: usize = 5;

/// What lasts.
#[derive(Debug)]
pub struct Confirmed {
    /// The outcome, with only what was found again.
    pub outcome: Outcome,
    /// Keys that were written between any two looks: nobody can say whether they agree.
    pub unsettled: u64,
}

/// Looks again at what a check has found, `after` a while, and again at keys that have changed
/// meanwhile. Keys that were counted but not named are not looked at and stay counted.
///
/// # Errors
///
/// A side could not be read, or not be pinned.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn confirm<P, S, N>(
    (primary, standby): (&P, &S),
    view: &View,
    pins: &N,
    mut outcome: Outcome,
    after: Duration,
) -> Result<Confirmed, NotPinned>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    N: PinSource,
{
    let mut open = std::mem::take(&mut outcome.findings);
    let mut confirmed = Vec::new();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        sleep(after).await;
        let mut changed = Vec::new();
        let looking = std::mem::take(&mut open);
        for chunk in looking.chunks(KEYS_PER_READ) {
            let looked = look((primary, standby), view, pins, chunk).await?;
            for (before, now) in chunk.iter().zip(looked) {
                match now {
                    None => settle(&mut outcome.totals, before.kind),
                    Some(now) if is_same(before, &now) => confirmed.push(now),
                    Some(now) => {
                        settle(&mut outcome.totals, before.kind);
                        count(&mut outcome.totals, now.kind);
                        changed.push(now);
                    }
                }
            }
        }
        open = changed;
    }
    for finding in &open {
        settle(&mut outcome.totals, finding.kind);
    }
    let unsettled = u64::try_from(open.len()).unwrap_or(u64::MAX);
    confirmed.sort_by(|a, b| a.key.cmp(&b.key));
    outcome.findings = confirmed;
    if outcome.verdict == Verdict::Drift && outcome.totals.is_clean() {
        outcome.verdict = if unsettled > 0 {
            let reason = format!("{unsettled} keys change faster than they can be compared");
            Verdict::Inconclusive(reason)
        } else {
            Verdict::InSync
        };
    }
    Ok(Confirmed { outcome, unsettled })
}

fn settle(totals: &mut Totals, kind: Kind) {
    let total = of(totals, kind);
    *total = total.saturating_sub(1);
}

fn count(totals: &mut Totals, kind: Kind) {
    *of(totals, kind) += 1;
}

fn of(totals: &mut Totals, kind: Kind) -> &mut u64 {
    match kind {
        Kind::Missed => &mut totals.missed,
        Kind::Surplus => &mut totals.surplus,
        Kind::Different => &mut totals.different,
    }
}

/// Nothing was written on either side between two looks.
fn is_same(before: &Finding, now: &Finding) -> bool {
    let modified = |finding: &Finding| {
        (
            finding.primary.as_ref().map(|held| held.modified),
            finding.standby.as_ref().map(|held| held.modified),
        )
    };
    before.kind == now.kind && modified(before) == modified(now)
}

/// Reads keys on both sides at a pair of today: a finding for each that still differs.
async fn look<P, S, N>(
    (primary, standby): (&P, &S),
    view: &View,
    pins: &N,
    findings: &[Finding],
) -> Result<Vec<Option<Finding>>, NotPinned>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    N: PinSource,
{
    /// Compaction may overtake one pair, not one after the other.
    const ATTEMPTS: usize = 5;

    let scope = view.scope();
    let there: Vec<Key> = findings
        .iter()
        .map(|finding| finding.source.clone().or_else(|| scope.primary_spelling(&finding.key)))
        .map(Option::unwrap_or_default)
        .collect();
    let here: Vec<Key> = findings.iter().map(|finding| finding.key.clone()).collect();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let at = pins.pin().await?;
        let read = join(
            primary.read_keys(&there, Some(at.primary)),
            standby.read_keys(&here, Some(at.standby)),
        );
        match read.await {
            (Ok(primary), Ok(standby)) => {
                // What lies where keys are parked and has no business there is nobody's place.
                let is_place = |key: &Key| scope.primary_key(key).is_some();
                let placed = primary.into_iter().zip(&here);
                let primary = placed.map(|(entry, key)| entry.filter(|_| is_place(key)));
                let pairs: Vec<_> = primary.zip(standby).collect();
                let spelt = there.into_iter().zip(here);
                return Ok(spelt
                    .zip(pairs)
                    .map(|((source, key), held)| compared(source, key, held, at))
                    .collect());
            }
            (Err(failure), _) => last = Some((Side::Primary, failure)),
            (_, Err(failure)) => last = Some((Side::Standby, failure)),
        }
        if last.as_ref().is_some_and(|(_, failure)| failure.class != FailureClass::Resync) {
            break;
        }
    }
    let (side, failure) = last
        .unwrap_or_else(|| (Side::Primary, Failure::new(FailureClass::Fatal, "nothing was read")));
    Err(NotPinned::Unread { side, failure })
}

fn compared(
    source: Key,
    key: Key,
    (primary, standby): (Option<Entry<PrimaryRevision>>, Option<Entry<StandbyRevision>>),
    pins: Pins,
) -> Option<Finding> {
    let kind = match (&primary, &standby) {
        (None, None) => return None,
        (Some(_), None) => Kind::Missed,
        (None, Some(_)) => Kind::Surplus,
        (Some(primary), Some(standby)) if primary.value == standby.value => return None,
        (Some(_), Some(_)) => Kind::Different,
    };
    let source = primary.is_some().then_some(source);
    let held = (primary.as_ref().map(Held::from), standby.as_ref().map(Held::from));
    Some(Finding::held(kind, key, source, held, pins))
}
