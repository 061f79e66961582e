//! Real etcds: one member or three, on ports and in a directory of their own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::binaries::EtcdBinaries;
use crate::process::Process;
use crate::tls::Certificates;
use crate::{eventually, http, ports};

/// How to speak to a cluster: cheap to clone, and enough to connect again and again.
#[derive(Clone, Debug)]
pub struct Access {
    /// Client URLs, one per member.
    pub endpoints: Vec<String>,
    /// The certificates, where the cluster wants some.
    pub certificates: Option<Certificates>,
    /// Name and password, where authentication is on.
    pub user: Option<(String, String)>,
}

impl Access {
    /// Connects to one member. (A client of several picks dead ones too.)
    ///
    /// # Panics
    ///
    /// If that takes longer than twenty seconds.
    pub async fn client_of(&self, member: usize) -> Client {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(20));
        if let Some(certificates) = &self.certificates {
            let read = |path: PathBuf| std::fs::read(path).expect("certificate file");
            options = options.with_tls(
                TlsOptions::new()
                    .ca_certificate(Certificate::from_pem(read(certificates.ca())))
                    .identity(Identity::from_pem(
                        read(certificates.cert("client")),
                        read(certificates.key("client")),
                    )),
            );
        }
        if let Some((name, password)) = &self.user {
            options = options.with_user(name, password);
        }
        let endpoint = self.endpoints[member].as_str();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match Client::connect([endpoint], Some(options.clone())).await {
                Ok(client) => return client,
                Err(error) => {
                    assert!(Instant::now() < deadline, "no connection to {endpoint}: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Connects to the first member.
    pub async fn client(&self) -> Client {
        self.client_of(0).await
    }
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    metrics: u16,
    process: Option<Process>,
}

impl Member {
    fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }
}

/// A cluster of real etcds. Dropping it kills the members and removes their data.
pub struct Etcd {
    binaries: EtcdBinaries,
    // Dropped in this order: a member that a test leaves shows the end of its log, which lies there.
    members: Vec<Member>,
    dir: TempDir,
    access: Access,
    flags: Vec<String>,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("endpoints", &self.access.endpoints)
            .field("dir", &self.dir.path())
            .finish_non_exhaustive()
    }
}

/// What an [`Etcd`] is to be like.
#[derive(Clone, Debug)]
pub struct EtcdBuilder {
    binaries: EtcdBinaries,
    members: usize,
    tls: bool,
    flags: Vec<String>,
}

impl EtcdBuilder {
    /// Starts it as many members; 1 unless told.
    #[must_use]
    pub const fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// Wants client certificates, both ways.
    #[must_use]
    pub const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts the version that standbys are tested with.
    #[must_use]
    pub fn standby(mut self) -> Self {
        self.binaries = EtcdBinaries::standby();
        self
    }

    /// Adds a flag, such as `--quota-backend-bytes=16777216`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Makes idle watches hear of progress this often. 3.4 can't: every ten minutes there.
    #[must_use]
    pub fn progress_every(self, interval: Duration) -> Self {
        let name = match self.binaries.series {
            (3, ..=4) => return self,
            (3, 5) => "--experimental-watch-progress-notify-interval",
            _ => "--watch-progress-notify-interval",
        };
        self.flag(format!("{name}={}ms", interval.as_millis()))
    }

    /// Starts the members and waits until each can answer.
    ///
    /// # Panics
    ///
    /// If one does not within thirty seconds; its log is in the message.
    pub async fn start(self) -> Etcd {
        // In memory where possible: a test that waits for a disk tests the disk.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new()
            .prefix("etcd-e2e-")
            .tempdir_in(&parent)
            .or_else(|_| tempfile::tempdir())
            .expect("a directory for etcd");
        let member = |index: usize| Member {
            name: format!("m{index}"),
            client: ports::free(),
            peer: ports::free(),
            metrics: ports::free(),
            process: None,
        };
        let members: Vec<Member> = (0..self.members).map(member).collect();
        let certificates = self.tls.then(|| Certificates::generate(&dir.path().join("tls")));
        let scheme = if self.tls { "https" } else { "http" };
        let endpoints =
            members.iter().map(|member| format!("{scheme}://127.0.0.1:{}", member.client));
        let access = Access { endpoints: endpoints.collect(), certificates, user: None };
        let Self { binaries, flags, .. } = self;
        let mut etcd = Etcd { binaries, dir, members, access, flags };
        for member in 0..etcd.members.len() {
            etcd.spawn(member);
        }
        etcd.wait_ready().await;
        etcd
    }
}

impl Etcd {
    /// Returns the settings of a cluster, to be changed and started.
    #[must_use]
    pub fn builder() -> EtcdBuilder {
        EtcdBuilder { binaries: EtcdBinaries::primary(), members: 1, tls: false, flags: Vec::new() }
    }

