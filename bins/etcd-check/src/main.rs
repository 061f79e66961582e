//! Compares a primary and a standby, from anywhere: arguments in, exit code out.
#![forbid(unsafe_code)]

mod basis;
mod cli;
mod commands;
mod compare;
mod compare_once;
mod digest;
mod files;
mod flags;
mod interrupt;
mod options;
mod origin;
mod progress;
mod show;
mod values;

use std::process::ExitCode;

use mirror_config::{Exit, Failure, output};

// Pages are many small allocations: several times faster to decode than with glibc's.
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
