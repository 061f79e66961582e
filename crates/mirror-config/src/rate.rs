//! A rate of reading.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rate in bytes per second, written like `50MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Rate(pub NonZeroU64);

/// Units of two kinds: by 1000 and by 1024. `50M` could be either, and is refused.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let size = lower.strip_suffix("/s").unwrap_or(&lower);
        let digits = size.len() - size.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = size.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
        number
            .parse::<u64>()
            .ok()
            .zip(unit)
            .and_then(|(number, (_, bytes))| NonZeroU64::new(number.checked_mul(*bytes)?))
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a rate in bytes per second (write 50MiB, 500KB or 1048576)"
                )
            })
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get();
        let (name, size) = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            .into_iter()
            .find(|(_, size)| bytes.is_multiple_of(*size))
            .unwrap_or(("B", 1));
        write!(f, "{}{name}", bytes / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<u64> {
        text.parse::<Rate>().ok().map(|rate| rate.0.get())
    }

    #[test]
    fn a_rate_is_a_number_with_a_unit_that_is_unmistakable() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("7B", 7),
            ("500KB", 500_000),
            ("50MB", 50_000_000),
            ("50MiB", 50 << 20),
            ("50 mib/s", 50 << 20),
            (" 2GiB ", 2 << 30),
        ] {
            assert_eq!(rate(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "0MiB", "50M", "-1", "1.5GiB", "MiB", "50 furlongs", "99999999999GiB"]
        {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn a_rate_reads_back_as_it_prints() {
        for text in ["7B", "1KiB", "64MiB", "3GiB", "1025B"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }
}
