//! Connections for one purpose, one per member, and which of them is in use.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use etcd_client::{AuthClient, Channel, Client, ConnectOptions, KvClient};
use etcd_client::{LeaseClient, MaintenanceClient, WatchClient};
use http::header::{HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use hyper_util::rt::TokioIo;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt, service_fn};

use crate::deadline::{Heard, heard};
use crate::dial::dial;
use crate::keep_alive::{KeepAlive, Listened};
use crate::settings::{Endpoint, Settings};
use crate::token::Token;

/// HTTP/2 windows that let one connection fill a fast link over a long distance. The defaults,
/// 64 KiB, allow one such window per round trip.
const WINDOW_BYTES: u32 = 16 << 20;

/// What one member can be asked, over one connection.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) kv: KvClient,
    pub(crate) watch: WatchClient,
    pub(crate) lease: LeaseClient,
    pub(crate) auth: AuthClient,
    pub(crate) maintenance: MaintenanceClient,
    /// When anything was heard over the connection.
    pub(crate) line: Heard,
    /// How long it may be silent before it is asked for a sign of life.
    keep_alive: Duration,
}

/// A member, and the connection that was used to ask it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) index: usize,
    pub(crate) url: Arc<str>,
    pub(crate) clients: Clients,
    /// Which of the lane's connections to this member it is.
    generation: u64,
    /// The cluster that has answered over this connection; 0 if none has.
    proven: Arc<AtomicU64>,
}

impl Member {
    /// Tells whether this connection has proven to lead to that cluster.
    pub(crate) fn has_proven(&self, cluster: u64) -> bool {
        cluster != 0 && self.proven.load(Ordering::Relaxed) == cluster
    }

    /// A cluster has answered over this connection.
    pub(crate) fn answered_as(&self, cluster: u64) {
        self.proven.store(cluster, Ordering::Relaxed);
    }
}

/// Connections for one purpose: reads, watches or transactions.
///
/// They are apart because etcd can starve a watch of the connection that it shares with reads, and
/// because a large answer holds up what comes behind it.
pub(crate) struct Lane {
    slots: Vec<Slot>,
    current: AtomicUsize,
}

struct Slot {
    endpoint: Endpoint,
    url: Arc<str>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    clients: Option<Clients>,
    generation: u64,
    proven: Arc<AtomicU64>,
}

impl Open {
    fn close(&mut self) {
        self.clients = None;
        self.generation += 1;
        self.proven = Arc::default();
    }
}

impl Lane {
    pub(crate) fn new(endpoints: &[Endpoint]) -> Self {
        let slot = |endpoint: &Endpoint| Slot {
            endpoint: endpoint.clone(),
            url: endpoint.url().into(),
            open: Mutex::default(),
        };
        Self { slots: endpoints.iter().map(slot).collect(), current: AtomicUsize::new(0) }
    }

    /// Returns how many members there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the member in use, with a connection that is made when it is first needed.
    pub(crate) async fn member(
        &self,
        settings: &Arc<Settings>,
        token: &Token,
        keep_alive: &KeepAlive,
    ) -> Result<Member, etcd_client::Error> {
        let index = self.current.load(Ordering::Relaxed) % self.slots.len().max(1);
        let Some(slot) = self.slots.get(index) else {
            return Err(etcd_client::Error::EndpointError("there are no endpoints".into()));
        };
        let member = |open: &Open, clients: &Clients| Member {
            index,
            url: slot.url.clone(),
            clients: clients.clone(),
            generation: open.generation,
            proven: open.proven.clone(),
        };
        {
            let mut open = slot.open.lock().unwrap_or_else(PoisonError::into_inner);
            // It connects anew by itself, but would be as impatient as before.
            if open.clients.as_ref().is_some_and(|it| it.keep_alive < keep_alive.interval()) {
                open.close();
            }
            if let Some(clients) = &open.clients {
                return Ok(member(&open, clients));
            }
        }
        let made =
            Box::pin(clients(&slot.endpoint, settings.clone(), token.clone(), keep_alive.clone()))
                .await?;
        let mut open = slot.open.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = open.clients.get_or_insert(made).clone();
        Ok(member(&open, &clients))
    }

