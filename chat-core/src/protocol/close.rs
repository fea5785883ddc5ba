//! Why a socket is closed, and what its client does then: the one table of close codes, of both profiles.

use crate::Closed;

/// A close code with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code (RFC 6455, section 7.4).
    pub code: u16,
    /// The reason, a word for programs.
    pub reason: &'static str,
    /// What the client does.
    pub then: Then,
}

/// What a client does when its socket was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Connects again, after a moment that grows with each failure, and resumes: nothing was lost.
    Resume,
    /// Gets a fresh token first: connecting again with this one is in vain.
    LogIn,
    /// Does not connect again by itself.
    Stop,
}

macro_rules! closes {
    ($($(#[$doc:meta])* $name:ident: $code:literal $reason:literal $then:ident;)*) => {
        impl Close {
            $(
                $(#[$doc])*
                pub const $name: Self = Self { code: $code, reason: $reason, then: Then::$then };
            )*
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

closes! {
    /// The host ended it.
    HOST: 1000 "host" Stop;
    /// The server stops; in the native profile a `drain` frame came before.
    DRAIN: 1001 "drain" Resume;
    /// Against the WebSocket protocol.
    PROTOCOL: 1002 "protocol" Stop;
    /// Only text frames are spoken.
    BINARY: 1003 "binary" Stop;
    /// A text frame that is no UTF-8.
    UTF8: 1007 "utf-8" Stop;
    /// The login does not count, or counts no longer.
    LOGIN: 1008 "login" LogIn;
    /// A frame, or a message of several, is too long.
    TOO_LARGE: 1009 "too large" Stop;
    /// A defect of the server.
    INTERNAL: 1011 "internal" Resume;
    /// Nothing was heard of the client for too long.
    IDLE: 4000 "idle" Resume;
    /// The client read too slowly, or the store did not answer while it resumed.
    RESUME: 4008 "resume" Resume;
    /// The user has too many sockets: the oldest gives way.
    TOO_MANY: 4009 "too many" Stop;
    /// Too many bad, refused or control frames.
    FLOOD: 4029 "flood" Stop;
}

impl From<Closed> for Close {
    fn from(why: Closed) -> Self {
        match why {
            Closed::LoggedOut => Self::LOGIN,
            Closed::Slow | Closed::Unavailable => Self::RESUME,
            Closed::Drain => Self::DRAIN,
            Closed::TooMany => Self::TOO_MANY,
            Closed::Host => Self::HOST,
        }
    }
}
