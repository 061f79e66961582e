//! One real etcd, alive as long as the value that stands for it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use etcd_link::{Primary, Settings, Standby};
use etcd_mvcc::{CommitTxn, Expect, Guard, Head, Key, Op, ReadHead, ReadRange, Revision as _};
use etcd_mvcc::{PrimaryRevision, Txn, Value, Write};
use tempfile::TempDir;

/// The prefix of our own keys in these tests.
pub(crate) const OWN: &str = "/etcd-sync/test/";

pub(crate) struct Etcd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) scheme: &'static str,
    args: Vec<String>,
    dir: TempDir,
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("ETCD_BIN") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("etcd"))
        .find(|file| file.is_file())
        .expect("no etcd found: put one on PATH, or name it by ETCD_BIN=/path/to/etcd")
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Etcd {
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::start_at(free_port(), "http", args).await
    }

    pub(crate) async fn start_at(port: u16, scheme: &'static str, args: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let client = format!("{scheme}://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{}", free_port());
        for (flag, value) in [
            ("--data-dir", dir.path().join("data").display().to_string()),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer.clone()),
            ("--initial-cluster", format!("default={peer}")),
            ("--log-level", "error".into()),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        let child = spawn(&args);
        let etcd = Self { child, port, scheme, args, dir };
        etcd.wait_until_ready().await;
        etcd
    }

    async fn wait_until_ready(&self) {
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                if self.scheme == "https" {
                    return;
                }
                if self.primary().head().await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("etcd on port {} did not come up; its files: {:?}", self.port, self.dir.path());
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(&[self.url()])
    }

    pub(crate) fn primary(&self) -> Primary {
        Primary::new(self.settings()).unwrap()
    }

    pub(crate) fn standby(&self) -> Standby {
        standby(self.settings())
    }

    /// A client without any of our manners.
    pub(crate) async fn raw(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.url()], None).await.unwrap()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.args);
        self.wait_until_ready().await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Reads a number from `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap()
    }
}

fn spawn(args: &[String]) -> Child {
    let binary = binary();
    Command::new(&binary)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("can't run {} ({error})", binary.display()))
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn settings(endpoints: &[String]) -> Settings {
    Settings { endpoints: endpoints.to_vec(), ..Settings::default() }
}

pub(crate) fn standby(settings: Settings) -> Standby {
    let parked = format!("{OWN}parked/registry/").into_bytes();
    let admits = move |key: &[u8]| key.starts_with(b"/registry/") || key.starts_with(&parked);
    Standby::new(settings, OWN, Arc::new(admits)).unwrap()
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::Put { key: Key::from(key), value: Value::from(value) }
}

/// A transaction under the guard that there is no checkpoint yet.
pub(crate) fn txn(writes: Vec<Write>) -> Txn {
    let guard = Guard(vec![(Key::from(format!("{OWN}checkpoint")), Expect::Absent)]);
    Txn { guard, writes, own: Vec::new() }
}

/// Writes keys, one revision each, and returns the last.
pub(crate) async fn fill(etcd: &Etcd, count: usize, value: &str) -> PrimaryRevision {
    let standby = etcd.standby();
    for n in 0..count {
        let write = Write::from(put(&format!("/registry/{n:05}"), value));
        standby.commit(txn(vec![write])).await.unwrap();
    }
    let head: Head<PrimaryRevision> = etcd.primary().head().await.unwrap();
    head.revision
}

/// Reads one key's value.
pub(crate) async fn value(reader: &impl ReadRange, key: &str) -> Option<String> {
    let entries = reader.read_keys(&[Key::from(key)], None).await.unwrap();
    let entry = entries.into_iter().next().unwrap()?;
    Some(String::from_utf8(entry.value.expose().to_vec()).unwrap())
}

pub(crate) fn revision(raw: i64) -> PrimaryRevision {
    PrimaryRevision::new(raw)
}
