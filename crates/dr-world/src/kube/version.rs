//! Which version of Kubernetes a cluster runs.

use dr_plan::Answer;

use super::error::untold;
use super::{Kube, KubeError, text};
use crate::words::{fails, holds, unknown};

/// A version, as far as it orders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    numbers: [u64; 3],
    /// As it is told.
    told: String,
}

impl Version {
    /// Reads `v1.30.2`, whatever a vendor puts behind it.
    fn parse(told: &str) -> Option<Self> {
        let bare = told.trim_start_matches('v');
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        let mut parts = bare.get(..end)?.split('.').map(str::parse);
        let mut next = || parts.next()?.ok();
        let numbers = [next()?, next()?, next().unwrap_or_default()];
        Some(Self { numbers, told: told.to_owned() })
    }
}

impl Kube {
    async fn version(&self) -> Result<String, KubeError> {
        Ok(text(&self.get("/version").await?, "/gitVersion").to_owned())
    }
}

/// Reads both.
async fn versions(primary: &Kube, standby: &Kube) -> Result<(Version, Version), Answer> {
    let (ours, theirs) = tokio::join!(primary.version(), standby.version());
    let ours = ours.map_err(|error| untold(&primary.name, &error))?;
    let theirs = theirs.map_err(|error| untold(&standby.name, &error))?;
    let read = |kube: &Kube, told: &str| {
        Version::parse(told)
            .ok_or_else(|| unknown(format!("{} says it is version {told:?}", kube.name)))
    };
    Ok((read(primary, &ours)?, read(standby, &theirs)?))
}

fn told(primary: &Kube, standby: &Kube, ours: &Version, theirs: &Version) -> String {
    format!(
        "Kubernetes on {} is {}, on {} {}; the platform's own version is not looked at",
        primary.name, ours.told, standby.name, theirs.told
    )
}

/// Says whether the standby's version of Kubernetes is not older than the primary's.
pub(crate) async fn not_older(primary: &Kube, standby: &Kube) -> Answer {
    match versions(primary, standby).await {
        Err(answer) => answer,
        Ok((ours, theirs)) => {
            let evidence = told(primary, standby, &ours, &theirs);
            if theirs.numbers >= ours.numbers { holds(evidence) } else { fails(evidence) }
        }
    }
}

/// Says whether both run the same version of Kubernetes, to the letter.
pub(crate) async fn same(primary: &Kube, standby: &Kube) -> Answer {
    match versions(primary, standby).await {
        Err(answer) => answer,
        Ok((ours, theirs)) => {
            let evidence = told(primary, standby, &ours, &theirs);
            if theirs == ours { holds(evidence) } else { fails(evidence) }
        }
    }
}
