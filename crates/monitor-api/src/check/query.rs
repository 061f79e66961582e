//! What a caller of `/check` asks for.

use super::printable::one_line;

/// The most characters of foreign text that an error repeats.
const ECHO_CHARS_MAX: usize = 40;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFormat {
    /// For people, and for scripts that look for headings.
    Text,
    /// [`CheckReport`](super::CheckReport).
    Json,
}

/// The query string of `/check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckQuery {
    /// `format`; `None` leaves it to the header `Accept`.
    pub format: Option<CheckFormat>,
    /// `strict`: drift is an error.
    pub strict: bool,
    /// `limit`: how many keys of each kind are named.
    pub limit: usize,
}

impl Default for CheckQuery {
    fn default() -> Self {
        Self { format: None, strict: false, limit: Self::LIMIT }
    }
}

impl CheckQuery {
    /// How many keys of each kind are named unless told otherwise.
    pub const LIMIT: usize = 1_000;
    /// How many may be asked for.
    pub const LIMIT_MAX: usize = 100_000;

    /// Reads a query string, without its `?`. Every parameter is optional, and none is ignored.
    ///
    /// Values are compared as they are written: none that is allowed needs escaping.
    ///
    /// # Errors
    ///
    /// On an unknown, repeated or malformed parameter, naming it.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let (mut format, mut strict, mut limit) = (None, None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "format" => set(&mut format, "format", value, format_of)?,
                "strict" => set(&mut strict, "strict", value, strict_of)?,
                "limit" => set(&mut limit, "limit", value, limit_of)?,
                _ => return Err(QueryError::Unknown { name: echo(name) }),
            }
        }
        let Self { strict: lenient, limit: usual, .. } = Self::default();
        Ok(Self { format, strict: strict.unwrap_or(lenient), limit: limit.unwrap_or(usual) })
    }
}

/// What is wrong with a query string, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such parameter.
    #[error("unknown parameter `{name}`: /check takes format, strict and limit")]
    Unknown {
        /// The name, printable and cut short.
        name: String,
    },
    /// The parameter is there more than once.
    #[error("{name}: given more than once")]
    Repeated {
        /// The parameter.
        name: &'static str,
    },
    /// The parameter's value is none of those allowed.
    #[error("{name}: `{value}` is not {allowed}")]
    Malformed {
        /// The parameter.
        name: &'static str,
        /// The value, printable and cut short.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// Reads one parameter; what it allows, where the value is something else.
fn set<T>(
    place: &mut Option<T>,
    name: &'static str,
    value: &str,
    read: fn(&str) -> Result<T, &'static str>,
) -> Result<(), QueryError> {
    let read = read(value).map_err(|allowed| {
        let value = echo(value);
        QueryError::Malformed { name, value, allowed }
    })?;
    match place.replace(read) {
        None => Ok(()),
        Some(_) => Err(QueryError::Repeated { name }),
    }
}

fn format_of(value: &str) -> Result<CheckFormat, &'static str> {
    match value {
        "text" => Ok(CheckFormat::Text),
        "json" => Ok(CheckFormat::Json),
        _ => Err("text or json"),
    }
}

fn strict_of(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false"),
    }
}

fn limit_of(value: &str) -> Result<usize, &'static str> {
    // `parse` takes a sign, which a number of keys does not have.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|limit| digits && *limit <= CheckQuery::LIMIT_MAX)
        .ok_or("a whole number from 0 to 100000")
}

fn echo(text: &str) -> String {
    one_line(text).chars().take(ECHO_CHARS_MAX).collect()
}
