//! A comparison of both clusters: how it is told, asked for and remembered. Who compares, and how,
//! is none of this crate's business.

mod book;
mod comparison;
mod judge;
mod printable;
mod query;
mod report;
mod runs;
mod text;
mod totals;
mod words;

pub use self::comparison::{Comparison, DifferenceReport, PinsReport};
pub(crate) use self::printable::one_line;
pub use self::printable::printable_key;
pub use self::query::{CheckFormat, CheckQuery, QueryError};
pub use self::report::CheckReport;
pub use self::runs::Checks;
pub(crate) use self::text::TextParts;
pub(crate) use self::totals::DURATION_ENDS;
pub use self::totals::{CheckTotals, Conclusion};
pub use self::words::{CheckMode, CheckVerdict, DifferenceKind};
