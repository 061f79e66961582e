//! What to conclude from a comparison, and what to do about it.

use super::{CheckMode, CheckVerdict, Comparison, DifferenceKind};

/// The class of what must never happen; see the documentation of the check.
const ENGINE_DEFECT: &str = "engine-defect";

/// The class of what a live standby's own controllers rewrite.
const REWRITTEN: &str = "rewritten";

/// The class of what the mirror itself keeps off the standby.
const HELD_BACK: &str = "held-back";

/// A verdict, why, and what to do about it.
pub(super) struct Judgement {
    pub(super) verdict: CheckVerdict,
    pub(super) reason: String,
    pub(super) next_steps: Vec<String>,
}

/// Judges a comparison that came to its end.
///
/// Differences are drift, unless each of them is known to be what a live standby's own controllers
/// rewrite: those are told, and are no alarm. Without any other, keys that could not be settled, or no pair of revisions at
/// which the sides were compared, leave it open; only what is left is in sync.
pub(super) fn judge(found: &Comparison) -> Judgement {
    if found.count_all() > 0 && !is_all_rewritten(found) {
        drift(found)
    } else if found.unsettled > 0 {
        open(format!("of {} it could not be told whether they differ", keys(found.unsettled)))
    } else if let Some(at) = revisions(found) {
        let reason = match found.mode {
            CheckMode::Full => format!("the standby equals the primary at {at}"),
            CheckMode::KeysOnly => {
                format!("both sides have the same keys at {at}; VALUES WERE NOT COMPARED")
            }
            CheckMode::Unknown => {
                format!("no difference at {at}; WHETHER VALUES WERE COMPARED IS NOT KNOWN")
            }
        };
        in_sync(reason, found.different)
    } else {
        open("there was no pair of revisions to compare at".to_owned())
    }
}

/// Tells whether every difference is one that the standby's own controllers make for ever. A single
/// one of which that is not known speaks against it.
fn is_all_rewritten(found: &Comparison) -> bool {
    found.mode == CheckMode::Full
        && found.missed == 0
        && found.surplus == 0
        && found.classes.get(REWRITTEN) == Some(&found.different)
        && found.differences.iter().all(|difference| {
            difference.kind == DifferenceKind::Different && difference.class == REWRITTEN
        })
}

/// In sync, for this reason, but for as many keys that controllers rewrite.
fn in_sync(reason: String, rewritten: u64) -> Judgement {
    let verdict = CheckVerdict::InSync;
    if rewritten == 0 {
        return Judgement { verdict, reason, next_steps: Vec::new() };
    }
    let differ = if rewritten == 1 { "differs" } else { "differ" };
    let reason = format!(
        "{reason}, but for what the standby's own controllers rewrite: {} of such kinds {differ}",
        keys(rewritten)
    );
    let next_step = "nothing: a repair would write those keys over, and the standby's controllers \
                     would rewrite them";
    Judgement { verdict, reason, next_steps: vec![next_step.to_owned()] }
}

/// No answer, for this reason.
pub(super) fn open(reason: String) -> Judgement {
    let reason = if reason.trim().is_empty() {
        "the check did not say what came of it".to_owned()
    } else {
        reason
    };
    let next_steps = [
        "`etcd-sync status` says how the mirror is, and whether both clusters answer",
        "check again once it follows; until then, rely on nothing",
    ];
    let next_steps = next_steps.map(str::to_owned).to_vec();
    Judgement { verdict: CheckVerdict::Inconclusive, reason, next_steps }
}

fn drift(found: &Comparison) -> Judgement {
    let reason = format!(
        "{} at {}: {} missed, {} surplus, {} different",
        if found.count_all() == 1 {
            "1 key differs".to_owned()
        } else {
            format!("{} differ", keys(found.count_all()))
        },
        revisions(found).unwrap_or_else(|| "revisions that are not known".to_owned()),
        found.missed,
        found.surplus,
        found.different
    );
    let mut next_steps = Vec::new();
    if found.classes.get(ENGINE_DEFECT).is_some_and(|&count| count > 0) {
        next_steps.push(
            "a mirror's own write went wrong: keep this report and the mirror's log, and report \
             them as a defect before you repair anything",
        );
    }
    if found.classes.get(HELD_BACK).is_some_and(|&count| count > 0) {
        next_steps.push(
            "keys of the class held-back are kept off the standby, which would delete them: bring \
             into scope what they belong to, or take them out of scope",
        );
    }
    if found.missed > 0 || found.different > 0 {
        next_steps.push(
            "`etcd-sync repair --dry-run` shows what a repair would write to the standby, and \
             writes nothing",
        );
    }
    if found.surplus > 0 {
        next_steps.push(
            "surplus keys exist on the standby alone: find out who made them before anybody \
             deletes one; `etcd-sync repair --dry-run` shows what a repair would leave alone",
        );
    }
    next_steps.push("`etcd-sync status` says whether the mirror follows");
    let next_steps = next_steps.into_iter().map(str::to_owned).collect();
    Judgement { verdict: CheckVerdict::Drift, reason, next_steps }
}

/// Names the primary's revisions that were compared at, if any.
fn revisions(found: &Comparison) -> Option<String> {
    let all = || found.pins.iter().map(|pins| pins.primary_revision);
    let (first, last) = (all().min()?, all().max()?);
    Some(if first == last {
        format!("primary revision {first}")
    } else {
        format!("primary revisions {first} to {last}, one per range of keys")
    })
}

fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}
