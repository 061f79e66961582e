//! How far behind the standby was, second by second, for reports on past days.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dr_plan::Timestamp;
use dr_plan::samples::{Sample, Samples};
use etcd_mvcc::Revision;
use mirror_config::{Config, Failure};
use mirror_engine::Status;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often they are written down; a crash loses at most so much.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// Goes on with the samples that the file holds, if there are to be any.
pub(crate) fn open(config: &Config) -> Result<Option<(PathBuf, Samples)>, Failure> {
    let Some(file) = config.samples_file() else { return Ok(None) };
    let wrong = |why: String| Failure::usage(format!("--samples-file: {}: {why}", file.display()));
    let samples = match std::fs::read_to_string(file) {
        Ok(text) => Samples::decode(&text).map_err(|error| wrong(error.to_string()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Samples::default(),
        Err(error) => return Err(wrong(error.to_string())),
    };
    // Better now than in half a minute.
    write(file, &samples).map_err(|error| wrong(error.to_string()))?;
    Ok(Some((file.to_owned(), samples)))
}

/// Takes a sample every second and writes them down now and then. Ends with the mirror.
pub(crate) async fn keep(file: PathBuf, mut samples: Samples, status: watch::Receiver<Status>) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut written = Instant::now();
    loop {
        seconds.tick().await;
        // The sender is gone once the mirror has ended.
        let ended = status.has_changed().is_err();
        samples.add(sample(&status.borrow()));
        if ended || written.elapsed() >= WRITE_EVERY {
            written = Instant::now();
            if let Err(error) = write(&file, &samples) {
                tracing::warn!("the samples can't be written to {}: {error}", file.display());
            }
        }
        if ended {
            return;
        }
    }
}

fn sample(status: &Status) -> Sample {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Sample {
        at: Timestamp::from_ms(millis(now)),
        primary_revision: number(status.primary_revision),
        checkpoint: number(status.checkpoint),
        lag_ms: status.lag.map(millis),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn number(revision: impl Revision) -> u64 {
    u64::try_from(revision.get()).unwrap_or_default()
}

/// A reader finds the old samples or the new ones, never half of them.
fn write(file: &Path, samples: &Samples) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(samples.encode().as_bytes())?;
    new.persist(file).map(drop).map_err(|error| error.error)
}
