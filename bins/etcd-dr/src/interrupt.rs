//! Work that a signal ends.

use std::future::Future;

use mirror_config::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `work` to its end, or until SIGINT or SIGTERM; what was under way is then dropped, and the
/// journal says what may have happened.
pub(crate) fn until_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::undecided(format!("the runtime can't start: {error}")))?;
    let ended = runtime.block_on(async {
        let unable = |error| Failure::undecided(format!("signals can't be received: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unable)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unable)?;
        let interrupted = || Err(Failure::interrupted("interrupted before it was done"));
        tokio::select! {
            ended = work => ended,
            _ = interrupt.recv() => interrupted(),
            _ = terminate.recv() => interrupted(),
        }
    });
    runtime.shutdown_background();
    ended
}
