//! What encrypted values hold that differ, as far as somebody gave the keys.

use consistency_checker::{Facts, Finding};
use etcd_mvcc::{Entry, Failure, Key, PrimaryRevision, ReadRange, Revision, StandbyRevision};
use futures::future::join;
use kube_encryption::Keyring;

/// Adds to findings what their encrypted values hold. Each value is read once more, at the revision
/// at which it differs, and let go: only facts stay. What can't be read or opened stays as it was.
pub(crate) async fn look_into<P, S>(
    keyring: &Keyring,
    (primary, standby): (&P, &S),
    findings: impl Iterator<Item = &mut Finding>,
) where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
{
    for finding in findings {
        let (Some(source), Some(there), Some(here)) =
            (&finding.source, &mut finding.primary, &mut finding.standby)
        else {
            continue;
        };
        if there.facts.envelope.is_none() || here.facts.envelope.is_none() {
            continue;
        }
        let (primary, standby) = join(
            read(primary, source, finding.pins.primary),
            read(standby, &finding.key, finding.pins.standby),
        )
        .await;
        // A value that is parked is bound to the place that it is parked for.
        let opened = (open(keyring, source, primary), open(keyring, source, standby));
        // What is known of one side alone would only look different.
        if let (Some(opened_there), Some(opened_here)) = opened {
            (there.facts, here.facts) = (opened_there, opened_here);
        }
    }
}

async fn read<R>(
    side: &R,
    key: &Key,
    at: R::Revision,
) -> Result<Option<Entry<R::Revision>>, Failure>
where
    R: ReadRange,
{
    let entries = side.read_keys(std::slice::from_ref(key), Some(at)).await?;
    Ok(entries.into_iter().next().flatten())
}

fn open<R>(keyring: &Keyring, key: &Key, held: Result<Option<Entry<R>>, Failure>) -> Option<Facts>
where
    R: Revision,
{
    let value = held.ok()??.value;
    let facts = Facts::of(&value);
    keyring.look(key.as_bytes(), value.expose(), |content| facts.opened(content))
}
