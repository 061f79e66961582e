//! GET over plain HTTP, as much of it as the tests need.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// What follows.
    pub body: String,
}

impl Response {
    /// Returns a header's value; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Gets `path` from `address` (`127.0.0.1:8080`), with `headers` such as `Accept: text/html`.
///
/// # Errors
///
/// If nobody listens, the answer is no HTTP or it takes longer than ten seconds.
pub async fn get(address: &str, path: &str, headers: &[&str]) -> io::Result<Response> {
    timeout(Duration::from_secs(10), exchange(address, path, headers))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(address: &str, path: &str, headers: &[&str]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(address).await?;
    // 1.0, so that the body ends with the connection and is not chunked.
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let broken = || io::Error::other(format!("no HTTP answer from {address}{path}: {answer:.200}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok(Response { status, head: head.to_owned(), body: body.to_owned() })
}
