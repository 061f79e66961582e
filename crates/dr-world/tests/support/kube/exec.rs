//! Commands in pods.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Call, NEVER, State, decode};

/// Runs a command that does what the test says, over WebSocket.
pub(super) fn exec(
    request: Request<Incoming>,
    path: &str,
    state: &Arc<Mutex<State>>,
) -> Response<Full<Bytes>> {
    let words: Vec<_> =
        path.split('&').filter_map(|pair| pair.strip_prefix("command=")).map(decode).collect();
    let command = words.join(" ");
    let (code, output) = {
        let mut state = state.lock().unwrap();
        let refused = state.refused.iter().find(|(beginning, ..)| path.starts_with(beginning));
        if let Some((_, status, _)) = refused {
            return Response::builder().status(*status).body(Full::default()).unwrap();
        }
        let (path, body) = (path.to_owned(), command.clone());
        let authorization = String::new();
        state.calls.push(Call { method: Method::GET, path, body, authorization });
        let known = state.commands.iter().find(|(part, _, _)| command.contains(part));
        known.map_or((127, String::new()), |(_, code, output)| (*code, output.clone()))
    };
    assert_eq!(request.headers()["sec-websocket-protocol"], "v4.channel.k8s.io");
    tokio::spawn(async move {
        let mut stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        let status = if code == 0 {
            json!({ "status": "Success" })
        } else {
            let cause = json!({ "reason": "ExitCode", "message": code.to_string() });
            json!({ "status": "Failure", "message": "command terminated with non-zero exit code",
                    "details": { "causes": [cause] } })
        };
        let (first, second) = output.split_at(output.len() / 2);
        let frames = [
            // An empty message opens the stream; a ping comes in between.
            (0x82, b"\x01".to_vec()),
            (0x02, [b"\x01", first.as_bytes()].concat()),
            (0x89, b"ping".to_vec()),
            (0x80, second.as_bytes().to_vec()),
            (0x82, [b"\x03", status.to_string().as_bytes()].concat()),
        ];
        for (head, payload) in frames {
            if code == NEVER && payload.starts_with(b"\x03") {
                std::future::pending::<()>().await;
            }
            let mut frame = vec![head];
            match u8::try_from(payload.len()) {
                Ok(short) if short < 126 => frame.push(short),
                _ => {
                    frame.push(126);
                    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
                }
            }
            frame.extend(payload);
            stream.write_all(&frame).await.unwrap();
        }
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header("connection", "Upgrade").header("upgrade", "websocket");
    response.body(Full::default()).unwrap()
}
