//! The token that etcd gave for a user and a password.

use std::sync::{Arc, PoisonError, RwLock};

use http::header::HeaderValue;

/// The token that goes with every request, if there is one. Shared by all connections of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Token(Arc<RwLock<Held>>);

#[derive(Clone, Default)]
struct Held {
    token: Option<HeaderValue>,
    /// Counts the answers to the question for a token, from 1 on; 0 if it was not asked yet.
    generation: u64,
}

impl Token {
    pub(crate) fn get(&self) -> Option<HeaderValue> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).token.clone()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Tells whether nobody has asked for a token yet.
    pub(crate) fn is_new(&self) -> bool {
        self.generation() == 0
    }

    pub(crate) fn set(&self, token: Option<HeaderValue>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.generation += 1;
        held.token = token;
    }
}
