//! A repair as it is ordered and as it is accounted for, on the standby.

use etcd_mvcc::{Key, PrimaryRevision, Revision, StandbyRevision, Value};
use serde::{Deserialize, Serialize};

use super::digest::RepairDigest;
use super::kinds::{RepairCounts, RepairKinds};
use crate::record::{KeyText, RecordError, VERSION, known, parse, write};

/// An order to repair, in the control record. A newer one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairOrder {
    /// Tells this order from every other: an order is carried out at most once.
    pub id: u64,
    /// What to mend.
    pub kinds: RepairKinds,
    /// What the operator has seen and accepted.
    pub digest: RepairDigest,
}

/// What became of an order: the last one that was looked at.
///
/// It has a key of its own, `/etcd-sync/<mirror>/repair`, and is written in the same transaction
/// as the data that it speaks of, so that no restart can repeat a repair or forget that it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairRecord {
    /// The order's [`RepairOrder::id`].
    pub order: u64,
    /// The digest that was accepted.
    pub digest: RepairDigest,
    /// The kinds that were asked for.
    pub kinds: RepairKinds,
    /// How far it came.
    pub outcome: RepairOutcome,
    /// Why it was refused or failed, or what is left to say of it; empty if nothing is.
    pub reason: String,
    /// The digest that was found instead, if that is why it was refused.
    pub found: Option<RepairDigest>,
    /// The primary's revision that was compared: the checkpoint's. 0 if none was.
    pub revision: PrimaryRevision,
    /// The standby's revision that was compared. 0 if none was.
    pub standby_revision: StandbyRevision,
    /// The keys to mend, by kind.
    pub planned: RepairCounts,
    /// The keys that were mended, by kind. If the mirror did not hear what became of a
    /// transaction, all of that one count.
    pub written: RepairCounts,
    /// Keys that somebody else wrote after they were compared: they were left alone.
    pub skipped: u64,
}

/// How far a repair came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairOutcome {
    /// It is being carried out. A mirror that starts goes on with it from here.
    Begun(RepairPosition),
    /// It was carried out.
    Done,
    /// It was not carried out: nothing was written.
    Refused,
    /// It was begun and could not be carried out to its end. What was written stays.
    Failed,
}

impl RepairOutcome {
    /// The word for it in status and reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Begun(_) => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Tells whether nothing more comes of it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Begun(_))
    }
}

/// Where a repair stands: values are written first, in key order, then keys are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairPosition {
    /// All values are written; keys are being deleted.
    pub deleting: bool,
    /// The first key, as the standby spells it, that is not done; of those that did not have to
    /// wait for others.
    pub cursor: Key,
    /// How many of those that had to wait for others are done.
    pub waited: u64,
}

/// A repair order, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OrderText {
    order: u64,
    kinds: Vec<String>,
    digest: String,
}

#[derive(Default, Serialize, Deserialize)]
struct CountsText {
    #[serde(default)]
    missed: u64,
    #[serde(default)]
    surplus: u64,
    #[serde(default)]
    different: u64,
}

#[derive(Serialize, Deserialize)]
struct PositionText {
    deleting: bool,
    cursor: KeyText,
    #[serde(default, skip_serializing_if = "is_zero")]
    waited: u64,
}

// A field's predicate is handed a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize, Deserialize)]
struct RepairText {
    version: u32,
    #[serde(flatten)]
    order: OrderText,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<PositionText>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    revision: i64,
    standby_revision: i64,
    planned: CountsText,
    written: CountsText,
    #[serde(default)]
    skipped: u64,
}

impl From<RepairCounts> for CountsText {
    fn from(counts: RepairCounts) -> Self {
        let RepairCounts { missed, different, surplus } = counts;
        Self { missed, surplus, different }
    }
}

impl From<CountsText> for RepairCounts {
    fn from(text: CountsText) -> Self {
        let CountsText { missed, surplus, different } = text;
        Self { missed, different, surplus }
    }
}

impl From<&RepairOrder> for OrderText {
    fn from(order: &RepairOrder) -> Self {
        Self {
            order: order.id,
            kinds: order.kinds.words().into_iter().map(ToOwned::to_owned).collect(),
            digest: order.digest.to_string(),
        }
    }
}

impl OrderText {
    pub(crate) fn into_order(self) -> Result<RepairOrder, RecordError> {
        let kinds = RepairKinds::from_words(&self.kinds)
            .map_err(|word| RecordError(format!("a repair can't mend {word:?}")))?;
        Ok(RepairOrder { id: self.order, kinds, digest: read_digest(&self.digest)? })
    }
}

fn read_digest(text: &str) -> Result<RepairDigest, RecordError> {
    text.parse().map_err(|error| RecordError(format!("a repair's digest can't be read: {error}")))
}

