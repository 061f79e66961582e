//! What was asked for, once nothing is wrong with it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use etcd_mvcc::{PrimaryRevision, Revision as _};
use mirror_config::Failure;

use crate::files;
use crate::flags::CheckFlags;
use crate::values::Format;

/// How to compare, and what to tell.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How the result is written.
    pub(crate) format: Format,
    /// The primary's revision to compare at; `None` for the newest that can be compared.
    pub(crate) at_revision: Option<PrimaryRevision>,
    /// Compare only keys of these namespaces; empty for no such condition.
    pub(crate) namespaces: BTreeSet<String>,
    /// How many keys of each kind are named; all are counted.
    pub(crate) named_max: usize,
    /// How long a difference must last to be reported; `None` to report what one look finds.
    pub(crate) min_age: Option<Duration>,
    /// Compare which keys there are, not what they hold.
    pub(crate) keys_only: bool,
    /// Where to write the plan of a repair; its directory exists.
    pub(crate) repair_plan: Option<PathBuf>,
    /// The rate of reading, both sides together; `None` for as fast as it goes.
    pub(crate) bytes_per_second: Option<u64>,
    /// How many parts are compared side by side, 1 to 32.
    pub(crate) parallel: usize,
    /// Pin the newest state of both sides, whatever a mirror has noted on the standby.
    pub(crate) no_mirror: bool,
}

impl Options {
    /// Refuses what can't be meant.
    pub(crate) fn new(flags: CheckFlags, format: Format) -> Result<Self, Failure> {
        let options = Self {
            format,
            at_revision: flags.at_revision.map(PrimaryRevision::new),
            namespaces: flags.namespaces.into_iter().map(|namespace| namespace.0).collect(),
            named_max: flags.limit,
            min_age: flags.min_age.map(|span| span.0),
            keys_only: flags.keys_only == Some(true),
            repair_plan: flags.repair_plan,
            bytes_per_second: flags.rate.map(|rate| rate.0.get()),
            parallel: usize::from(flags.parallel),
            no_mirror: flags.no_mirror == Some(true),
        };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.at_revision.is_some() && self.min_age.is_some() {
            return Err(Failure::usage(
                "--min-age: compares again at a newer revision, but --at-revision names one; give \
                 one of them",
            ));
        }
        let Some(plan) = &self.repair_plan else { return Ok(()) };
        if self.keys_only {
            return Err(Failure::usage(
                "--repair-plan: a plan needs the values compared; leave out --keys-only",
            ));
        }
        files::creatable("--repair-plan", plan)
    }
}
