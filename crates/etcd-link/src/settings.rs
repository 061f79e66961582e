//! What has to be known of a cluster before it can be asked anything.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_mvcc::Key;
use http::Uri;

use crate::dial::tls_config;

/// How to reach one cluster, and as whom.
///
/// The files are read again whenever a connection is made or a token is asked for, so renewed
/// certificates and passwords are taken without a restart.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The members' client addresses: `http://host:port` or `https://host:port`, all of one kind.
    /// Without a scheme, `https` if [`Settings::cacert`] is given, else `http`; without a port,
    /// 2379.
    pub endpoints: Vec<String>,
    /// PEM file of the authorities that the members' certificates must come from. Needed for
    /// `https`.
    pub cacert: Option<PathBuf>,
    /// PEM file of our certificate, and the chain behind it.
    pub cert: Option<PathBuf>,
    /// PEM file of the key of that certificate (PKCS #8, SEC 1 or PKCS #1).
    pub key: Option<PathBuf>,
    /// The etcd user to act as. Without one, the certificate is the identity.
    pub user: Option<String>,
    /// The file that holds the user's password; a line end after it is ignored.
    pub password_file: Option<PathBuf>,
    /// How long to wait in silence for an answer: while pieces of it come, it is waited for. The
    /// default, 5 s, outlasts an election of a new leader. A transaction gets 1 s more for every
    /// 5,000 operations and for every 32 kB.
    pub request_timeout: Duration,
    /// How long to wait for a TCP connection and its TLS handshake. Default 3 s.
    pub connect_timeout: Duration,
    /// How long a connection with requests in flight may be silent before it is asked for a sign
    /// of life. Default 10 s, twice etcd's `--grpc-keepalive-min-time`; at least 1 s. A server that
    /// hangs up because it is asked too often is asked half as often from then on.
    pub keep_alive_interval: Duration,
    /// How long to wait for that sign of life. Default 5 s.
    pub keep_alive_timeout: Duration,
    /// The largest answer to accept, in bytes. Default 512 MiB: a watch that catches up is sent up
    /// to 1,000 revisions in one message. A watch that meets a larger one is reopened in fragments.
    pub max_message_bytes: usize,
    /// etcd's `--max-txn-ops`. Default 128, as etcd's own. Reads and writes beyond it are nested or
    /// split, so that it is no limit to the caller.
    pub max_txn_ops: usize,
    /// A key that the user may read; it needs not exist. It is asked for where only the answer's
    /// header matters. Default `/registry/`, where Kubernetes keeps everything.
    pub probe_key: Key,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            cacert: None,
            cert: None,
            key: None,
            user: None,
            password_file: None,
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(5),
            max_message_bytes: 512 << 20,
            max_txn_ops: 128,
            probe_key: Key::from_static(b"/registry/"),
        }
    }
}

/// Why a cluster can't be reached with these settings. One line, with the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SettingsError {
    field: &'static str,
    problem: String,
}

impl SettingsError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// Returns the name of the flag that has to change, without dashes and side (`cacert`).
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns what is wrong, and what to do about it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// One member's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    fn parse(text: &str, tls_by_default: bool) -> Result<Self, SettingsError> {
        let wrong = |problem: String| SettingsError::new("endpoints", problem);
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("an endpoint is empty (give http://host:2379 or https://…)".into()));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(match tls_by_default {
            true => ("https", text),
            false => ("http", text),
        });
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => {
                let scheme = shown(scheme);
                let problem = format!("the scheme `{scheme}` is unknown (use http:// or https://)");
                return Err(wrong(problem));
            }
        };
        let uri: Uri = format!("{scheme}://{rest}")
            .parse()
            .map_err(|error| wrong(format!("`{}` is not a URL ({error})", shown(text))))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("an endpoint holds a user (use --…-user and a file)".into()));
        }
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(wrong(format!("`{}` has a path (leave it out)", shown(text))));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(wrong(format!("`{}` has no host", shown(text))));
        }
        // http::Uri takes a port that is no number for none at all.
        let port = match uri.authority().map_or("", |it| it.as_str()).rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port
                .parse()
                .map_err(|_| wrong(format!("`{}` has a port that is no port", shown(text))))?,
            _ => 2379,
        };
        Ok(Self { tls, host, port })
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// `host:port`, as it stands in a URL.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