    /// Starts one member without TLS.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts one member without TLS, of the version that standbys are tested with.
    pub async fn start_standby() -> Self {
        Self::builder().standby().start().await
    }

    /// Returns the client URLs, one per member.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.access.endpoints.clone()
    }

    /// Returns all that is needed to connect.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Connects to the first member.
    pub async fn client(&self) -> Client {
        self.access.client().await
    }

    /// Returns the certificates of a cluster that was started with them.
    ///
    /// # Panics
    ///
    /// If it was not.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        self.access.certificates.as_ref().expect("started without tls()")
    }

    /// Returns the programs that it was started from.
    #[must_use]
    pub const fn binaries(&self) -> &EtcdBinaries {
        &self.binaries
    }

    /// Returns the cluster's directory, which goes when the cluster goes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn data_dir(&self, member: usize) -> PathBuf {
        self.dir.path().join(format!("{}.data", self.members[member].name))
    }

    fn initial_cluster(&self) -> String {
        let part = |member: &Member| format!("{}={}", member.name, member.peer_url());
        self.members.iter().map(part).collect::<Vec<_>>().join(",")
    }

    fn spawn(&mut self, index: usize) {
        let member = &self.members[index];
        assert!(member.process.is_none(), "{} runs already", member.name);
        let client = &self.access.endpoints[index];
        let mut command = Command::new(&self.binaries.etcd);
        command
            .args(["--name", &member.name])
            .arg("--data-dir")
            .arg(self.data_dir(index))
            .args(["--listen-client-urls", client])
            .args(["--advertise-client-urls", client])
            .args(["--listen-peer-urls", &member.peer_url()])
            .args(["--initial-advertise-peer-urls", &member.peer_url()])
            .args(["--initial-cluster", &self.initial_cluster()])
            .args(["--listen-metrics-urls", &format!("http://127.0.0.1:{}", member.metrics)])
            .args(["--logger", "zap", "--log-level", "warn"]);
        if self.binaries.series >= (3, 5) {
            command.arg("--unsafe-no-fsync");
        }
        if let Some(certificates) = &self.access.certificates {
            command
                .arg("--cert-file")
                .arg(certificates.cert("server"))
                .arg("--key-file")
                .arg(certificates.key("server"))
                .arg("--trusted-ca-file")
                .arg(certificates.ca())
                .arg("--client-cert-auth");
        }
        command.args(&self.flags);
        let log = self.dir.path().join(format!("{}.log", member.name));
        let process = Process::spawn("etcd", &mut command, &log);
        self.members[index].process = Some(process);
    }

    /// Waits until every running member sees a leader and can answer.
    pub async fn wait_ready(&mut self) {
        for member in &mut self.members {
            let address = format!("127.0.0.1:{}", member.metrics);
            let Some(process) = member.process.as_mut() else { continue };
            eventually("etcd is ready", Duration::from_secs(30), async || {
                assert!(process.ended().is_none(), "etcd ended:\n{}", process.tail(20));
                let health = http::get(&address, "/health", &[]).await.ok()?;
                (health.status == 200).then_some(())
            })
            .await;
        }
    }

    /// Returns a member's process.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn process(&mut self, member: usize) -> &mut Process {
        self.members[member].process.as_mut().expect("this member does not run")
    }

    /// Stops all members in an orderly way (SIGTERM). [`Etcd::restart`] starts them again.
    pub fn stop(&mut self) {
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                process.signal(Signal::TERM);
            }
        }
        for member in &mut self.members {
            if let Some(mut process) = member.process.take() {
                process.wait(Duration::from_secs(30));
            }
        }
    }

    /// Kills one member (SIGKILL).
    pub fn kill_member(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].process.take() {
            process.kill();
        }
    }

    /// Kills all members (SIGKILL).
    pub fn kill(&mut self) {
        for member in 0..self.members.len() {
            self.kill_member(member);
        }
    }

    /// Freezes all members (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&mut self) {
        self.members
            .iter_mut()
            .filter_map(|member| member.process.as_mut())
            .for_each(Process::freeze);
    }

    /// Lets frozen members go on (SIGCONT).
    pub fn thaw(&mut self) {
        self.members
            .iter_mut()
            .filter_map(|member| member.process.as_mut())
            .for_each(Process::thaw);
    }

    /// Starts the members that don't run, on the same ports and data, and waits for them.
    pub async fn restart(&mut self) {
        for member in 0..self.members.len() {
            if self.members[member].process.is_none() {
                self.spawn(member);
            }
        }
        self.wait_ready().await;
    }

    /// Adds a flag that counts from the next start of a member on.
    pub fn add_flag(&mut self, flag: impl Into<String>) {
        self.flags.push(flag.into());
    }

    /// Kills all members and removes their data. [`Etcd::restart`] then begins a new history under
    /// the same cluster id.
    pub fn wipe(&mut self) {
        self.kill();
        for member in 0..self.members.len() {
            let data = self.data_dir(member);
            if data.exists() {
                std::fs::remove_dir_all(data).expect("remove etcd's data");
            }
        }
    }

    /// Saves a snapshot of the first member and returns its file.
    pub fn save_snapshot(&self) -> PathBuf {
        let file = self.dir.path().join(format!("snapshot-{}.db", ports::free()));
        let file_name = file.to_str().expect("a path of ours is UTF-8").to_owned();
        self.etcdctl(&["snapshot", "save", &file_name]);
        file
    }

    /// Kills all members, puts the snapshot in place of their data and starts them again. As after
    /// a disaster, but with the cluster id of before.
    pub async fn restore_snapshot(&mut self, snapshot: &Path) {
        self.restore(snapshot, &[]).await;
    }

    /// The same, as `etcdutl snapshot restore --bump-revision --mark-compacted` does it: the next
    /// revision is higher by `margin`, and everything before it is compacted.
    ///
    /// # Panics
    ///
    /// If it does not succeed: 3.4 before 3.4.27 and 3.5 before 3.5.10 can't.
    pub async fn restore_bumped(&mut self, snapshot: &Path, margin: u64) {
        let margin = margin.to_string();
        self.restore(snapshot, &["--bump-revision", &margin, "--mark-compacted"]).await;
    }

    /// The same, with every revision so far compacted and the next one higher by `margin`.
    ///
    /// # Panics
    ///
    /// If it does not succeed: 3.4 before 3.4.27 and 3.5 before 3.5.10 can't.
    pub async fn lift_revision(&mut self, margin: u64) {
        let snapshot = self.save_snapshot();
        self.restore_bumped(&snapshot, margin).await;
    }

    /// The same, as a cluster with another token, and so with another id.
    pub async fn restore_as(&mut self, snapshot: &Path, token: &str) {
        self.add_flag(format!("--initial-cluster-token={token}"));
        self.restore(snapshot, &["--initial-cluster-token", token]).await;
    }

    async fn restore(&mut self, snapshot: &Path, flags: &[&str]) {
        self.wipe();
        let cluster = self.initial_cluster();
        let tool = match &self.binaries.etcdutl {
            Some(etcdutl) => etcdutl,
            None if self.binaries.series < (3, 6) => &self.binaries.etcdctl,
            None => panic!("etcd 3.6 and later restore snapshots with etcdutl: set ETCDUTL_BIN"),
        };
        for (index, member) in self.members.iter().enumerate() {
            let mut command = Command::new(tool);
            command
                .env("ETCDCTL_API", "3")
                .args(["snapshot", "restore"])
                .arg(snapshot)
                .arg("--data-dir")
                .arg(self.data_dir(index))
                .args(["--name", &member.name])
                .args(["--initial-cluster", &cluster])
                .args(["--initial-advertise-peer-urls", &member.peer_url()])
                .args(flags);
            run(&mut command);
        }
        self.restart().await;
    }

    /// Runs `etcdctl` against the cluster and returns what it printed.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn etcdctl(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.binaries.etcdctl);
        // A snapshot is of one member.
        let endpoints = if args.first() == Some(&"snapshot") {
            self.access.endpoints[0].clone()
        } else {
            self.access.endpoints.join(",")
        };
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints);
        if let Some(certificates) = &self.access.certificates {
            command.arg("--cacert").arg(certificates.ca());
            command.arg("--cert").arg(certificates.cert("client"));
            command.arg("--key").arg(certificates.key("client"));
        }
        if let Some((name, password)) = &self.access.user {
            command.arg("--user").arg(format!("{name}:{password}"));
        }
        run(command.args(args))
    }

    /// Turns authentication on with a user `root`, as whom [`Etcd::client`] speaks from then on.
    pub async fn enable_auth(&mut self, password: &str) {
        let mut client = self.client().await;
        client.role_add("root").await.expect("role root");
        client.user_add("root", password, None).await.expect("user root");
        client.user_grant_role("root", "root").await.expect("root is root");
        client.auth_enable().await.expect("authentication on");
        self.access.user = Some(("root".to_owned(), password.to_owned()));
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("can't run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
