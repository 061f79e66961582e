//! A TCP connection, within a time limit.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum DialError {
    /// Nobody listens there: refused, or no answer at all. The second is how a firewall refuses.
    Silent(String),
    /// The fault is on this side.
    Here(String),
}

impl DialError {
    pub(crate) fn text(&self) -> &str {
        let (Self::Silent(text) | Self::Here(text)) = self;
        text
    }
}

/// Connects.
pub(crate) async fn dial(address: &Address, limit: Duration) -> Result<TcpStream, DialError> {
    let connecting = TcpStream::connect((address.host.as_str(), address.port));
    match timeout(limit, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(told(address, &error)),
        Err(_) => {
            let waited = humantime::format_duration(limit);
            Err(DialError::Silent(format!("no answer from {address} within {waited}")))
        }
    }
}

fn told(address: &Address, error: &io::Error) -> DialError {
    let text = format!("{address}: {error}");
    let silent = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
    );
    // No route from here, no such name, no free handle: it says nothing about the other end.
    if silent { DialError::Silent(text) } else { DialError::Here(text) }
}
