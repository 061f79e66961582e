//! Mirrors a primary cluster's etcd into a standby cluster's: arguments in, exit code out.
#![forbid(unsafe_code)]

mod certificates;
mod checks;
mod cli;
mod commands;
#[cfg(test)]
mod documented;
mod election;
mod explain;
mod flags;
mod gates;
mod once;
mod orders;
mod outcome;
mod plan;
mod preflight;
mod progress;
mod release;
mod repair;
mod report;
mod run;
mod samples;
mod settings;
mod table;

use std::process::ExitCode;

use mirror_config::{Exit, Failure, output};

// Watch answers are many small allocations: several times faster to decode than with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
            output::complain(&message);
            exit.into()
        }
    }
}
