//! `etcd-sync release`: what is parked goes to its own place, once the standby is promoted.

use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::orders::OrderError;
use mirror_engine::promotion::{InTheWay, Released, release_parked};
use serde_json::json;

use crate::orders::block_on;

/// Keys of each kind that the text names.
const SHOWN: usize = 20;

/// Moves what is parked, or says what would be moved.
pub(crate) fn release(config: &Config, policy: InTheWay, format: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let standby = parts::standby_for_release(config, scope.clone())?;
    let released = block_on(release_parked(&standby, &scope, config.name(), policy))?
        .map_err(|error| refused(&error))?;
    let stays = released.ownerless + released.strays;
    let left = match policy {
        InTheWay::Overwrite => stays,
        InTheWay::Keep => stays + released.in_the_way,
        InTheWay::Report => stays + released.in_the_way + released.moved,
    };
    let done = left == 0;
    match format {
        Format::Json => output::json(&report(&released, policy, done))?,
        Format::Text => output::result(&text(&released, policy))?,
    }
    Ok(if done { Exit::Done } else { Exit::Differs })
}

fn refused(error: &OrderError) -> Failure {
    match error {
        OrderError::NotPromoted => Failure::refused(format!(
            "{error}: what is parked is released after the promotion (`etcd-dr fence`)"
        )),
        OrderError::Promoted | OrderError::OtherFence(_) | OrderError::StandsStill => {
            Failure::refused(error)
        }
        OrderError::Standby(failure) => Failure::unanswered(failure, error),
        OrderError::Record(_) | OrderError::Raced | OrderError::Contended => {
            Failure::undecided(error)
        }
    }
}

fn report(released: &Released, policy: InTheWay, done: bool) -> serde_json::Value {
    let names = |keys: &[etcd_mvcc::Key]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "verdict": if done { "ok" } else { "action-needed" },
        "reason": said(released, policy),
        "next_steps": if done { vec![] } else { vec!["etcd-sync release --in-the-way overwrite"] },
        "moved": released.moved,
        "there": released.there,
        "in_the_way": released.in_the_way,
        "in_the_way_keys": names(&released.in_the_way_shown),
        "ownerless": released.ownerless,
        "ownerless_keys": names(&released.ownerless_shown),
        "strays": released.strays,
    })
}

fn said(released: &Released, policy: InTheWay) -> String {
    let moved = match policy {
        InTheWay::Report => "would be moved",
        InTheWay::Overwrite | InTheWay::Keep => "were moved",
    };
    format!("{} objects {moved}, {} were there already", released.moved, released.there)
}

fn text(released: &Released, policy: InTheWay) -> String {
    let mut text = said(released, policy);
    let mut name = |what: &str, count: u64, keys: &[etcd_mvcc::Key]| {
        if count > 0 {
            text.push_str(&format!("\n{what}: {count}"));
            keys.iter().take(SHOWN).for_each(|key| text.push_str(&format!("\n  {key}")));
        }
    };
    name("the standby's own were in the way", released.in_the_way, &released.in_the_way_shown);
    name("without an owner, still parked", released.ownerless, &released.ownerless_shown);
    name("parked, and held by no rule", released.strays, &[]);
    text.push('\n');
    text
}
