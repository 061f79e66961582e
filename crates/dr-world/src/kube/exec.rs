//! Runs a command in a pod and reads what it prints.
//!
//! Kubernetes speaks WebSocket for this. Only the little is here that one command needs: frames
//! from the server, and the status at their end.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::{Call, encode};
use super::{Kube, KubeError, kubeconfig, text};
use crate::http::begin;
use crate::words::one_line;

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Its exit code; `None` if it could not be started.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) output: String,
    /// What the cluster said about it.
    pub(crate) message: String,
}

/// The sub-protocol: a first byte in each message says which stream it is of.
const PROTOCOL: &str = "v4.channel.k8s.io";
/// Sixteen bytes in base64. It is there so that no cache takes an old answer for a new one, and
/// what is asked for through TLS meets no cache.
const KEY: &str = "ZXRjZC1kciBsb29rcyE=";
/// No command that is run here prints more.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
const STDOUT: u8 = 1;
const STATUS: u8 = 3;

impl Kube {
    /// Runs a command in a ready pod of a deployment.
    ///
    /// # Errors
    ///
    /// There is no such pod, or the API can't be reached or says no.
    pub(crate) async fn run(
        &self,
        namespace: &str,
        deployment: &str,
        command: &[&str],
    ) -> Result<Ran, KubeError> {
        let (at, name) = (encode(namespace), encode(deployment));
        let found = self.get(&format!("/apis/apps/v1/namespaces/{at}/deployments/{name}")).await?;
        let labels = found.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        let pairs = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
        let selector = pairs.collect::<Vec<_>>().join(",");
        let (pods, _) = self.pods(namespace, &selector).await?;
        let pod = pods.iter().find(|pod| pod.ready && !selector.is_empty());
        let pod = pod.ok_or_else(|| {
            KubeError::Away(format!("no pod of deployment {namespace}/{deployment} is ready"))
        })?;
        self.exec(namespace, &pod.name, command).await
    }

    async fn exec(&self, namespace: &str, pod: &str, command: &[&str]) -> Result<Ran, KubeError> {
        let words: Vec<_> =
            command.iter().map(|word| format!("&command={}", encode(word))).collect();
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/exec?stdout=true&stderr=true{}",
            encode(namespace),
            encode(pod),
            words.concat()
        );
        let access = kubeconfig::read(&self.access)?;
        let mut request: Request<Full<Bytes>> = access.request(&Call::get(path))?;
        let headers = request.headers_mut();
        for (name, value) in [
            (CONNECTION.as_str(), "Upgrade"),
            (UPGRADE.as_str(), "websocket"),
            ("sec-websocket-version", "13"),
            (SEC_WEBSOCKET_KEY.as_str(), KEY),
            (SEC_WEBSOCKET_PROTOCOL.as_str(), PROTOCOL),
        ] {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
        let stream = access.connect(None, self.limit).await?;
        let mut driver = JoinSet::new();
        let whole = async {
            let response = begin(stream, request, &mut driver).await.map_err(KubeError::Lost)?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let message = "no command can be run in a pod".to_owned();
                return Err(KubeError::Refused { status: response.status().as_u16(), message });
            }
            let upgraded = hyper::upgrade::on(response).await;
            let upgraded = upgraded.map_err(|error| KubeError::Lost(error.to_string()))?;
            let ran = read(TokioIo::new(upgraded)).await;
            ran.map_err(|error| KubeError::Lost(format!("the command's end is not known: {error}")))
        };
        let late = || KubeError::Lost("the command did not end within the time limit".to_owned());
        timeout(self.limit, whole).await.unwrap_or_else(|_| Err(late()))
    }
}

/// Reads messages until the status comes.
async fn read(mut stream: impl AsyncRead + Unpin) -> std::io::Result<Ran> {
    let mut output = Vec::new();
    let mut message: Vec<u8> = Vec::new();
    loop {
        let (last, opcode, payload) = frame(&mut stream).await?;
        match opcode {
            // The beginning of a message, and what follows of it.
            0..=2 => message.extend(payload),
            8 => return Err(std::io::Error::other("closed without a status")),
            // A ping needs no answer from somebody who leaves in a moment.
            _ => continue,
        }
        if !last {
            continue;
        }
        match message.split_first() {
            Some((&STDOUT, data)) => output.extend_from_slice(data),
            Some((&STATUS, data)) => return Ok(ended(data, &output)),
            Some(_) | None => {}
        }
        message.clear();
        if output.len() > OUTPUT_BYTES_MAX {
            return Err(std::io::Error::other("too much output"));
        }
    }
}

/// Reads one frame: whether it ends its message, what it is, and what is in it.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(bool, u8, Vec<u8>)> {
    let head = stream.read_u8().await?;
    let length = stream.read_u8().await?;
    let masked = length & 0x80 != 0;
    let length = match length & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= OUTPUT_BYTES_MAX);
    let length = length.ok_or_else(|| std::io::Error::other("too large a frame"))?;
    if masked {
        return Err(std::io::Error::other("a server that masks its frames"));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok((head & 0x80 != 0, head & 0x0f, payload))
}

fn ended(status: &[u8], output: &[u8]) -> Ran {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let code = if text(&status, "/status") == "Success" {
        Some(0)
    } else {
        let cause = causes.into_iter().flatten().find(|one| text(one, "/reason") == "ExitCode");
        cause.and_then(|cause| text(cause, "/message").parse().ok())
    };
    let output = String::from_utf8_lossy(output).into_owned();
    Ran { code, output, message: one_line(text(&status, "/message")) }
}
