//! A person who does what the plan asks for, when it does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dr_plan::journal::Event;

use crate::run::entries;

/// Waits for steps to be begun, and says which, each once.
pub(crate) struct Hands {
    journal: PathBuf,
    seen: BTreeSet<u64>,
}

impl Hands {
    pub(crate) fn new(journal: PathBuf) -> Self {
        Self { journal, seen: BTreeSet::new() }
    }

    /// Waits for the next step that is begun.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            for entry in entries(&self.journal) {
                if let Event::Begun { step } = entry.event
                    && self.seen.insert(entry.number)
                {
                    return step;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
