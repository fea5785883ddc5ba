//! The one error type, with kinds by what the caller can do about it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It does not exist, or the actor must not know that it does. Nothing to retry.
    NotFound,
    /// The actor may know of it but not do this.
    Forbidden,
    /// It contradicts what is stored: a key used for another body, a name taken, an outdated revision. Read, then decide anew.
    Conflict,
    /// The request itself is wrong; the message says what to mend.
    Invalid,
    /// Too often: wait for [`Error::retry_after`].
    RateLimited,
    /// A queue is full, nothing happened: retry a little later with the same key.
    Busy,
    /// The store, bus or policy did not answer. **It may have happened**: retry with the same key.
    Unavailable,
    /// A defect of this program or of its data. Retrying will not help.
    Internal,
}

/// What went wrong, for a program ([`Error::kind`]) and for a person (`Display`).
///
/// The message never holds message text, passwords, tokens or keys, so it may be logged and shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// An error of a kind, with a sentence that says what to mend.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    constructors! {
        /// See [`ErrorKind::NotFound`].
        not_found => NotFound,
        /// See [`ErrorKind::Forbidden`].
        forbidden => Forbidden,
        /// See [`ErrorKind::Conflict`].
        conflict => Conflict,
        /// See [`ErrorKind::Invalid`].
        invalid => Invalid,
        /// See [`ErrorKind::Busy`].
        busy => Busy,
        /// See [`ErrorKind::Unavailable`].
        unavailable => Unavailable,
        /// See [`ErrorKind::Internal`].
        internal => Internal,
    }

    /// Too often; may be tried again after `retry_after`.
    #[must_use]
    pub fn rate_limited(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(ErrorKind::RateLimited, message)
        }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How long to wait; only of [`ErrorKind::RateLimited`].
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