    /// Turns to the next member, unless somebody has already turned away from this one.
    pub(crate) fn rotate(&self, from: &Member) {
        let next = (from.index + 1) % self.slots.len().max(1);
        let _ =
            self.current.compare_exchange(from.index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Gives up the connection over which no answer came.
    ///
    /// A peer that vanished without a word leaves a connection that looks well until the kernel has
    /// tried for a quarter of an hour. HTTP/2 pings don't tell earlier where requests are shorter
    /// than their interval, and etcd forbids them between requests.
    pub(crate) fn hang_up(&self, member: &Member) {
        let Some(slot) = self.slots.get(member.index) else { return };
        let mut open = slot.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.generation == member.generation {
            open.close();
        }
    }
}

impl Lane {
    /// Gives up the connection to this member and turns to the next.
    pub(crate) fn turn_away(&self, from: &Member) {
        self.hang_up(from);
        self.rotate(from);
    }

    /// Gives up the connection in use, whichever it is, and turns to the next member.
    pub(crate) fn turn_away_from_current(&self) {
        let current = self.current.load(Ordering::Relaxed);
        let Some(slot) = self.slots.get(current % self.slots.len().max(1)) else { return };
        slot.open.lock().unwrap_or_else(PoisonError::into_inner).close();
        let next = (current + 1) % self.slots.len().max(1);
        let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| &slot.url)).finish()
    }
}

/// Prepares a connection to one member. Nothing is dialled before the first request.
async fn clients(
    endpoint: &Endpoint,
    settings: Arc<Settings>,
    token: Token,
    keep_alive: KeepAlive,
) -> Result<Clients, etcd_client::Error> {
    let interval = keep_alive.interval();
    // tonic refuses https:// without a TLS configuration of its own; ours is in the connector.
    let http = format!("http://{}", endpoint.authority());
    let origin = endpoint.url().parse::<http::Uri>().map_err(etcd_client::Error::from)?;
    let transport = tonic::transport::Endpoint::from_shared(http)?
        .origin(origin)
        .http2_keep_alive_interval(interval)
        .keep_alive_timeout(settings.keep_alive_timeout)
        // etcd counts pings without a request in flight as abuse and hangs up after three.
        .keep_alive_while_idle(false)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let limit = settings.max_message_bytes;
    let url: Arc<str> = endpoint.url().into();
    let endpoint = endpoint.clone();
    let made = Arc::new(AtomicBool::new(false));
    let connector = service_fn(move |_| {
        let (endpoint, settings, made) = (endpoint.clone(), settings.clone(), made.clone());
        let (keep_alive, url) = (keep_alive.clone(), url.clone());
        async move {
            if made.load(Ordering::Relaxed) {
                return Err(BoxError::from(ConnectionEnded));
            }
            let stream = dial(&endpoint, &settings).await?;
            made.store(true, Ordering::Relaxed);
            let listened = Listened { stream, keep_alive, used: interval, url };
            Ok(TokioIo::new(listened))
        }
    });
    let channel = transport
        .connect_with_connector_lazy(connector)
        .map_err(BoxError::from)
        .map_request(move |mut request: http::Request<Body>| {
            // etcd's name for it; an authentication with a stale token would be refused.
            if let Some(token) = token.get().filter(|_| !request.uri().path().ends_with(LOGIN)) {
                request.headers_mut().insert(HeaderName::from_static("token"), token);
            }
            request.headers_mut().insert(HAS_LEADER.0, HAS_LEADER.1);
            request
        });
    let line = Heard::new();
    let channel = Listening { inner: channel, line: line.clone() };
    let channel = Channel::Custom(BoxCloneSyncService::new(channel));
    let client = Client::from_channel(channel, Some(ConnectOptions::new())).await?;
    Ok(Clients {
        kv: client.kv_client().max_decoding_message_size(limit),
        watch: client.watch_client().max_decoding_message_size(limit),
        lease: client.lease_client(),
        auth: client.auth_client(),
        maintenance: client.maintenance_client(),
        line,
        keep_alive: interval,
    })
}

/// The connection has ended, and nothing was sent. What it has proven does not hold for the next
/// one, so that is never made in secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionEnded;

impl fmt::Display for ConnectionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection has ended")
    }
}

impl std::error::Error for ConnectionEnded {}

/// Notes whatever comes of an answer, for those who wait for it.
#[derive(Clone)]
struct Listening<S> {
    inner: S,
    line: Heard,
}

impl<S> Service<http::Request<Body>> for Listening<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let listeners = [Some(self.line.clone()), heard()];
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            listeners.iter().flatten().for_each(Heard::note);
            Ok(answer.map(|body| Body::new(HeardBody { body, listeners })))
        })
    }
}

/// An answer's body whose pieces are noted.
struct HeardBody {
    body: Body,
    listeners: [Option<Heard>; 2],
}

impl http_body::Body for HeardBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.listeners.iter().flatten().for_each(Heard::note);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

const LOGIN: &str = "/Authenticate";

/// Makes a member that has lost its quorum end watches and refuse requests, instead of keeping
/// silent for ever.
const HAS_LEADER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("hasleader"), HeaderValue::from_static("true"));
