//! `etcd-check digest`: one side, written down to be compared elsewhere.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use consistency_checker::{
    DetailWriter, FileHeader, FileLimits, FileTotals, Mirrored, Origin, RangeFile, RecordError,
    TreeBuilder, TreeSettings, digest_side, narrowed,
};
use etcd_mvcc::{Key, PrimaryRevision, ReadRange, Revision as _, Side, Value, WalkLimits};
use keyspace_filter::{Scope, Stretch};
use mirror_config::{Config, Exit, Failure, output, parts};
use serde_json::json;

use crate::files;
use crate::flags::DigestFlags;
use crate::interrupt::until_interrupted;
use crate::origin;
use crate::values::{self, Format};

/// Reads one side and writes its digest.
pub(crate) fn digest(
    config: &Config,
    flags: &DigestFlags,
    format: Format,
) -> Result<Exit, Failure> {
    files::creatable("--out", &flags.out)?;
    let ranges = flags.ranges.as_deref().map(read_ranges).transpose()?;
    let scope = parts::scope(config)?;
    for warning in scope.warnings() {
        tracing::warn!("scope: {warning}");
    }
    let at = flags.at_revision.map(PrimaryRevision::new);
    let header = |(cluster, origin)| FileHeader {
        mirror: config.name().to_owned(),
        scope: scope.hash(),
        cluster,
        origin,
    };
    let written = match flags.side {
        values::Side::Primary => {
            let primary = parts::primary(config, &scope)?;
            until_interrupted(async {
                let (cluster, at) = origin::primary(&primary, at, ranges.as_ref()).await?;
                let header = header((cluster, Origin::Primary { at }));
                let work = Work { scope: &scope, ranges: ranges.as_ref(), out: &flags.out };
                let map = |key: &Key| scope.place(key);
                work.write(&primary, at, Side::Primary, map, header).await
            })?
        }
        values::Side::Standby => {
            // Without a scope no key of the data may be written: a digest only reads.
            let standby = parts::standby(config, None)?;
            until_interrupted(async {
                let ranges = ranges.as_ref();
                let (cluster, pair) =
                    origin::standby(&standby, config.name(), &scope, at, ranges).await?;
                let mirrors = Mirrored { cluster: pair.primary, revision: pair.pins.primary };
                let at = pair.pins.standby;
                let header = header((cluster, Origin::Standby { at, mirrors: Some(mirrors) }));
                let work = Work { scope: &scope, ranges, out: &flags.out };
                let map = |key: &Key| scope.admits_standby(key.as_bytes()).then(|| key.clone());
                work.write(&standby, at, Side::Standby, map, header).await
            })?
        }
    };
    told(&written, flags, format)
}

/// What was written.
struct Written {
    header: FileHeader,
    totals: FileTotals,
}

/// What is to be written down.
struct Work<'a> {
    scope: &'a Scope,
    /// Only these, key by key; everything, folded into ranges, without.
    ranges: Option<&'a RangeFile>,
    out: &'a Path,
}

impl Work<'_> {
    async fn write<R: ReadRange>(
        &self,
        reader: &R,
        at: R::Revision,
        side: Side,
        map: impl FnMut(&Key) -> Option<Key>,
        header: FileHeader,
    ) -> Result<Written, Failure> {
        let limits = FileLimits::default();
        // What was written half is never found under the name that was asked for.
        let part = partial(self.out);
        let file = File::create(&part).map_err(|error| unwritten(&part, error))?;
        let file = BufWriter::new(file);
        let totals = match self.ranges {
            None => {
                let mut tree = TreeBuilder::new(header.clone(), &TreeSettings::default());
                let sink = |key: &Key, value: &Value| tree.push(key, value);
                read(reader, (side, self.scope.stretches()), at, map, sink).await?;
                let tree = tree.finish();
                tree.write_to(file, &limits).map_err(|error| unrecorded(self.out, &error))?;
                tree.totals()
            }
            Some(RangeFile { ranges, .. }) => {
                let mut detail = DetailWriter::new(file, &header, ranges, &limits)
                    .map_err(|error| unrecorded(self.out, &error))?;
                let sink = |key: &Key, value: &Value| detail.push(key, value);
                let narrowed = narrowed(self.scope, side, ranges);
                read(reader, (side, &narrowed), at, map, sink).await?;
                detail.finish().map_err(|error| unrecorded(self.out, &error))?
            }
        };
        std::fs::rename(&part, self.out).map_err(|error| unwritten(self.out, error))?;
        Ok(Written { header, totals })
    }
}

async fn read<R: ReadRange>(
    reader: &R,
    stretches: (Side, &[Stretch]),
    at: R::Revision,
    map: impl FnMut(&Key) -> Option<Key>,
    sink: impl FnMut(&Key, &Value) -> Result<(), RecordError>,
) -> Result<(), Failure> {
    digest_side(reader, stretches, at, map, WalkLimits::default(), sink)
        .await
        .map_err(|error| Failure::undecided(files::chain(&error)))
}

fn read_ranges(file: &Path) -> Result<RangeFile, Failure> {
    files::readable("--ranges", file)?;
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("--ranges: {}: {error}", file.display()))
    };
    let input = File::open(file).map_err(|error| unusable(&error))?;
    RangeFile::read(BufReader::new(input), &FileLimits::default()).map_err(|error| unusable(&error))
}

fn partial(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}

fn unwritten(file: &Path, error: std::io::Error) -> Failure {
    Failure::undecided(format!("{}: could not be written: {error}", file.display()))
}

fn unrecorded(file: &Path, error: &RecordError) -> Failure {
    Failure::undecided(format!("{}: {}", file.display(), files::chain(error)))
}

fn told(written: &Written, flags: &DigestFlags, format: Format) -> Result<Exit, Failure> {
    let Written { header, totals } = written;
    let out = flags.out.display();
    let (what, primary_revision, standby_revision, next) = match header.origin {
        Origin::Primary { at } => {
            let next = "etcd-check compare PRIMARY STANDBY".to_owned();
            (format!("the primary at revision {at}"), Some(at), None, next)
        }
        Origin::Standby { at, mirrors } => {
            let of = mirrors.map(|mirrors| mirrors.revision);
            let revision = of.map_or_else(|| "?".to_owned(), |of| of.to_string());
            let what =
                format!("the standby at revision {at}, a pair with primary revision {revision}");
            let next = format!("etcd-check digest --side primary --at-revision {revision}");
            (what, of, Some(at), next)
        }
    };
    let FileTotals { keys, bytes } = totals;
    let reason = format!("wrote the digest of {what} to {out}: {keys} keys, {bytes} bytes");
    match format {
        Format::Text => output::result(&format!("{reason}\nnext: {next}\n"))?,
        Format::Json | Format::Ndjson => {
            let told = json!({
                "verdict": "ok",
                "reason": reason,
                "next_steps": [next],
                "side": flags.side.to_string(),
                "cluster_id": header.cluster.to_string(),
                "primary_revision": primary_revision.map(|revision| revision.get()),
                "standby_revision": standby_revision.map(|revision| revision.get()),
                "keys": keys,
                "bytes": bytes,
            });
            if format == Format::Json {
                output::json(&told)?;
            } else {
                output::result(&format!("{told}\n"))?;
            }
        }
    }
    Ok(Exit::Done)
}
