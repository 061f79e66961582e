//! A server that speaks etcd's protocol and is not an etcd: as kine, which puts it before an SQL
//! database for k3s.
//!
//! What it has in common with kine: its headers carry a revision and nothing else, it takes only
//! the transactions that an API server sends, and its leases are a promise of nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use etcd_client::proto::{
    PbKeyValue, PbLeaseGrantResponse, PbRangeResponse, PbResponseHeader, PbStatusResponse,
};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How kine refuses a transaction that it does not know.
const UNSUPPORTED: &str = "etcdserver: unsupported operations in txn request";
/// gRPC's numbers.
const INVALID_ARGUMENT: u8 = 3;
const UNIMPLEMENTED: u8 = 12;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Kine {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accept: JoinHandle<()>,
}

impl Kine {
    /// Starts one that holds one config map of Kubernetes.
    ///
    /// # Panics
    ///
    /// If it can't listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let accept = tokio::spawn(accept(listener, Arc::clone(&asked)));
        Self { address, asked, accept }
    }

    /// Returns its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the methods that were called so far (`KV/Txn`), in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Kine {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let asked = Arc::clone(&asked);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&asked)));
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // A client that hangs up is not an error here.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = BoxBody<Bytes, Infallible>;

/// What is looked at in a request for a range.
#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
    #[prost(bool, tag = "9")]
    count_only: bool,
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().trim_start_matches("/etcdserverpb.").to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(method.clone());
    Ok(match method.as_str() {
        "KV/Range" => {
            let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
            let body = body.unwrap_or_default();
            let request = RangeRequest::decode(body.get(5..).unwrap_or_default());
            message(&range(&request.unwrap_or_default()))
        }
        "Maintenance/Status" => message(&PbStatusResponse {
            header: Some(PbResponseHeader::default()),
            version: "3.5.13".to_owned(),
            db_size: 4096,
            ..PbStatusResponse::default()
        }),
        "Lease/LeaseGrant" => message(&PbLeaseGrantResponse {
            header: Some(PbResponseHeader::default()),
            id: 15,
            ttl: 15,
            error: String::new(),
        }),
        "KV/Txn" => refused(INVALID_ARGUMENT, UNSUPPORTED),
        _ => refused(UNIMPLEMENTED, "not here"),
    })
}

fn range(request: &RangeRequest) -> PbRangeResponse {
    let key = b"/registry/configmaps/team/app".to_vec();
    let inside = match request.range_end.as_slice() {
        [] => request.key == key,
        end => request.key <= key && (end == [0] || key.as_slice() < end),
    };
    let value = br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"app"}}"#.to_vec();
    let held =
        PbKeyValue { key, value, create_revision: 3, mod_revision: 3, ..PbKeyValue::default() };
    PbRangeResponse {
        header: Some(PbResponseHeader { revision: 7, ..PbResponseHeader::default() }),
        count: i64::from(inside),
        kvs: if inside && !request.count_only { vec![held] } else { Vec::new() },
        more: false,
    }
}

/// One message, and the word that all went well.
fn message(message: &impl Message) -> Response<Body> {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    message.encode(&mut framed).expect("there is room");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    respond(body.boxed(), None)
}

fn refused(code: u8, text: &'static str) -> Response<Body> {
    respond(Empty::new().boxed(), Some((code, text)))
}

fn respond(body: Body, refusal: Option<(u8, &'static str)>) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    if let Some((code, text)) = refusal {
        headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
        headers.insert("grpc-message", HeaderValue::from_static(text));
    }
    response
}
