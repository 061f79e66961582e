//! Both halves of a pair of clusters: whoever can answer a probe or do an action does.

use std::path::Path;
use std::sync::Arc;

use dr_plan::plan::{Action, Probe};
use dr_plan::runner::Acted;
use dr_plan::topology::Topology;
use dr_plan::{Answer, Timestamp, Verdict};
use dr_world::{Settings, World, acted, both};
use mirror_config::{Config, Failure, FileConfig, parts};

use crate::flags::LookFlags;
use crate::mirror::Etcds;
use crate::run::operator;

/// Both halves of a pair of clusters.
#[derive(Debug)]
pub(crate) struct Pair {
    world: World,
    etcds: Etcds,
}

impl Pair {
    /// Prepares to look at the pair; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// A file or an address can't be used.
    pub(crate) fn new(
        topology: &Topology,
        look: &LookFlags,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let settings = Settings { name_servers: look.name_server.clone(), ..Settings::default() };
        let world = World::with(topology, settings);
        let file = look.mirror_config.as_deref().map(FileConfig::read).transpose()?;
        let config = Config::new(FileConfig::default(), file.unwrap_or_default())?;
        let scope = parts::scope(&config)?;
        // The keys may lie in the cluster alone: without them what is encrypted is not opened.
        let keyring = parts::keyring(&config).unwrap_or_else(|why| {
            tracing::warn!("{}", why.message);
            None
        });
        let folder = folder.to_owned();
        let etcds = Etcds::new(topology, scope, keyring.map(Arc::new), folder, world.clone())?;
        Ok(Self { world, etcds })
    }

    /// Finds something out.
    pub(crate) async fn probe(&self, probe: &Probe, begun: Option<Timestamp>) -> Answer {
        // Boxed: as large as the largest of all that can be asked.
        let etcds = Box::pin(self.etcds.probe(probe, begun));
        let halves = tokio::join!(etcds, Box::pin(self.world.probe(probe, begun)));
        let answer = match halves {
            (Some(one), Some(other)) => both(one, other),
            (Some(answer), None) | (None, Some(answer)) => answer,
            (None, None) => Answer::new(Verdict::Unknown, "nothing here can tell"),
        };
        Answer::new(answer.verdict, one_line(&answer.evidence))
    }

    /// Does something.
    pub(crate) async fn act(&self, action: &Action, begun: Timestamp) -> Acted {
        if let Some(acted) = self.etcds.act(action, &operator()).await {
            return acted;
        }
        match self.world.act(action, begun).await {
            Some(outcome) => acted(outcome),
            None => Acted::Refused("nothing here can do that".to_owned()),
        }
    }

    /// Returns the half that speaks to etcd and to the mirror.
    pub(crate) const fn etcds(&self) -> &Etcds {
        &self.etcds
    }
}

/// Evidence is one line of a journal, whatever a server put into it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2_000).collect()
}
