//! How a copy comes along: a bar on a terminal, else a line every half minute.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use mirror_engine::{CopyProgress, State, Status};
use monitor_api::StatusReport;
use tokio::sync::watch;
use tokio::time::Instant;

const LINE_EVERY: Duration = Duration::from_secs(30);
const TEMPLATE: &str =
    "copying {bar:24} {human_pos}/{human_len} keys, {msg}, {per_sec}, {eta_precise} left";

/// Shows copies until the mirror's task is gone.
pub(crate) async fn show(mut status: watch::Receiver<Status>, bars: MultiProgress) {
    let terminal = std::io::stderr().is_terminal();
    let mut bar: Option<ProgressBar> = None;
    let mut line_due = Instant::now() + LINE_EVERY;
    while status.changed().await.is_ok() {
        let (state, copy) = {
            let status = status.borrow_and_update();
            (status.state, status.copy)
        };
        if state != State::Copying {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            line_due = Instant::now() + LINE_EVERY;
        } else if terminal {
            let bar = bar.get_or_insert_with(|| bars.add(new_bar()));
            bar.set_length(copy.keys_total.max(copy.keys_read));
            bar.set_position(copy.keys_read);
            bar.set_message(HumanBytes(copy.bytes_read).to_string());
        } else if Instant::now() >= line_due {
            line(&copy);
            line_due = Instant::now() + LINE_EVERY;
        }
    }
}

/// A line on a terminal that says what an order waits for.
pub(crate) struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// Begins; nothing is shown where stderr is not a terminal.
    pub(crate) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        Self(bar)
    }

    /// Shows what the mirror last said.
    pub(crate) fn show(&self, report: &StatusReport) {
        let Some(bar) = &self.0 else { return };
        let copy = &report.copy;
        let words = match report.state.as_str() {
            "" => "waiting for the mirror".to_owned(),
            "copying" => {
                let total =
                    copy.keys_total.map_or_else(String::new, |total| format!(" of {total}"));
                format!("the mirror copies: {}{total} keys compared", copy.keys_read)
            }
            state => format!("waiting for the mirror: it is {state}"),
        };
        bar.set_message(words);
        bar.tick();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn line(copy: &CopyProgress) {
    tracing::info!(
        keys_read = copy.keys_read,
        keys_total = copy.keys_total,
        bytes_read = copy.bytes_read,
        keys_written = copy.keys_written,
        bytes_written = copy.bytes_written,
        keys_deleted = copy.keys_deleted,
        "copying"
    );
}
