//! What becomes of a request that does not succeed.

use dr_plan::Answer;

use crate::words::{NotDone, unknown};

/// Why an API did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KubeError {
    /// The kubeconfig can't be used. Nothing was sent.
    #[error("{0}")]
    Setup(String),
    /// Nobody answers there. Nothing was sent.
    #[error("{0}")]
    Away(String),
    /// Somebody answers there who can't prove to be this API. Nothing was sent.
    #[error("{0}")]
    Distrusted(String),
    /// The request was sent, and no answer came back whole.
    #[error("{0}")]
    Lost(String),
    /// The API said no.
    #[error("it answers {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
}

impl KubeError {
    /// Returns whether the API says that there is no such thing.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl From<KubeError> for NotDone {
    fn from(error: KubeError) -> Self {
        let text = error.to_string();
        match error {
            KubeError::Setup(_) | KubeError::Away(_) | KubeError::Distrusted(_) => {
                Self::Refused(text)
            }
            // A server that stumbled, or took too long, may have done it all the same.
            KubeError::Refused { status: 408 | 429 | 500.., .. } | KubeError::Lost(_) => {
                Self::Unknown(text)
            }
            KubeError::Refused { .. } => Self::Refused(text),
        }
    }
}

/// What is left when an API could not be asked.
pub(super) fn untold(who: &str, error: &KubeError) -> Answer {
    unknown(format!("the API of {who} could not be asked: {error}"))
}
