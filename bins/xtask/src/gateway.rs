//! etcd over its JSON gateway, in as much HTTP as that takes. Keys and values stay in base64, as
//! they are in the fixture.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends a GET (without a body) or a POST to `address`, such as `127.0.0.1:2379`.
pub(crate) fn request(address: &str, path: &str, body: Option<&str>) -> Result<Answer> {
    let exchange = || -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.unwrap_or_default();
        // 1.0, so that the answer ends with the connection and is not chunked.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().with_context(|| format!("no answer from {address}{path}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: body.to_owned() })
    });
    parsed.with_context(|| format!("{address} does not speak HTTP"))
}

/// Calls one of etcd's methods.
pub(crate) fn call(address: &str, method: &str, argument: &Value) -> Result<Value> {
    let answer = request(address, &format!("/v3/{method}"), Some(&argument.to_string()))?;
    ensure!(answer.status == 200, "etcd refuses {method}: {}", answer.body.trim());
    serde_json::from_str(&answer.body).with_context(|| format!("etcd's answer to {method}"))
}
