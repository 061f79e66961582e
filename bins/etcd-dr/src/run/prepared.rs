//! A plan and the flags that it is called with, before anything is asked or done.

use dr_plan::journal::{Entry, Progress};
use dr_plan::plan::{Plan, PlanName};
use dr_plan::runner::{Overrides, Refusal, Runner};
use dr_plan::topology::Topology;
use mirror_config::Failure;

use super::asker::Asker;
use super::guard::StartAt;
use crate::files;
use crate::flags::RunFlags;

/// What fits together: whoever only looks is refused what a run would be.
pub(crate) struct Prepared {
    pub(crate) topology: Topology,
    pub(crate) plan: Plan,
    pub(crate) overrides: Overrides,
    pub(crate) runner: Runner,
    pub(super) asker: Asker,
    pub(crate) from: StartAt,
}

impl Prepared {
    /// Reads the topology, and takes the flags.
    ///
    /// # Errors
    ///
    /// A mistake in the file or on the command line; the journal is in the middle of something else.
    pub(crate) fn new(
        name: PlanName,
        flags: &RunFlags,
        journal: &[Entry],
    ) -> Result<Self, Failure> {
        let progress = Progress::from(journal);
        let topology = as_begun(files::topology(&flags.topology)?, progress.as_ref());
        let plan = Plan::new(name, &topology);
        let overrides = Overrides::new(&plan, flags.overridden()?).map_err(|no| refused(&no))?;
        let from = StartAt::new(&plan, flags.from.as_deref())?;
        let asker = Asker::new(&plan, flags)?;
        let digest = topology.digest();
        let runner = Runner::new(plan.clone(), &digest, overrides.clone(), progress);
        let runner = runner.map_err(|no| refused(&no))?;
        Ok(Self { topology, plan, overrides, runner, asker, from })
    }
}

/// A plan that tells somebody to exchange the roles in the file is gone on with after they did. A
/// gate that tells so is judged by the file as it is.
fn as_begun(topology: Topology, progress: Option<&Progress>) -> Topology {
    let swapped = topology.swapped();
    let begun_with_swapped = progress.is_some_and(|progress| {
        progress.is_under_way() && progress.opening.topology_digest == swapped.digest().as_str()
    });
    if begun_with_swapped { swapped } else { topology }
}

/// A mistake on the command line is one of usage; the rest is a guard that holds.
fn refused(refusal: &Refusal) -> Failure {
    if matches!(refusal, Refusal::NoReason { .. } | Refusal::NoSuchGate { .. }) {
        return Failure::usage(format!("--override: {refusal}"));
    }
    Failure::refused(refusal)
}
