//! How an etcd of the topology is reached.

use std::path::PathBuf;
use std::sync::Arc;

use dr_plan::plan::Side;
use dr_plan::topology::{Cluster, EtcdAccess, Topology};
use etcd_link::{Primary, Settings, SettingsError, Standby};
use keyspace_filter::{OWN_PREFIX, Scope};
use mirror_config::Failure;

/// The etcd of one side.
///
/// A reader is typed as a primary whichever side it reads: what it returns are revisions of that
/// cluster, and it has no way to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EtcdAt<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) side: Side,
}

impl<'a> EtcdAt<'a> {
    pub(crate) const fn cluster(self) -> &'a Cluster {
        match self.side {
            Side::Primary => &self.topology.primary,
            Side::Standby => &self.topology.standby,
        }
    }

    /// Prepares to read the cluster.
    ///
    /// # Errors
    ///
    /// An address or a file can't be used: a usage error that names the field.
    pub(crate) fn reader(self, scope: &Scope) -> Result<Primary, Failure> {
        let mut settings = settings(&self.cluster().etcd);
        settings.probe_key = scope.primary_hull().start().clone();
        Primary::new(settings).map_err(|error| self.wrong(&error))
    }

    /// Prepares to read one member alone.
    ///
    /// # Errors
    ///
    /// See [`EtcdAt::reader`].
    pub(crate) fn member(self, endpoint: &str) -> Result<Primary, Failure> {
        let settings =
            Settings { endpoints: vec![endpoint.to_owned()], ..settings(&self.cluster().etcd) };
        Primary::new(settings).map_err(|error| self.wrong(&error))
    }

    /// Prepares the cluster as what a mirror writes: the mirror's own keys may be written, no other.
    ///
    /// # Errors
    ///
    /// See [`EtcdAt::reader`].
    pub(crate) fn mirrored(self) -> Result<Standby, Failure> {
        let own = format!("{OWN_PREFIX}{}/", self.topology.mirror.name);
        Standby::new(settings(&self.cluster().etcd), &own, Arc::new(|_| false))
            .map_err(|error| self.wrong(&error))
    }

    /// Prepares the cluster for the release of what is parked there: nothing but the mirror's own
    /// keys, those in `scope` and the own places of those that it holds may be written.
    ///
    /// # Errors
    ///
    /// See [`EtcdAt::reader`].
    pub(crate) fn releasing(self, scope: Scope) -> Result<Standby, Failure> {
        let own = format!("{OWN_PREFIX}{}/", self.topology.mirror.name);
        let admits = Arc::new(move |key: &[u8]| scope.admits_release(key));
        Standby::new(settings(&self.cluster().etcd), &own, admits)
            .map_err(|error| self.wrong(&error))
    }

    fn wrong(self, error: &SettingsError) -> Failure {
        let role = match self.side {
            Side::Primary => "primary",
            Side::Standby => "standby",
        };
        Failure::usage(format!("{role}.etcd.{}: {}", error.field(), error.problem()))
    }
}

fn settings(etcd: &EtcdAccess) -> Settings {
    let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    // Without TLS the files are not used, whatever the topology says of them.
    let tls = etcd.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
    let file = |path: &str| file(path).filter(|_| tls);
    Settings {
        endpoints: etcd.endpoints.clone(),
        cacert: file(&etcd.cacert),
        cert: file(&etcd.cert),
        key: file(&etcd.key),
        ..Settings::default()
    }
}
