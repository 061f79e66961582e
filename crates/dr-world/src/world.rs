//! Answers a plan's probes and does its actions, as far as network and Kubernetes APIs go.

use dr_plan::plan::{Action, Place, Probe, Side, Signal, Target};
use dr_plan::topology::{Cluster, Topology};
use dr_plan::{Answer, Timestamp};

use crate::inside::Inside;
use crate::kube::{self, Kube};
use crate::network::Network;
use crate::network::address::Url;
use crate::words::{NotDone, one_line, unknown};
use crate::{Settings, both};

/// The network and the Kubernetes APIs around a pair of clusters.
#[derive(Clone, Debug)]
pub struct World {
    topology: Topology,
    settings: Settings,
    network: Network,
}

impl World {
    /// Prepares to look at a pair of clusters. Nothing is asked and no file is read yet.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        Self::with(topology, Settings::default())
    }

    /// The same, with time limits and name servers of your own.
    #[must_use]
    pub fn with(topology: &Topology, settings: Settings) -> Self {
        let platform = &topology.platform;
        let network = Network::new(settings.clone(), &*platform.certificate, platform.https_port);
        Self { topology: topology.clone(), settings, network }
    }

    /// Returns the API of a cluster; `None` if the topology has no such workload cluster.
    #[must_use]
    pub fn kube(&self, target: &Target) -> Option<Kube> {
        let (name, access) = match target {
            Target::Side(side) => {
                let cluster = self.cluster(*side);
                (&cluster.name, &cluster.kubernetes)
            }
            Target::Workload(name) => {
                let mut workloads = self.topology.workload_clusters.iter();
                let workload = workloads.find(|cluster| cluster.name == *name)?;
                (&workload.name, &workload.kubernetes)
            }
        };
        Some(Kube::new(name, access.clone(), self.settings.time_limit))
    }

    /// Answers a probe; `None` if it is not for this half, see [`family`](crate::family()).
    ///
    /// `begun` is when the step that it belongs to was begun for the first time.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment. A probe changes nothing; one about tokens has one made that
    /// lives for ten minutes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`family` names every probe")]
    pub async fn probe(&self, probe: &Probe, begun: Option<Timestamp>) -> Option<Answer> {
        let answer = match probe {
            Probe::Resolves { .. }
            | Probe::Connects { .. }
            | Probe::SpeaksEtcd { .. }
            | Probe::CertificateNames { .. }
            | Probe::CertificateFile { .. }
            | Probe::SameCertificate { .. }
            | Probe::PageServed { .. } => self.of_network(probe).await,
            Probe::PodsReady { .. } | Probe::PodsRestarted { .. } | Probe::PodsGone { .. } => {
                self.of_pods(probe, begun).await
            }
            other => self.of_clusters(other, begun).await,
        }?;
        Some(Answer::new(answer.verdict, one_line(&answer.evidence)))
    }

    /// Does an action; `None` if it is not for this half.
    ///
    /// `begun` is when its step was begun for the first time: what came after is not touched again.
    /// The text says what was done.
    ///
    /// # Cancel safety
    ///
    /// Dropped in the middle it may be done in part, or in whole; it may be done again.
    pub async fn act(&self, action: &Action, begun: Timestamp) -> Option<Result<String, NotDone>> {
        let done = match action {
            Action::RaiseShield { side } => self.side(*side).raise_shield().await,
            Action::LowerShield { side } => self.side(*side).lower_shield().await,
            Action::RecordRole { side, role } => {
                self.side(*side).record_role(&self.topology.mirror.namespace, role).await
            }
            Action::RestartControllers { .. } => Err(self.by_hand(action)),
            Action::RestartPods { target, namespace, selector } => match self.kube(target) {
                Some(kube) => kube.restart_pods(namespace, selector, begun).await,
                None => Err(NotDone::Refused(nobody(target))),
            },
            Action::Scale { target, namespace, deployment, replicas } => match self.kube(target) {
                Some(kube) => kube.scale(namespace, deployment, *replicas).await,
                None => Err(NotDone::Refused(nobody(target))),
            },
            Action::RunCheck
            | Action::PauseMirror
            | Action::ResumeMirror
            | Action::FenceMirror
            | Action::AdmitMirror
            | Action::ReleaseParked
            | Action::ExportWrites { .. } => return None,
        };
        Some(done)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`family` names every probe")]
    async fn of_network(&self, probe: &Probe) -> Option<Answer> {
        let network = &self.network;
        Some(match probe {
            Probe::Resolves { name, address, from: Place::Here } => {
                network.resolves(name, address).await
            }
            Probe::Resolves { name, address, from: Place::Inside(side) } => {
                self.inside(&self.side(*side)).resolves(name, address).await
            }
            Probe::Connects { host, port, from: Place::Here } => {
                network.connects(host, *port).await
            }
            Probe::Connects { host, port, from: Place::Inside(side) } => {
                self.inside(&self.side(*side)).connects(host, *port).await
            }
            Probe::SpeaksEtcd { endpoint, side, from } => {
                self.speaks_etcd(endpoint, *side, *from).await
            }
            Probe::CertificateNames { host, port, server_name, names } => {
                network.certificate_names(host, *port, server_name, names).await
            }
            Probe::CertificateFile { file, names } => network.certificate_file(file, names),
            Probe::SameCertificate { hosts, server_name } => {
                network.same_certificate(hosts, server_name).await
            }
            Probe::PageServed { url, address } => network.page_served(url, address).await,
            _ => return None,
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`family` names every probe")]
    async fn of_pods(&self, probe: &Probe, begun: Option<Timestamp>) -> Option<Answer> {
        let (Probe::PodsReady { target, namespace, selector }
        | Probe::PodsRestarted { target, namespace, selector }
        | Probe::PodsGone { target, namespace, selector }) = probe
        else {
            return None;
        };
        let Some(kube) = self.kube(target) else { return Some(unknown(nobody(target))) };
        Some(match probe {
            Probe::PodsReady { .. } => kube.pods_ready(namespace, selector).await,
            Probe::PodsGone { .. } => kube.pods_gone(namespace, selector).await,
            _ => kube.pods_restarted(namespace, selector, begun).await,
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`family` names every probe")]
    async fn of_clusters(&self, probe: &Probe, begun: Option<Timestamp>) -> Option<Answer> {
        let (primary, standby) = (self.side(Side::Primary), self.side(Side::Standby));
        Some(match probe {
            Probe::ControllersRestarted { side } => {
                let nodes = self.cluster(*side).nodes.len();
                self.side(*side).controllers_restarted(nodes, begun).await
            }
            Probe::WritesRefused { side } => self.side(*side).writes_refused().await,
            Probe::ShieldLowered { side } => self.side(*side).shield_lowered().await,
            Probe::RoleRecorded { side, role } => {
                self.side(*side).role_recorded(&self.topology.mirror.namespace, role).await
            }
            Probe::Unreachable { side, signal: Signal::Api } => self.unreachable(*side).await,
            Probe::VersionNotOlder => kube::not_older(&primary, &standby).await,
            Probe::SameVersion => kube::same(&primary, &standby).await,
            Probe::SameTokenSettings => kube::same_settings(&primary, &standby).await,
            Probe::TokenAccepted => kube::token_accepted(&primary, &standby).await,
            Probe::DifferentClusters => kube::different(&primary, &standby).await,
            Probe::ServiceAddressesApart => kube::addresses_apart(&primary, &standby).await,
            Probe::SameFile { path, nodes, secret } => {
                crate::files::same(&self.topology, &self.settings, path, nodes, *secret).await
            }
            _ => return None,
        })
    }

    /// What TLS shows is looked at from here; that pods get there, from inside.
    async fn speaks_etcd(&self, endpoint: &str, side: Side, from: Place) -> Answer {
        let here = self.network.speaks_etcd(endpoint, &self.cluster(side).etcd).await;
        let Place::Inside(inside) = from else { return here };
        let Some(Url { address, .. }) = Url::parse(endpoint) else { return here };
        let inside = self.side(inside);
        let there = self.inside(&inside).connects(&address.host, address.port).await;
        both(there, here)
    }

    async fn unreachable(&self, side: Side) -> Answer {
        let other = match side {
            Side::Primary => Side::Standby,
            Side::Standby => Side::Primary,
        };
        let cluster = self.cluster(side);
        let addresses =
            std::iter::once(&cluster.vip).chain(cluster.nodes.iter().map(|n| &n.address));
        let addresses: Vec<String> = addresses.cloned().collect();
        kube::unreachable(&self.side(side), &addresses, &self.side(other), &self.settings).await
    }

    /// What only the nodes can do is refused, with the lines that do it. Deleting the pods of a
    /// control plane removes their shadows; what casts them goes on running.
    fn by_hand(&self, action: &Action) -> NotDone {
        let lines = action.by_hand(&self.topology).unwrap_or_default();
        let lines = lines.lines().collect::<Vec<_>>().join("; ");
        NotDone::Refused(format!(
            "no API does this; type these lines, one after the other, then run the plan again: \
             {lines}"
        ))
    }

    fn inside<'a>(&'a self, kube: &'a Kube) -> Inside<'a> {
        Inside { kube, mirror_namespace: &self.topology.mirror.namespace }
    }

    fn side(&self, side: Side) -> Kube {
        let cluster = self.cluster(side);
        Kube::new(&*cluster.name, cluster.kubernetes.clone(), self.settings.time_limit)
    }

    const fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::Primary => &self.topology.primary,
            Side::Standby => &self.topology.standby,
        }
    }
}

fn nobody(target: &Target) -> String {
    match target {
        Target::Workload(name) => format!("the topology has no workload cluster {name}"),
        Target::Side(_) => "the topology has no such cluster".to_owned(),
    }
}
