//! The promotion fence, by itself.

use std::io::{self, IsTerminal as _};
use std::time::{SystemTime, UNIX_EPOCH};

use dr_plan::Timestamp;
use dr_plan::plan::Side;
use etcd_link::Standby;
use etcd_mvcc::Revision as _;
use mirror_config::{Exit, Failure, output};
use mirror_engine::orders::OrderError;
use mirror_engine::promotion::{self, Fence, FenceDigest};
use serde_json::json;

use crate::cli::Form;
use crate::files;
use crate::flags::FenceFlags;
use crate::interrupt::until_interrupted;
use crate::mirror::EtcdAt;
use crate::run::operator;
use crate::terminal;

/// Raises the fence, shows it, or takes it back.
pub(crate) fn fence(flags: &FenceFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let topology = files::topology(&flags.topology)?;
    let standby = EtcdAt { topology: &topology, side: Side::Standby }.mirrored()?;
    let name = &topology.mirror.name;
    if let Some(digest) = flags.release {
        return release(&standby, name, digest, form);
    }
    let fence = until_interrupted(async {
        let seen = promotion::fence(&standby, name).await.map_err(Failure::undecided)?;
        if seen.is_some() || flags.show {
            return Ok(seen);
        }
        if !flags.yes {
            confirm(&topology.standby.name).await?;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let raised = promotion::promote(&standby, name, &operator(), at).await;
        raised.map(Some).map_err(Failure::undecided)
    })?;
    match fence {
        Some(fence) => show(&fence, flags, form),
        None => not_promoted(form),
    }
}

/// Has whoever sits at the terminal type the standby's name.
async fn confirm(word: &str) -> Result<(), Failure> {
    let question = format!("Fence every mirror of {word} for good?");
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} stdin is no terminal: give --yes")));
    }
    let typed = terminal::ask(&format!("{question} Type {word} to go on: ")).await;
    if typed.is_some_and(|typed| typed.trim() == word) {
        return Ok(());
    }
    Err(Failure::refused("nothing was done: it was not confirmed"))
}

fn release(
    standby: &Standby,
    name: &str,
    digest: FenceDigest,
    form: Form,
) -> Result<Exit, Failure> {
    until_interrupted(async {
        promotion::take_back(standby, name, digest).await.map_err(|error| match error {
            OrderError::NotPromoted | OrderError::OtherFence(_) => Failure::refused(error),
            OrderError::Standby(_)
            | OrderError::Record(_)
            | OrderError::Raced
            | OrderError::Contended
            | OrderError::Promoted
            | OrderError::StandsStill => Failure::undecided(error),
        })
    })?;
    let reason = "taken back: a mirror may write there again";
    match form {
        Form::Json => output::json(&json!({
            "verdict": "released", "reason": reason, "next_steps": ["etcd-sync status"],
        }))?,
        Form::Text | Form::Markdown | Form::Html => output::result(&format!("{reason}\n"))?,
    }
    Ok(Exit::Done)
}

fn not_promoted(form: Form) -> Result<Exit, Failure> {
    let reason = "the standby is not promoted";
    match form {
        Form::Json => {
            output::json(&json!({ "verdict": "none", "reason": reason, "next_steps": [] }))?;
        }
        Form::Text | Form::Markdown | Form::Html => output::result(&format!("{reason}\n"))?,
    }
    Ok(Exit::Differs)
}

fn show(fence: &Fence, flags: &FenceFlags, form: Form) -> Result<Exit, Failure> {
    let at = Timestamp::from_ms(fence.promotion.at.saturating_mul(1_000));
    let (by, epoch, digest) = (&fence.promotion.by, fence.promotion.epoch, fence.digest());
    let release = flags.topology.command(&["fence", "--release", &digest.to_string()]);
    let checkpoint = fence.checkpoint.map(|revision| revision.get());
    let written_at = fence.written_at.map(|revision| revision.get());
    if form == Form::Json {
        output::json(&json!({
            "verdict": "promoted",
            "reason": format!("promoted by {by} at {at}"),
            "next_steps": [],
            "take_back": release,
            "by": by,
            "at": fence.promotion.at,
            "epoch": epoch,
            "standby_revision": fence.revision.get(),
            "pair": { "primary_revision": checkpoint, "standby_revision": written_at },
            "digest": digest.to_string(),
        }))?;
        return Ok(Exit::Done);
    }
    let pair = match (checkpoint, written_at) {
        (Some(checkpoint), Some(written)) => {
            format!("primary revision {checkpoint}, written at standby revision {written}")
        }
        _ => "none: the standby was not whole".to_owned(),
    };
    output::result(&format!(
        "promoted by  {by}\nat           {at}\nepoch        {epoch}\n\
         from         standby revision {}: nothing of a mirror's lands from there on\n\
         last pair    {pair}\ndigest       {digest}\ntaken back   {release}\n",
        fence.revision
    ))?;
    Ok(Exit::Done)
}
