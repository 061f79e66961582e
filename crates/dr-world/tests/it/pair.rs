//! Two clusters on 127.0.0.1, and the world around them.

use std::time::{Duration, Instant, SystemTime};

use dr_plan::plan::{Action, Probe};
use dr_plan::topology::{Answers, ClusterAnswers, Topology};
use dr_plan::{Answer, Timestamp, Verdict};
use dr_world::{NotDone, Settings, World};
use tempfile::TempDir;

use crate::support::kube::KubeServer;

/// Long enough for a handshake on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// Short enough to wait for.
pub(crate) const HASTE: Duration = Duration::from_millis(700);

pub(crate) struct Pair {
    pub(crate) dir: TempDir,
    pub(crate) primary: KubeServer,
    pub(crate) standby: KubeServer,
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
}

/// The topology of a pair whose files are nowhere.
pub(crate) fn topology() -> Topology {
    let cluster = |name: &str, network: u8| ClusterAnswers {
        name: name.into(),
        vip: format!("10.{network}.0.100"),
        nodes: vec![(format!("{name}-m1"), format!("10.{network}.0.1"))],
        kubeconfig: format!("/nowhere/{name}.kubeconfig"),
        context: String::new(),
    };
    let file = Topology::commented(&Answers {
        domain: "platform.example.org".into(),
        certificate: "/nowhere/platform.crt".into(),
        primary: cluster("east", 0),
        standby: cluster("west", 1),
        components: vec![],
    });
    Topology::parse(&file).unwrap()
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (primary, standby) = (KubeServer::start(None).await, KubeServer::start(None).await);
        let mut topology = topology();
        for (cluster, server) in
            [(&mut topology.primary, &primary), (&mut topology.standby, &standby)]
        {
            let file = dir.path().join(&cluster.name);
            server.kubeconfig(&file, "");
            cluster.kubernetes.kubeconfig = file.to_str().unwrap().to_owned();
            cluster.vip = "127.0.0.1".to_owned();
            cluster.nodes[0].address = "127.0.0.1".to_owned();
        }
        let settings = Settings {
            api_port: crate::support::tls::nobody().await.port(),
            time_limit: PATIENCE,
            attempts: 2,
            pause: Duration::from_millis(10),
            name_servers: Vec::new(),
            resolv_conf: dir.path().join("resolv.conf"),
            ssh: dir.path().join("ssh"),
        };
        Self { dir, primary, standby, topology, settings }
    }

    pub(crate) fn world(&self) -> World {
        World::with(&self.topology, self.settings.clone())
    }

    pub(crate) async fn ask(&self, probe: &Probe) -> Answer {
        self.world().probe(probe, None).await.unwrap()
    }

    pub(crate) async fn ask_since(&self, probe: &Probe, begun: Timestamp) -> Answer {
        self.world().probe(probe, Some(begun)).await.unwrap()
    }

    pub(crate) async fn act(&self, action: &Action) -> Result<String, NotDone> {
        self.world().act(action, now()).await.unwrap()
    }

    /// Asks until it holds.
    pub(crate) async fn wait_for(&self, probe: &Probe, begun: Timestamp) {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask_since(probe, begun).await;
            if answer.verdict == Verdict::Holds {
                return;
            }
            assert!(Instant::now() < until, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The verdict, and what the evidence has to contain.
#[track_caller]
pub(crate) fn assert_says(answer: &Answer, verdict: Verdict, part: &str) {
    assert_eq!(answer.verdict, verdict, "{}", answer.evidence);
    assert!(answer.evidence.contains(part), "{:?} lacks {part:?}", answer.evidence);
    assert!(!answer.evidence.contains('\n'), "{:?}", answer.evidence);
    assert!(!answer.evidence.contains("s3cr3t"), "{:?}", answer.evidence);
}
