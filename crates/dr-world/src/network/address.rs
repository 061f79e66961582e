//! Where something listens.

use std::fmt;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name or IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads `HOST`, `HOST:PORT`, `[IPv6]:PORT`, or a bare IPv6 address.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            let port = match port.strip_prefix(':') {
                Some(port) => port.parse().ok()?,
                None if port.is_empty() => default_port,
                None => return None,
            };
            return Some(Self::new(host, port));
        }
        match text.split_once(':') {
            // More than one colon and no brackets: an IPv6 address.
            Some((_, port)) if port.contains(':') => Some(Self::new(text, default_port)),
            Some((host, port)) if !host.is_empty() => Some(Self::new(host, port.parse().ok()?)),
            Some(_) => None,
            None if text.is_empty() => None,
            None => Some(Self::new(text, default_port)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A URL, taken apart. Without user, and without fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether it is `https`.
    pub(crate) tls: bool,
    pub(crate) address: Address,
    /// Path and query; at least `/`.
    pub(crate) path: String,
}

impl Url {
    /// Reads an `http` or `https` URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return None;
        }
        let address = Address::parse(authority, if tls { 443 } else { 80 })?;
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { tls, address, path })
    }
}
