//! A Kubernetes API in memory, as far as a change of roles asks for it: objects, pods that come
//! back, tokens, a shield that works, commands in pods. It remembers every call.

mod exec;
mod handle;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use exec::exec;
use handle::handle;

/// A call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) authorization: String,
}

/// What the API is.
pub(crate) struct State {
    /// By path.
    pub(crate) objects: BTreeMap<String, Value>,
    pub(crate) calls: Vec<Call>,
    /// Beginnings of paths that are refused, with status and message.
    pub(crate) refused: Vec<(String, u16, String)>,
    /// Beginnings of paths that are never answered.
    pub(crate) mute: Vec<String>,
    /// What is done, and never answered.
    pub(crate) deaf: bool,
    pub(crate) version: String,
    pub(crate) issuer: String,
    /// Ids of the keys that verify tokens.
    pub(crate) keys: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// The token that is made for whoever asks.
    pub(crate) makes: String,
    /// The tokens that are good.
    pub(crate) accepts: Vec<String>,
    /// How long a new pod takes.
    pub(crate) delay: Duration,
    /// By how many seconds its clock is ahead.
    pub(crate) ahead: i64,
    /// What commands in pods do: a part of the command, its exit code, its output.
    pub(crate) commands: Vec<(String, i32, String)>,
    /// The bearer token that it wants.
    pub(crate) bearer: String,
    made: u64,
}

/// The API. It ends when it is dropped.
pub(crate) struct KubeServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    tls: bool,
    _tasks: JoinSet<()>,
}

/// The exit code of a command that does not end.
pub(crate) const NEVER: i32 = -1;

/// The token that every user of it has, unless the test says otherwise.
pub(crate) const BEARER: &str = "bearer-s3cr3t";

impl KubeServer {
    pub(crate) async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            calls: Vec::new(),
            refused: Vec::new(),
            mute: Vec::new(),
            deaf: false,
            version: "v1.30.2".to_owned(),
            issuer: "https://kubernetes.default.svc".to_owned(),
            keys: vec!["key-1".to_owned()],
            audiences: vec!["https://kubernetes.default.svc".to_owned()],
            makes: "token-s3cr3t".to_owned(),
            accepts: Vec::new(),
            delay: Duration::from_millis(30),
            ahead: 0,
            commands: Vec::new(),
            bearer: BEARER.to_owned(),
            made: 0,
        }));
        let with_tls = tls.is_some();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, tls, state.clone()));
        let server = Self { address, state, tls: with_tls, _tasks: tasks };
        server.put(
            "/api/v1/namespaces/kube-system",
            json!({ "metadata": { "name": "kube-system", "uid": format!("uid-{address}") } }),
        );
        server
    }

    /// Changes what it is.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.change(|state| {
            state.objects.insert(path.to_owned(), object);
        });
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// How often something was deleted.
    pub(crate) fn deleted(&self) -> usize {
        self.calls().iter().filter(|call| call.method == Method::DELETE).count()
    }

    /// Makes a pod that was created so many seconds ago.
    pub(crate) fn pod(&self, namespace: &str, name: &str, label: (&str, &str), age: u64) {
        self.change(|state| {
            let created = state.now() - Duration::from_secs(age);
            let pod = pod(namespace, name, json!({ label.0: label.1 }), created, &state.unique());
            state.objects.insert(format!("/api/v1/namespaces/{namespace}/pods/{name}"), pod);
        });
    }

    /// Changes a field of an object.
    pub(crate) fn set(&self, path: &str, pointer: &str, value: Value) {
        self.change(|state| {
            *state.objects.get_mut(path).unwrap().pointer_mut(pointer).unwrap() = value;
        });
    }

    /// Makes a deployment whose pods have the label `app`.
    pub(crate) fn deployment(&self, namespace: &str, name: &str) {
        self.put(
            &format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
            json!({ "spec": { "replicas": 1, "selector": { "matchLabels": { "app": name } } } }),
        );
    }

    /// Makes a deployment, or another kind that makes pods, whose pods have this label.
    pub(crate) fn workload(&self, kind: &str, namespace: &str, name: &str, label: (&str, &str)) {
        let labels = json!({ label.0: label.1 });
        self.put(
            &format!("/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"),
            json!({
                "spec": { "replicas": 1, "template": { "metadata": { "labels": labels } } },
                "status": { "desiredNumberScheduled": 1 },
            }),
        );
    }

    /// Makes something that has a namespace and a name only, such as a service account.
    pub(crate) fn named(&self, kind: &str, namespace: &str, name: &str, rest: Value) {
        let uid = format!("uid-of-{namespace}-{name}");
        let mut object =
            json!({ "metadata": { "namespace": namespace, "name": name, "uid": uid } });
        for (key, value) in rest.as_object().unwrap() {
            object[key] = value.clone();
        }
        self.put(&format!("/api/v1/namespaces/{namespace}/{kind}/{name}"), object);
    }

    /// Writes a kubeconfig for it.
    pub(crate) fn kubeconfig(&self, path: &Path, authority: &str) {
        let scheme = if self.tls { "https" } else { "http" };
        let user = json!({ "token": self.state.lock().unwrap().bearer });
        write_kubeconfig(path, &format!("{scheme}://{}", self.address), authority, &user);
    }
}

