//! How far a check is, on a terminal.

use std::pin::pin;
use std::time::Duration;

use consistency_checker::Progress;
use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar};
use tokio::time::timeout;

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);

/// Runs `work`, and shows meanwhile how much it has read.
pub(crate) async fn shown<T>(
    bars: &MultiProgress,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> T {
    let line = bars.add(ProgressBar::new_spinner());
    let mut work = pin!(work);
    let result = loop {
        if let Ok(result) = timeout(EVERY, work.as_mut()).await {
            break result;
        }
        let (keys, bytes) = (progress.keys(), progress.bytes());
        line.set_message(format!("{} keys, {} read", HumanCount(keys), HumanBytes(bytes)));
        line.tick();
    };
    line.finish_and_clear();
    result
}