/// An endpoint as given, safe to print: one line, and no password that stands before an `@`.
fn shown(text: &str) -> String {
    let text = match text.rsplit_once('@') {
        Some((_, rest)) => rest,
        None => text,
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Settings {
    /// Tells whether the settings make sense: addresses, files, and times. Reads files, asks no
    /// network.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with the mend.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.parse_endpoints().map(drop)
    }

    /// Checks everything and returns the addresses.
    pub(crate) fn parse_endpoints(&self) -> Result<Vec<Endpoint>, SettingsError> {
        let endpoints = self
            .endpoints
            .iter()
            .map(|text| Endpoint::parse(text, self.cacert.is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(first) = endpoints.first() else {
            return Err(SettingsError::new("endpoints", "none given (give http://host:2379)"));
        };
        if endpoints.iter().any(|endpoint| endpoint.tls != first.tls) {
            let problem = "http:// and https:// are mixed (use one for all members)";
            return Err(SettingsError::new("endpoints", problem));
        }
        self.check_numbers()?;
        self.check_tls(first.tls)?;
        self.check_password(&endpoints)?;
        Ok(endpoints)
    }

    fn check_numbers(&self) -> Result<(), SettingsError> {
        let wrong = |field, problem: &str| Err(SettingsError::new(field, problem));
        let second = Duration::from_secs(1);
        for (field, value) in [
            ("request-timeout", self.request_timeout),
            ("connect-timeout", self.connect_timeout),
            ("keep-alive-interval", self.keep_alive_interval),
            ("keep-alive-timeout", self.keep_alive_timeout),
        ] {
            if value < second {
                return wrong(field, "must be at least 1s");
            }
        }
        if self.max_message_bytes < 4 << 20 {
            return wrong("max-message-bytes", "must be at least 4194304 (4 MiB)");
        }
        if self.max_txn_ops < 8 {
            return wrong("max-txn-ops", "must be at least 8 (etcd's default is 128)");
        }
        if self.probe_key.is_empty() {
            return wrong("probe-key", "is empty (name a key that may be read)");
        }
        Ok(())
    }

    fn check_tls(&self, tls: bool) -> Result<(), SettingsError> {
        let wrong = |field, problem: &str| Err(SettingsError::new(field, problem));
        if !tls {
            for (field, file) in
                [("cacert", &self.cacert), ("cert", &self.cert), ("key", &self.key)]
            {
                if file.is_some() {
                    return wrong(field, "given for http:// endpoints (use https://)");
                }
            }
            return Ok(());
        }
        match (&self.cacert, &self.cert, &self.key) {
            (None, _, _) => wrong("cacert", "missing (https:// needs the authority's PEM file)"),
            (_, Some(_), None) => wrong("key", "missing (it belongs to the certificate)"),
            (_, None, Some(_)) => wrong("cert", "missing (the key needs its certificate)"),
            _ => tls_config(self).map(drop),
        }
    }

    fn check_password(&self, endpoints: &[Endpoint]) -> Result<(), SettingsError> {
        let wrong = |field, problem: &str| Err(SettingsError::new(field, problem));
        match (&self.user, &self.password_file) {
            (None, None) => Ok(()),
            (Some(_), None) => wrong("password-file", "missing (the user needs a password)"),
            (None, Some(_)) => wrong("user", "missing (whose password is it?)"),
            (Some(user), Some(_)) if user.is_empty() => wrong("user", "is empty"),
            (Some(_), Some(file)) => {
                if endpoints.iter().any(|endpoint| !endpoint.tls && !endpoint.is_loopback()) {
                    let problem = "a password would cross the network in the clear (use https://)";
                    return wrong("user", problem);
                }
                read_password(file).map(drop)
            }
        }
    }
}

/// Reads the password, without the line end that editors put after it.
pub(crate) fn read_password(file: &Path) -> Result<String, SettingsError> {
    let bytes = read_file("password-file", file)?;
    let wrong = |what| SettingsError::new("password-file", format!("{} {what}", file.display()));
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not text"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() { Err(wrong("is empty")) } else { Ok(text.to_owned()) }
}

/// Reads a file that a setting names.
pub(crate) fn read_file(field: &'static str, file: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(file).map_err(|error| {
        SettingsError::new(field, format!("can't read {} ({error})", file.display()))
    })
}

#[cfg(test)]
mod tests;
