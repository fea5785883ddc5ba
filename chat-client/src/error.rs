//! What can go wrong.

use std::time::Duration;

use chat_core::protocol::ErrorBody;

/// Why something asked of a client was not done, or why a client ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address or a request that cannot be meant.
    #[error("{0}")]
    Invalid(String),
    /// The server could not be reached, or did not answer as it should.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// There is a server, but it does not speak this protocol, or not with this client.
    #[error("the server does not speak `chat.v1`: {0}")]
    Incompatible(String),
    /// The login was refused, or ended without a way to log in again.
    #[error("{0}")]
    Login(String),
    /// The server asks for patience with logins.
    #[error("too many logins; wait {} s", .0.as_secs())]
    Wait(Duration),
    /// The server refused what was asked, for good.
    #[error("{}", .0.detail)]
    Refused(ErrorBody),
    /// So much waits to be sent that no more is taken; see [`Options::outbox`](crate::Options::outbox).
    #[error("too much waits to be sent")]
    Full,
    /// Larger than the server takes.
    #[error("a frame has at most {limit} bytes on this server")]
    TooLarge {
        /// What it takes, in bytes.
        limit: u64,
    },
    /// The server does not offer this.
    #[error("this server does not offer `{0}`")]
    NotOffered(&'static str),
    /// The server ended the connection with a code that says not to come back.
    #[error("the server ended the connection: {reason} ({code})")]
    Ended {
        /// The close code.
        code: u16,
        /// What the server said about it.
        reason: String,
    },
    /// The client was closed. A write without an answer may have happened: try again with the same key.
    #[error("the client was closed")]
    Closed,
}

/// What follows from a failed try to log in or to connect.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Try again; after so long if the server said so.
    Again(Error, Option<Duration>),
    /// In vain with this token.
    LogIn(Error),
    /// In vain at all.
    Stop(Error),
}

impl Failure {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Again(error, _) | Self::LogIn(error) | Self::Stop(error) => error,
        }
    }
}