/// Writes a kubeconfig. Its JSON is YAML too.
pub(crate) fn write_kubeconfig(path: &Path, server: &str, authority: &str, user: &Value) {
    let file = json!({
        "current-context": "main",
        "contexts": [{ "name": "main", "context": { "cluster": "c", "user": "u" } }],
        "clusters": [{
            "name": "c",
            "cluster": { "server": server, "certificate-authority": authority },
        }],
        "users": [{ "name": "u", "user": user }],
    });
    std::fs::write(path, file.to_string()).unwrap();
}

impl State {
    fn now(&self) -> SystemTime {
        let ahead = Duration::from_secs(self.ahead.unsigned_abs());
        let now = SystemTime::now();
        if self.ahead < 0 { now - ahead } else { now + ahead }
    }

    fn unique(&mut self) -> String {
        self.made += 1;
        format!("uid-{}", self.made)
    }

    fn shielded(&self) -> bool {
        let has = |kind: &str| {
            let group = "/apis/admissionregistration.k8s.io/v1";
            self.objects.contains_key(&format!("{group}/{kind}/etcd-sync-write-shield"))
        };
        has("validatingadmissionpolicies") && has("validatingadmissionpolicybindings")
    }
}

fn pod(namespace: &str, name: &str, labels: Value, created: SystemTime, uid: &str) -> Value {
    let seconds = humantime::format_rfc3339_seconds(created).to_string();
    json!({
        "metadata": {
            "namespace": namespace, "name": name, "uid": uid, "labels": labels,
            "creationTimestamp": seconds, "ownerReferences": [{ "kind": "ReplicaSet" }],
        },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [
                { "name": name, "ready": true, "state": { "running": { "startedAt": seconds } } },
            ],
        },
    })
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, state) = (tls.clone(), state.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone()));
            let http = http1::Builder::new();
            // Whoever leaves in the middle is a client that a test has leave in the middle.
            match tls {
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let served = http.serve_connection(TokioIo::new(stream), service);
                    let _ = served.with_upgrades().await;
                }
                None => {
                    let served = http.serve_connection(TokioIo::new(stream), service);
                    let _ = served.with_upgrades().await;
                }
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let method = request.method().clone();
    if path.contains("/exec?") {
        return Ok(exec(request, &path, &state));
    }
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map_or("", |value| value.to_str().unwrap()).to_owned();
    let accept = request.headers().get("accept");
    let accept = accept.map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let call = Call { method, path, body, authorization };
    let (answer, mute, now) = {
        let mut locked = state.lock().unwrap();
        locked.calls.push(call.clone());
        let mute = locked.mute.iter().any(|beginning| call.path.starts_with(beginning));
        let answer = if mute {
            (500, Value::Null)
        } else if accept.contains(kind_of(&call.path)) || accept.contains("*/*") {
            handle(&mut locked, &call, &state)
        } else {
            (406, json!("406: Not Acceptable"))
        };
        (answer, mute || locked.deaf, locked.now())
    };
    if mute {
        std::future::pending::<()>().await;
    }
    let (status, body) = answer;
    let response = Response::builder()
        .status(status)
        .header("date", httpdate::fmt_http_date(now))
        .header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(body.to_string()))).unwrap())
}

/// What a real API answers in, and in nothing else: keys have a type of their own.
fn kind_of(path: &str) -> &'static str {
    if path == "/openid/v1/jwks" { "application/jwk-set+json" } else { "application/json" }
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut hex = String::new();
            let _ = write!(
                hex,
                "{}{}",
                char::from(bytes.next().unwrap()),
                char::from(bytes.next().unwrap())
            );
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}
