//! What the last preflight said, kept for whoever asks.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

/// A place for the last preflight's report; clones share it. It is empty at first.
#[derive(Clone, Debug, Default)]
pub struct PreflightSlot(Arc<watch::Sender<Option<Arc<str>>>>);

impl PreflightSlot {
    /// Replaces the report. It is JSON with `verdict`, `reason` and `next_steps`, as every body of
    /// this interface.
    ///
    /// # Errors
    ///
    /// It can't be written as JSON; the last one stays.
    pub fn publish(&self, report: &impl Serialize) -> serde_json::Result<()> {
        // No markup can hide in it, whoever mistakes it for a page.
        let text = serde_json::to_string(report)?.replace('<', "\\u003c");
        self.0.send_replace(Some(text.into()));
        Ok(())
    }

    /// Returns the last report, as JSON.
    pub(crate) fn newest(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }
}
