//! Flags of a check; between which clusters and of which keys, mirror-config's flags say.

use std::path::PathBuf;

use clap::Args;
use mirror_config::{Rate, Span};

use crate::values::{Namespace, Side};

/// What is compared, how, and what is told of it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(crate) struct CheckFlags {
    /// Compare the state of this revision of the primary, not the newest
    #[arg(
        long,
        env = "ETCD_SYNC_AT_REVISION",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) at_revision: Option<i64>,
    /// Compare only keys of this namespace; may be given several times
    #[arg(
        long = "namespace",
        env = "ETCD_SYNC_NAMESPACE",
        value_name = "NS",
        value_delimiter = ','
    )]
    pub(crate) namespaces: Vec<Namespace>,
    /// Name at most so many keys of each kind; all are counted
    #[arg(long, env = "ETCD_SYNC_LIMIT", value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
    /// Report only differences that last at least this long
    #[arg(long, env = "ETCD_SYNC_MIN_AGE", value_name = "DURATION")]
    pub(crate) min_age: Option<Span>,
    /// Compare which keys there are, not what they hold
    #[arg(
        long,
        env = "ETCD_SYNC_KEYS_ONLY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) keys_only: Option<bool>,
    /// Write the plan that `etcd-sync repair` would carry out, of the whole scope, to this file
    #[arg(long, env = "ETCD_SYNC_REPAIR_PLAN", value_name = "FILE")]
    pub(crate) repair_plan: Option<PathBuf>,
    /// Read no faster than this, both sides together: 50MiB, 500KB or a number; without it, as
    /// fast as it goes
    #[arg(long, env = "ETCD_SYNC_RATE", value_name = "BYTES_PER_SECOND")]
    pub(crate) rate: Option<Rate>,
    /// How many parts are compared side by side, 1 to 32
    #[arg(
        long,
        env = "ETCD_SYNC_PARALLEL",
        value_name = "N",
        default_value_t = 4,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u8).range(1..=32)
    )]
    pub(crate) parallel: u8,
    /// Ignore what a mirror has noted on the standby; compare the newest state of both sides
    #[arg(
        long,
        env = "ETCD_SYNC_NO_MIRROR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) no_mirror: Option<bool>,
}

/// Of which side, and where to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Digest")]
pub(crate) struct DigestFlags {
    /// The side that is read; only its endpoints are needed
    #[arg(long, value_enum, value_name = "SIDE")]
    pub(crate) side: Side,
    /// The file to write the digest to
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Look only at the ranges of this file, which `etcd-check compare --ranges-out` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) ranges: Option<PathBuf>,
    /// Take the state of this revision of the primary, not the newest
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) at_revision: Option<i64>,
}

/// Which two digests.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompareFlags {
    /// The digest of one side
    #[arg(value_name = "LEFT")]
    pub(crate) left: PathBuf,
    /// The digest of the other side
    #[arg(value_name = "RIGHT")]
    pub(crate) right: PathBuf,
    /// Write the ranges that differ to this file, for `etcd-check digest --ranges`
    #[arg(long, value_name = "FILE")]
    pub(crate) ranges_out: Option<PathBuf>,
}
