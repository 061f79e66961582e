//! Logs on stderr, as text or JSON.

use std::io::{self, IsTerminal as _};

use indicatif::MultiProgress;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::file::Log;
use crate::values::{LogFormat, LogLevel};

/// Libraries whose details could hold what they carry: never below a warning.
const CAPPED: [&str; 7] = ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "axum"];

/// Starts logging; log lines pass above the progress bars of `bars`.
pub fn start(log: &Log, bars: MultiProgress) {
    let level = match log.level.unwrap_or_default() {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let capped = LevelFilter::from_level(level.min(Level::WARN));
    let filter = CAPPED
        .iter()
        .fold(Targets::new().with_default(level), |f, name| f.with_target(*name, capped));
    let registry = tracing_subscriber::registry().with(filter);
    let writer = Above(bars);
    // A subscriber is set once per process, so setting it can't fail.
    let _ = match log.format.unwrap_or_default() {
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(writer)
                    .with_target(false)
                    .with_ansi(io::stderr().is_terminal() && colour_wanted()),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(writer),
            )
            .try_init(),
    };
}

/// <https://no-color.org>: any value but the empty one asks for none.
fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to stderr while the progress bars step aside.
#[derive(Clone)]
struct Above(MultiProgress);

impl io::Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
