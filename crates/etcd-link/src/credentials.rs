//! A user, the file with the password, and how they become a token.

use std::fmt;
use std::path::PathBuf;

use etcd_client::Error;
use http::header::HeaderValue;
use tonic::{Code, Status};

use crate::channel::Clients;
use crate::identity::{Identified as _, Pin};
use crate::settings::{Settings, read_password};
use crate::token::Token;

/// As whom to speak.
pub(crate) struct Credentials {
    user: String,
    password_file: PathBuf,
    token: Token,
    /// Several requests may find the token stale at once; one of them asks for a new one.
    asking: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn new(settings: &Settings, token: Token) -> Option<Self> {
        let (user, password_file) = (settings.user.clone()?, settings.password_file.clone()?);
        Some(Self { user, password_file, token, asking: tokio::sync::Mutex::new(()) })
    }

    /// Fetches a token, unless there is one that is newer than the one of generation `stale`.
    ///
    /// The password is read from its file each time. A cluster without authentication has no token
    /// to give: then none is sent, as `etcdctl` does.
    /// A token of another cluster than the one that is meant is not taken.
    pub(crate) async fn refresh(
        &self,
        clients: &mut Clients,
        stale: u64,
        pin: &Pin,
    ) -> Result<(), Error> {
        let _one_at_a_time = self.asking.lock().await;
        if self.token.generation() != stale {
            return Ok(());
        }
        let password = read_password(&self.password_file)
            .map_err(|error| Status::unauthenticated(format!("{UNREADABLE}: {error}")))?;
        match clients.auth.authenticate(self.user.clone(), password).await {
            Ok(answer) => {
                pin.verify(answer.origin())?;
                let mut token = HeaderValue::from_str(answer.token())
                    .map_err(|_| Status::internal("the token can't be sent in a header"))?;
                token.set_sensitive(true);
                self.token.set(Some(token));
                Ok(())
            }
            Err(Error::GRpcStatus(status))
                if status.code() == Code::FailedPrecondition
                    && status.message().contains("authentication is not enabled") =>
            {
                self.token.set(None);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Marks a failure that no member is to blame for.
pub(crate) const UNREADABLE: &str = "no password";