impl RepairRecord {
    /// Begins the account of an order.
    pub(crate) fn new(order: RepairOrder, revision: PrimaryRevision) -> Self {
        Self {
            order: order.id,
            digest: order.digest,
            kinds: order.kinds,
            outcome: RepairOutcome::Begun(RepairPosition::default()),
            reason: String::new(),
            found: None,
            revision,
            standby_revision: StandbyRevision::default(),
            planned: RepairCounts::default(),
            written: RepairCounts::default(),
            skipped: 0,
        }
    }

    /// Writes the record down.
    #[must_use]
    pub fn encode(&self) -> Value {
        let order = RepairOrder { id: self.order, kinds: self.kinds, digest: self.digest };
        let position = match &self.outcome {
            RepairOutcome::Begun(position) => Some(PositionText {
                deleting: position.deleting,
                waited: position.waited,
                cursor: KeyText::from(&position.cursor),
            }),
            RepairOutcome::Done | RepairOutcome::Refused | RepairOutcome::Failed => None,
        };
        write(&RepairText {
            version: VERSION,
            order: OrderText::from(&order),
            outcome: self.outcome.as_str().to_owned(),
            position,
            reason: self.reason.clone(),
            found: self.found.map(|found| found.to_string()),
            revision: self.revision.get(),
            standby_revision: self.standby_revision.get(),
            planned: self.planned.into(),
            written: self.written.into(),
            skipped: self.skipped,
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: RepairText = parse("repair record", value)?;
        known("repair record", text.version, VERSION)?;
        let outcome = match (text.outcome.as_str(), text.position) {
            ("begun", Some(PositionText { deleting, cursor, waited })) => {
                let cursor = cursor.into_key()?;
                RepairOutcome::Begun(RepairPosition { deleting, cursor, waited })
            }
            ("done", _) => RepairOutcome::Done,
            ("refused", _) => RepairOutcome::Refused,
            ("failed", _) => RepairOutcome::Failed,
            (outcome, _) => {
                return Err(RecordError(format!(
                    "the repair's outcome {outcome:?} makes no sense"
                )));
            }
        };
        let order = text.order.into_order()?;
        Ok(Self {
            order: order.id,
            digest: order.digest,
            kinds: order.kinds,
            outcome,
            reason: text.reason,
            found: text.found.as_deref().map(read_digest).transpose()?,
            revision: PrimaryRevision::new(text.revision),
            standby_revision: StandbyRevision::new(text.standby_revision),
            planned: text.planned.into(),
            written: text.written.into(),
            skipped: text.skipped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(outcome: RepairOutcome) -> RepairRecord {
        RepairRecord {
            order: 3,
            digest: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            kinds: RepairKinds::default(),
            outcome,
            reason: String::new(),
            found: None,
            revision: PrimaryRevision::new(70),
            standby_revision: StandbyRevision::new(90),
            planned: RepairCounts { missed: 2, different: 1, surplus: 1 },
            written: RepairCounts { missed: 2, different: 0, surplus: 0 },
            skipped: 1,
        }
    }

    #[test]
    fn the_written_form_is_what_stored_records_hold() {
        let position = RepairPosition { deleting: true, cursor: Key::from("/a"), waited: 0 };
        assert_eq!(
            String::from_utf8_lossy(record(RepairOutcome::Begun(position)).encode().expose()),
            concat!(
                r#"{"version":1,"order":3,"kinds":["missed","stale","different"],"#,
                r#""digest":"0123456789abcdef0123456789abcdef","outcome":"begun","#,
                r#""position":{"deleting":true,"cursor":"/a"},"revision":70,"#,
                r#""standby_revision":90,"planned":{"missed":2,"surplus":1,"different":1},"#,
                r#""written":{"missed":2,"surplus":0,"different":0},"skipped":1}"#
            )
        );
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        let position =
            RepairPosition { deleting: false, cursor: Key::from(vec![0xff, 0]), waited: 7 };
        let outcomes = [
            RepairOutcome::Begun(position),
            RepairOutcome::Done,
            RepairOutcome::Refused,
            RepairOutcome::Failed,
        ];
        for outcome in outcomes {
            let mut record = record(outcome);
            record.reason = "the world has moved".into();
            record.found = Some("fedcba9876543210fedcba9876543210".parse().unwrap());
            assert_eq!(RepairRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused() {
        let text = String::from_utf8(record(RepairOutcome::Done).encode().expose().to_vec());
        let text = text.unwrap();
        for (from, to) in
            [("done", "begun"), ("\"version\":1", "\"version\":2"), ("stale", "all"), ("0123", "x")]
        {
            let spoilt = Value::from(text.replacen(from, to, 1).as_str());
            assert!(RepairRecord::decode(&spoilt).is_err(), "{from} became {to}");
        }
    }
}
