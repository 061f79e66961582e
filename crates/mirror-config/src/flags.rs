//! The flags that say which mirror is meant: between which clusters, of which keys.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::file::{Connection, FileConfig, Log, Peer, Scope};

/// Connection and scope.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// Configuration file (YAML); `etcd-sync config schema` describes it
    #[arg(long, env = "ETCD_SYNC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The mirror's name, where several share a standby [default: default]
    #[arg(long, env = "ETCD_SYNC_MIRROR_NAME", value_name = "NAME")]
    mirror_name: Option<String>,
    #[command(flatten)]
    primary: PrimaryFlags,
    #[command(flatten)]
    standby: StandbyFlags,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    scope: Scope,
    /// Start by watching at this revision of the primary, without a base copy
    #[arg(
        long,
        env = "ETCD_SYNC_REV",
        value_name = "N",
        help_heading = "Scope",
        allow_negative_numbers = true
    )]
    rev: Option<i64>,
}

impl Flags {
    /// Returns the flags as a configuration that leaves everything else open.
    #[must_use]
    pub fn settings(&self, log: &Log) -> FileConfig {
        FileConfig {
            mirror_name: self.mirror_name.clone(),
            primary: self.primary.clone().into(),
            standby: self.standby.clone().into(),
            connection: self.connection.clone(),
            scope: self.scope.clone(),
            rev: self.rev,
            log: log.clone(),
            ..FileConfig::default()
        }
    }

    /// Reads the file of `--config`; without one, everything is left open.
    ///
    /// # Errors
    ///
    /// As [`FileConfig::read`].
    pub fn file(&self) -> Result<FileConfig, Failure> {
        Ok(self.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default())
    }
}

/// The same flags for either side.
macro_rules! peer_flags {
    ($flags:ident, $side:literal, $upper:literal, $heading:literal) => {
        /// How to reach one side, and as whom.
        #[derive(Clone, Debug, Args)]
        #[command(next_help_heading = $heading)]
        struct $flags {
            /// The members' client URLs, separated by commas
            #[arg(
                                        id = concat!($side, "-endpoints"),
                                        long = concat!($side, "-endpoints"),
                                        env = concat!("ETCD_SYNC_", $upper, "_ENDPOINTS"),
                                        value_delimiter = ',',
                                        value_name = "URL"
                                    )]
            endpoints: Option<Vec<String>>,
            /// PEM file of the authority that signed the members' certificates
            #[arg(
                                        id = concat!($side, "-cacert"),
                                        long = concat!($side, "-cacert"),
                                        env = concat!("ETCD_SYNC_", $upper, "_CACERT"),
                                        value_name = "FILE"
                                    )]
            cacert: Option<PathBuf>,
            /// PEM file of the client certificate
            #[arg(
                                        id = concat!($side, "-cert"),
                                        long = concat!($side, "-cert"),
                                        env = concat!("ETCD_SYNC_", $upper, "_CERT"),
                                        value_name = "FILE"
                                    )]
            cert: Option<PathBuf>,
            /// PEM file of the client certificate's key
            #[arg(
                                        id = concat!($side, "-key"),
                                        long = concat!($side, "-key"),
                                        env = concat!("ETCD_SYNC_", $upper, "_KEY"),
                                        value_name = "FILE"
                                    )]
            key: Option<PathBuf>,
            /// The etcd user to act as
            #[arg(
                                        id = concat!($side, "-user"),
                                        long = concat!($side, "-user"),
                                        env = concat!("ETCD_SYNC_", $upper, "_USER"),
                                        value_name = "NAME"
                                    )]
            user: Option<String>,
            /// The file that holds the user's password
            #[arg(
                                        id = concat!($side, "-password-file"),
                                        long = concat!($side, "-password-file"),
                                        env = concat!("ETCD_SYNC_", $upper, "_PASSWORD_FILE"),
                                        value_name = "FILE"
                                    )]
            password_file: Option<PathBuf>,
        }

        impl From<$flags> for Peer {
            fn from(flags: $flags) -> Self {
                let $flags { endpoints, cacert, cert, key, user, password_file } = flags;
                Self { endpoints, cacert, cert, key, user, password_file }
            }
        }
    };
}

peer_flags!(PrimaryFlags, "primary", "PRIMARY", "Primary");
peer_flags!(StandbyFlags, "standby", "STANDBY", "Standby");
