//! The kinds of values that settings have.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the scope starts from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// `/registry/` without what belongs to one cluster alone.
    #[default]
    Kubernetes,
    /// Every key.
    None,
}

/// When several primary revisions may share one standby transaction.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Coalesce {
    /// Only while the mirror lags.
    #[default]
    Lagging,
    /// Whenever more than one revision waits.
    Always,
    /// Never.
    Never,
}

/// In which order a copy writes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Owners before their dependents.
    #[default]
    Owners,
    /// As the keys come: for a standby on which nothing collects what has no owner.
    Keys,
}

/// How log lines are written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The least important lines that are logged.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A human must look.
    Error,
    /// Something is off, and goes on.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
    /// Everything.
    Trace,
}

/// A length of time, written like `5m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim())
            .map(Self)
            .map_err(|_| format!("`{text}` is not a length of time (write 30s, 5m or 1h30m)"))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

/// Where HTTP is served: `ADDRESS:PORT`, `:PORT` for every address, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Listen {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "off" {
            return Ok(Self::Off);
        }
        let every = text.strip_prefix(':').and_then(|port| port.parse().ok());
        let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        match every {
            Some(port) => Ok(Self::At(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))),
            None => named.as_deref().unwrap_or(text).parse().map(Self::At).map_err(|_| {
                format!("`{text}` is not an address (write 127.0.0.1:8080, :8080 or off)")
            }),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_may_leave_out_the_host() {
        assert_eq!("[::]:80".parse(), Ok::<_, String>(Listen::At("[::]:80".parse().unwrap())));
        assert_eq!(":80".parse::<Listen>().unwrap().to_string(), "[::]:80");
        assert_eq!("localhost:80".parse::<Listen>().unwrap().to_string(), "127.0.0.1:80");
        assert_eq!("off".parse(), Ok::<_, String>(Listen::Off));
        for wrong in ["", "8080", "host", ":", ":99999", "http://127.0.0.1:80"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_is_printed_as_it_is_read() {
        for text in ["30s", "5m", "1h 30m"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert!("5".parse::<Span>().is_err(), "a number without a unit says nothing");
    }
}
