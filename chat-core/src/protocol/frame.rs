//! What a server sends.

use super::macros::{frames, lenient};
use super::{Event, Reply, Time};
use crate::{ConversationId, Data, Error, ErrorKind, LogId, Seq, UserId};

frames! {
    /// A frame of a server, without its `ref`.
    ServerFrame by any {
        /// The first frame: who one is, and what is offered.
        Hello("hello"): Hello,
        /// Something happened in a log.
        Event("event"): Event,
        /// A log that was resumed has caught up: what follows is live.
        Live("live"): Live,
        /// A log cannot be resumed from the given place.
        Resync("resync"): Resync,
        /// The answer to a frame.
        Reply("reply"): Reply,
        /// A frame was refused.
        Error("error"): ErrorBody,
        /// Another member types, or the like.
        Signal("signal"): Signal,
        /// How far a member has read and received.
        Receipt("receipt"): Receipt,
        /// A user came or went.
        Presence("presence"): Presence,
        /// The answer to `ping`.
        Pong("pong"): Nothing,
        /// The server stops: connect again, but not at once.
        Drain("drain"): Drain,
    }
    else
    /// A type that this version does not know. Never sent.
    Unknown
}

lenient! {
    /// Nothing.
    #[derive(Default, Copy, Eq)]
    pub struct Nothing {}

    /// The first frame of a session.
    #[derive(Eq)]
    pub struct Hello {
        /// The version of the protocol: 1. Grows when a client must change.
        pub version: u32,
        /// The server's name and version, for people.
        pub server: String,
        /// Who one is.
        pub user: UserId,
        /// The types of frames that this server takes.
        pub features: Vec<String>,
        /// What is too much.
        pub limits: Limits,
        /// Send a `ping` when you sent nothing for so long; a socket that is silent for three times as long is closed.
        pub heartbeat_ms: u64,
        /// When one's login ends; left out when it has no end of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_at: Option<Time>,
    }

    /// What is too much for this server.
    #[derive(Copy, Eq)]
    pub struct Limits {
        /// Bytes of a frame.
        pub frame: u64,
        /// Bytes of a text.
        pub text: u64,
        /// Bytes of `data`.
        pub data: u64,
        /// Bytes of a name or title.
        pub name: u64,
        /// Members added by one frame.
        pub added: u64,
        /// Users mentioned by a message.
        pub mentions: u64,
        /// Entries of a page.
        pub page: u64,
        /// Logs that may be on their way to be resumed at once.
        pub cursors: u64,
        /// Writes without an answer yet.
        pub in_flight: u64,
    }

    /// A log that was resumed has caught up.
    #[derive(Copy, Eq)]
    pub struct Live {
        /// Which.
        pub log: LogId,
    }

    /// A log cannot be resumed from the given place: discard what you have of it and load it afresh.
    #[derive(Copy, Eq)]
    pub struct Resync {
        /// Which.
        pub log: LogId,
        /// What follows this seq is sent. 0: the log does not exist for one (any more), and nothing follows.
        pub seq: Seq,
    }

    /// What is wrong.
    #[derive(Eq)]
    pub struct ErrorBody {
        /// What a program can do about it.
        pub code: Code,
        /// A sentence for a person.
        pub detail: String,
        /// The field that is wrong, where that is known: `text`, or `members[2].user`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub field: Option<String>,
        /// How long to wait before the next try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub retry_after_ms: Option<u64>,
    }

    /// Another member does something that is not stored.
    pub struct Signal {
        /// Where.
        pub conversation: ConversationId,
        /// Who.
        pub user: UserId,
        /// What.
        pub kind: String,
        /// The sending client's own JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
    }

    /// How far a member has read and received, one's own other devices included.
    #[derive(Copy, Eq)]
    pub struct Receipt {
        /// Where.
        pub conversation: ConversationId,
        /// Who.
        pub user: UserId,
        /// Read up to this seq.
        pub read: Seq,
        /// Received up to this seq.
        pub delivered: Seq,
    }

    /// A user came or went.
    #[derive(Copy, Eq)]
    pub struct Presence {
        /// Who.
        pub user: UserId,
        /// Came, or went.
        pub online: bool,
    }

    /// The server stops.
    #[derive(Copy, Eq)]
    pub struct Drain {
        /// Connect again after so long: different for each socket, so that not all come back at once.
        pub reconnect_in_ms: u64,
    }
}

/// What a program can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum Code {
    /// It does not exist, or one must not know that it does.
    NotFound,
    /// One may know of it but not do this.
    Forbidden,
    /// It contradicts what is stored: a key used for another body, a name taken, an outdated revision. Read, then decide anew.
    Conflict,
    /// The frame is wrong; `detail` says what to mend.
    Invalid,
    /// Too often: wait for `retry_after_ms`.
    RateLimited,
    /// Nothing happened: try again a little later with the same key.
    Busy,
    /// It may have happened: try again with the same key.
    Unavailable,
    /// A defect of the server. Trying again will not help.
    Internal,
    /// A code that this version does not know. Never sent.
    #[serde(other)]
    Unknown,
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

impl ErrorBody {
    /// A frame that is wrong.
    pub(super) fn invalid(field: Option<String>, detail: &str) -> Self {
        Self {
            code: Code::Invalid,
            detail: sentence(detail),
            field,
            retry_after_ms: None,
        }
    }
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        let wait = error.retry_after();
        Self {
            code: error.kind().into(),
            detail: sentence(&error.to_string()),
            field: None,
            retry_after_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// What an error says, as a sentence for a person: errors themselves begin small and end without a full stop.
#[must_use]
pub fn sentence(detail: &str) -> String {
    let mut rest = detail.chars();
    let mut sentence: String = rest
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    sentence.push_str(rest.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
