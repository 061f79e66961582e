//! Exit codes, and failures that know theirs.

use std::fmt;
use std::process::ExitCode;

use etcd_mvcc::FailureClass;

/// How the process ends. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or healthy.
    Done = 0,
    /// The mirror is not as it should be.
    Differs = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A cluster could not be reached, or nothing could be concluded.
    Undecided = 3,
    /// A safety guard refused.
    Refused = 4,
    /// Interrupted by the user before it was done.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: one line for people, one number for scripts.
#[derive(Debug)]
pub struct Failure {
    /// The number.
    pub exit: Exit,
    /// What is wrong and what mends it.
    pub message: String,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// A cluster could not be reached, or nothing could be concluded.
    pub fn undecided(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Undecided, message: message.to_string() }
    }

    /// A cluster did not answer, or answered with a failure that `message` tells. What is not an
    /// etcd is refused: to ask again is of no use.
    pub fn unanswered(failure: &etcd_mvcc::Failure, message: impl fmt::Display) -> Self {
        match failure.class == FailureClass::NotEtcd {
            true => Self::refused(message),
            false => Self::undecided(message),
        }
    }

    /// A safety guard refused.
    pub fn refused(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Refused, message: message.to_string() }
    }

    /// Interrupted by the user before it was done.
    pub fn interrupted(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Interrupted, message: message.to_string() }
    }
}
