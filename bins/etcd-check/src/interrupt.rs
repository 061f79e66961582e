//! Work that a signal ends.

use std::future::Future;

use mirror_config::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `work` to its end, or until SIGINT or SIGTERM; what was under way is then dropped and
/// nothing is concluded from it.
pub(crate) fn until_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::undecided(format!("the runtime can't start: {error}")))?;
    runtime.block_on(async {
        let unable = |error| Failure::undecided(format!("signals can't be received: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unable)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unable)?;
        let interrupted = || Err(Failure::interrupted("interrupted before it was done"));
        tokio::select! {
            ended = work => ended,
            _ = interrupt.recv() => interrupted(),
            _ = terminate.recv() => interrupted(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use mirror_config::Exit;

    use super::*;

    #[test]
    fn a_signal_ends_what_is_under_way_with_130() {
        for signal in ["-INT", "-TERM"] {
            let endless = async {
                let own = std::process::id().to_string();
                assert!(Command::new("kill").args([signal, &own]).status().unwrap().success());
                std::future::pending::<Result<Exit, Failure>>().await
            };
            assert_eq!(until_interrupted(endless).unwrap_err().exit, Exit::Interrupted, "{signal}");
        }
    }

    #[test]
    fn what_comes_to_its_end_says_how() {
        let ended = until_interrupted(async { Ok(Exit::Differs) });
        assert_eq!(ended.unwrap(), Exit::Differs);
    }
}
