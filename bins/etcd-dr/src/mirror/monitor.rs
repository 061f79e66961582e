//! One question to the mirror's monitor, over plain HTTP.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer is far smaller; a check names a thousand keys of each kind at most.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Gets what is at a path below the monitor's URL, and returns status code and body.
///
/// HTTP/1.0, so that the body ends with the connection.
///
/// # Errors
///
/// Why there is no answer, on one line.
///
/// # Cancel safety
///
/// Dropping the future closes the connection; a check that was asked for goes on.
pub(super) async fn get(url: &str, path: &str, limit: Duration) -> Result<(u16, String), String> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("{url} is not asked: the mirror's monitor speaks plain http://"));
    };
    let (host, base) = match rest.split_once('/') {
        Some((host, base)) => (host, format!("/{}", base.trim_end_matches('/'))),
        None => (rest, String::new()),
    };
    let base = if base == "/" { String::new() } else { base };
    let address = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
    let asked = async {
        let mut stream = timeout(CONNECT_MAX, TcpStream::connect(&address))
            .await
            .map_err(|_| "no connection in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let request = format!("GET {base}{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut bounded = stream.take(ANSWER_BYTES_MAX);
        bounded.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| "that is no HTTP".to_owned())
    };
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(|why| format!("{url}: {why}")),
        Err(_) => Err(format!("{url}: no answer within {} s", limit.as_secs())),
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let read = parse("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n");
        assert_eq!(read, Some((200, "{}\r\n\r\n".to_owned())));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n\r\n"), None);
    }

    #[test]
    fn a_host_has_a_port_or_none() {
        assert!(has_port("127.0.0.1:8080") && has_port("[::1]:8080"));
        assert!(!has_port("127.0.0.1") && !has_port("monitor"));
    }
}
