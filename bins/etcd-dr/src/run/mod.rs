//! `etcd-dr PLAN`: a plan, run.
//!
//! The plan's state machine says what to do next; here it is done, one thing after the other, and
//! handed back. Before anything is done its line is in the journal and on the disk, so that whoever
//! comes after a crash knows what may have happened.

mod asker;
mod guard;
mod journal_file;
mod outcome;
mod pair;
mod prepared;
mod teller;
mod whom;

pub(crate) use guard::StartAt;
pub(crate) use journal_file::JournalFile;
pub(crate) use pair::Pair;
pub(crate) use prepared::Prepared;
pub(crate) use whom::operator;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dr_plan::Timestamp;
use dr_plan::journal::Event;
use dr_plan::plan::PlanName;
use dr_plan::runner::{Effect, Input, Outcome, Runner};
use mirror_config::{Exit, Failure};

use crate::cli::Form;
use crate::flags::{self, RunFlags};
use crate::interrupt::until_interrupted;
use asker::{Asker, Said};
use outcome::Ended;
use teller::Teller;

/// The journal's name, beside the topology file, unless told otherwise.
const JOURNAL: &str = "journal.jsonl";

/// Runs a plan, or goes on with it.
pub(crate) fn run(name: PlanName, flags: &RunFlags, form: Form) -> Result<Exit, Failure> {
    form.is_for_results()?;
    let place = Place::new(flags);
    let (journal, entries) = JournalFile::open(&place.journal)?;
    let Prepared { topology, plan, runner, asker, from, .. } =
        Prepared::new(name, flags, &entries)?;
    let pair = Pair::new(&topology, &flags.look, &place.folder)?;
    let mut performer =
        Performer { runner, journal, pair, asker, from, teller: Teller::new(&plan) };
    // With the same command a plan is gone on with.
    let resume = as_given(|_| true);
    let ended = until_interrupted(performer.perform()).map_err(|failure| {
        if failure.exit != Exit::Interrupted {
            return failure;
        }
        Failure::interrupted(format!(
            "interrupted; what was done is written down: go on with `{resume}`"
        ))
    })?;
    outcome::show(&ended, &plan, &performer.journal, &resume, form)
}

/// The command as it was given, to be pasted into a shell, of what is wanted in it.
pub(crate) fn as_given(wanted: impl Fn(&str) -> bool) -> String {
    let given = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let given: Vec<String> = given.filter(|arg| wanted(arg)).collect();
    flags::shell_line(given.iter().map(String::as_str))
}

/// Where the files of a run are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The folder of the topology file.
    pub(crate) folder: PathBuf,
    /// The journal.
    pub(crate) journal: PathBuf,
}

impl Place {
    pub(crate) fn new(flags: &RunFlags) -> Self {
        Self::beside(&flags.topology.file, flags.journal.as_deref())
    }

    /// The journal lies beside the topology file, unless it is named.
    pub(crate) fn beside(topology: &Path, journal: Option<&Path>) -> Self {
        let folder = topology.parent().map(Path::to_owned).unwrap_or_default();
        let journal = journal.map_or_else(|| folder.join(JOURNAL), Path::to_owned);
        Self { folder, journal }
    }
}

/// Does what the state machine says.
struct Performer {
    runner: Runner,
    journal: JournalFile,
    pair: Pair,
    asker: Asker,
    from: StartAt,
    teller: Teller,
}

impl Performer {
    async fn perform(&mut self) -> Result<Ended, Failure> {
        let mut input = Input::Start;
        loop {
            let now = Timestamp::from(SystemTime::now());
            input = match self.runner.handle(now, input) {
                Effect::Finished(outcome) => return Ok(Ended::By(outcome)),
                Effect::Journal(event) => {
                    if let Some(why) = self.from.forbids(&event) {
                        return Ok(Ended::Stopped { why });
                    }
                    self.write(now, event)?;
                    Input::Journaled
                }
                Effect::Probe { check, begun } => {
                    let answer = self.pair.probe(&check.probe, begun).await;
                    self.teller.answered(&check, &answer);
                    Input::Answered(answer)
                }
                Effect::Act { action, begun, .. } => {
                    let acted = self.pair.act(&action, begun).await;
                    self.teller.acted(&acted);
                    Input::Acted(acted)
                }
                Effect::Ask(question) => match self.asker.ask(&question).await {
                    Said::Reply(reply) => Input::Replied(reply),
                    Said::Nobody(why) => return Ok(Ended::Stopped { why }),
                },
                Effect::Wait(pause) => {
                    tokio::time::sleep(pause).await;
                    Input::Woke
                }
            };
        }
    }

    fn write(&mut self, now: Timestamp, event: Event) -> Result<(), Failure> {
        self.teller.happened(&event);
        self.journal.append(now, event)
    }
}

/// What a run comes to, for whoever only needs to know whether it is over.
impl Ended {
    const fn is_complete(&self) -> bool {
        matches!(self, Self::By(Outcome::Completed))
    }
}
