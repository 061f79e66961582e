//! A server that speaks etcd's protocol and is not an etcd.
//!
//! As kine, which puts that protocol before an SQL database for k3s: its headers carry a revision
//! and nothing else, it refuses transactions that an API server does not send, and its leases are a
//! promise of nothing. Or as a proxy that hands each request to a cluster of its choice.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use etcd_client::proto::{
    PbEvent, PbKeyValue, PbLeaseGrantResponse, PbPutResponse, PbRangeResponse, PbResponseHeader,
    PbResponseOp, PbStatusResponse, PbTxnOpResponse, PbTxnRequest, PbTxnResponse, PbWatchResponse,
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
/// The newest revision, of which the one key is.
const REVISION: i64 = 7;
/// gRPC's numbers.
const INVALID_ARGUMENT: u8 = 3;
const PERMISSION_DENIED: u8 = 7;
const UNIMPLEMENTED: u8 = 12;

/// Chooses the cluster that answers, by the method (`KV/Txn`); of a watch, `Watch/created` and
/// `Watch/event` are apart.
type Clusters = dyn Fn(&str) -> u64 + Send + Sync;

/// A running server, which holds one config map of Kubernetes. Dropping it stops it.
#[derive(Debug)]
pub struct FakeEtcd {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accept: JoinHandle<()>,
}

/// What a server answers by.
#[derive(Clone)]
struct Nature {
    asked: Arc<Mutex<Vec<String>>>,
    /// None of them for kine.
    clusters: Option<Arc<Clusters>>,
}

impl Nature {
    fn header(&self, method: &str) -> PbResponseHeader {
        let cluster_id = self.clusters.as_ref().map_or(0, |clusters| clusters(method));
        PbResponseHeader { cluster_id, revision: REVISION, ..PbResponseHeader::default() }
    }
}

impl FakeEtcd {
    /// Starts one that answers as kine does.
    pub async fn kine() -> Self {
        Self::start(None).await
    }

    /// Starts one that answers as an etcd of the cluster that is chosen for each method; a
    /// transaction succeeds if it writes something. A watch is sent one event. A status of cluster
    /// 0 is refused, as some versions do to all but root.
    pub async fn of(clusters: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        Self::start(Some(Arc::new(clusters))).await
    }

    async fn start(clusters: Option<Arc<Clusters>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let nature = Nature { asked: Arc::clone(&asked), clusters };
        let accept = tokio::spawn(accept(listener, nature));
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

impl Drop for FakeEtcd {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, nature: Nature) {
    while let Ok((stream, _)) = listener.accept().await {
        let nature = nature.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, nature.clone()));
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

async fn answer(request: Request<Incoming>, nature: Nature) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().trim_start_matches("/etcdserverpb.").to_owned();
    nature.asked.lock().unwrap_or_else(PoisonError::into_inner).push(method.clone());
    let header = nature.header(&method);
    if method == "Watch/Watch" {
        return Ok(watch(&nature));
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let body = body.get(5..).unwrap_or_default();
    Ok(match method.as_str() {
        "KV/Range" => message(&range(&RangeRequest::decode(body).unwrap_or_default(), header)),
        "KV/Txn" if nature.clusters.is_none() => refused(INVALID_ARGUMENT, UNSUPPORTED),
        "KV/Txn" => {
            let txn = PbTxnRequest::decode(body).unwrap_or_default();
            let done = PbResponseOp { response: Some(PbTxnOpResponse::ResponsePut(put())) };
            message(&PbTxnResponse {
                header: Some(header),
                succeeded: !txn.success.is_empty(),
                responses: vec![done; txn.success.len()],
            })
        }
        "Maintenance/Status" if nature.clusters.is_some() && header.cluster_id == 0 => {
            refused(PERMISSION_DENIED, "etcdserver: permission denied")
        }
        "Maintenance/Status" => message(&PbStatusResponse {
            header: Some(PbResponseHeader { revision: 0, ..header }),
            version: "3.5.13".to_owned(),
            db_size: 4096,
            ..PbStatusResponse::default()
        }),
        "Lease/LeaseGrant" => message(&PbLeaseGrantResponse {
            header: Some(header),
            id: 15,
            ttl: 15,
            error: String::new(),
        }),
        _ => refused(UNIMPLEMENTED, "not here"),
    })
}

fn put() -> PbPutResponse {
    PbPutResponse { header: Some(PbResponseHeader::default()), prev_kv: None }
}

/// The one key that is held.
fn held() -> PbKeyValue {
    PbKeyValue {
        key: b"/registry/configmaps/team/app".to_vec(),
        value: br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"app"}}"#.to_vec(),
        create_revision: REVISION,
        mod_revision: REVISION,
        version: 1,
        lease: 0,
    }
}

fn range(request: &RangeRequest, header: PbResponseHeader) -> PbRangeResponse {
    let held = held();
    let inside = match request.range_end.as_slice() {
        [] => request.key == held.key,
        end => request.key <= held.key && (end == [0] || held.key.as_slice() < end),
    };
    PbRangeResponse {
        header: Some(header),
        count: i64::from(inside),
        kvs: if inside && !request.count_only { vec![held] } else { Vec::new() },
        more: false,
    }
}

/// A watch that is created and sent one event, and stays open.
fn watch(nature: &Nature) -> Response<Body> {
    let header = |what| Some(nature.header(what));
    let created = PbWatchResponse {
        header: header("Watch/created"),
        created: true,
        ..PbWatchResponse::default()
    };
    let event = PbEvent { r#type: 0, kv: Some(held()), prev_kv: None };
    let events = PbWatchResponse {
        header: header("Watch/event"),
        events: vec![event],
        ..PbWatchResponse::default()
    };
    let mut sent = BytesMut::new();
    sent.extend_from_slice(&framed(&created));
    sent.extend_from_slice(&framed(&events));
    let open = std::future::pending::<Option<Result<HeaderMap, Infallible>>>();
    respond(Full::new(sent.freeze()).with_trailers(open).boxed(), None)
}

fn framed(message: &impl Message) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    message.encode(&mut framed).expect("there is room");
    framed.freeze()
}

/// One message, and the word that all went well.
fn message(message: &impl Message) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed(message)).with_trailers(std::future::ready(Some(Ok(trailers))));
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
