//! What the operator wants, as it is written down on the standby.

use etcd_mvcc::Value;
use serde::{Deserialize, Serialize};

use crate::promotion::Promotion;
use crate::record::{RecordError, VERSION, known, parse, write};
use crate::repair::{OrderText, RepairOrder};

/// What the operator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The state to be in.
    pub desired: Desired,
    /// The digest of a plan that may be carried out although a guard stopped it.
    pub accept: Option<String>,
    /// The newest order to repair, whether it was looked at or not.
    pub repair: Option<RepairOrder>,
    /// Who has promoted the standby, while it is.
    pub promotion: Option<Promotion>,
}

/// The state that the operator wants the mirror to be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Desired {
    /// Mirror.
    #[default]
    Run,
    /// Stand still.
    Pause,
    /// The standby has become a primary: never write again.
    Promoted,
}

#[derive(Serialize, Deserialize)]
struct ControlText {
    version: u32,
    desired: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repair: Option<OrderText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promotion: Option<Promotion>,
}

impl Control {
    /// Writes the record down.
    #[must_use]
    pub fn encode(&self) -> Value {
        let desired = match self.desired {
            Desired::Run => "run",
            Desired::Pause => "pause",
            Desired::Promoted => "promoted",
        };
        write(&ControlText {
            version: VERSION,
            desired: desired.to_owned(),
            accept: self.accept.clone(),
            repair: self.repair.as_ref().map(OrderText::from),
            promotion: self.promotion.clone(),
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: ControlText = parse("control record", value)?;
        known("control record", text.version, VERSION)?;
        let desired = match text.desired.as_str() {
            "run" => Desired::Run,
            "pause" => Desired::Pause,
            "promoted" => Desired::Promoted,
            other => return Err(RecordError(format!("the control record wants {other:?}"))),
        };
        let repair = text.repair.map(OrderText::into_order).transpose()?;
        Ok(Self { desired, accept: text.accept, repair, promotion: text.promotion })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_record_without_a_repair_reads_as_it_always_did() {
        let old = Value::from(r#"{"version":1,"desired":"pause","accept":"5eed"}"#);
        let control = Control::decode(&old).unwrap();
        let accept = Some("5eed".to_owned());
        assert_eq!(control, Control { desired: Desired::Pause, accept, ..Control::default() });
        assert_eq!(control.encode(), old);
    }

    #[test]
    fn a_control_record_carries_an_order_to_repair() {
        let value = Value::from(concat!(
            r#"{"version":1,"desired":"run","repair":{"order":3,"kinds":["missed","surplus"],"#,
            r#""digest":"0123456789abcdef0123456789abcdef"}}"#
        ));
        let control = Control::decode(&value).unwrap();
        let order = control.repair.unwrap();
        assert_eq!((order.id, order.kinds.to_string().as_str()), (3, "missed, surplus"));
        assert_eq!(control.encode(), value);
    }
}
