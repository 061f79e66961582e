//! The operator's runbook: arguments in, exit code out.
#![forbid(unsafe_code)]

mod abandon;
mod cli;
mod commands;
mod fence;
mod files;
mod flags;
mod init;
mod interrupt;
mod mirror;
mod preflight;
mod rehearse;
mod report;
mod run;
mod runbook;
mod terminal;

use std::process::ExitCode;

use mirror_config::{Exit, Failure, output};

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are no errors; whoever closed the pipe has read enough.
            let _ = usage.print();
            return if usage.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match commands::execute(cli) {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            // Everything that is wrong with a file is told at once, on a line each.
            message.lines().for_each(output::complain);
            exit.into()
        }
    }
}
