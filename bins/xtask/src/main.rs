//! Development tasks: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask etcd`.
//!
//! Each brings what it needs (etcd above all), says what it does, and needs no second command.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod bench;
mod demo;
mod etcd;
mod gateway;
mod keyspace;
mod packages;
mod paths;
mod process;
mod tests;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::etcd::Series;

/// Development tasks
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Task {
    /// Show the mirror at work: two etcds, a Kubernetes keyspace, a change that arrives
    #[command(after_help = "Example:\n  cargo xtask demo --once")]
    Demo(demo::Flags),
    /// Run all tests, those on real etcds included
    #[command(after_help = "Examples:\n  \
        cargo xtask test\n  \
        cargo xtask test --etcd all\n  \
        cargo xtask test --primary 3.5 --standby 3.6\n  \
        cargo xtask test -- -p keyspace-filter")]
    Test(tests::Flags),
    /// Measure the mirror against etcdctl make-mirror: base copy, lag, sustained load
    #[command(after_help = "Example:\n  BENCH_KEYS=100000 cargo xtask bench")]
    Bench {
        /// Which etcd; the newest that can be had, unless told
        #[arg(long, value_enum)]
        etcd: Option<Series>,
    },
    /// Bring an etcd and print where its programs are
    #[command(after_help = "Example:\n  cargo xtask etcd --etcd 3.6")]
    Etcd {
        /// Which; the newest that can be had, unless told
        #[arg(long, value_enum)]
        etcd: Option<Series>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            let _ = complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo(flags) => demo::run(&flags),
        Task::Test(flags) => tests::run(&flags),
        Task::Bench { etcd } => bench::run(etcd),
        Task::Etcd { etcd } => {
            let etcd = etcd::bring(etcd)?;
            println!("{etcd}");
            println!("ETCD_BIN={}", etcd.etcd.display());
            println!("ETCDCTL_BIN={}", etcd.etcdctl.display());
            if let Some(etcdutl) = &etcd.etcdutl {
                println!("ETCDUTL_BIN={}", etcdutl.display());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes why it failed, causes included, on one line.
fn complain(error: &anyhow::Error) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "cargo xtask: {error:#}")
}
