//! Identifiers. On every wire they are JSON integers from 1 to 2^53-1, so that no client loses a digit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Timestamp};

/// A place in a log: 1, 2, 3 … without holes. 0 means "before the first".
pub type Seq = u64;

/// The largest id or seq: what a double holds exactly.
pub const MAX_ID: u64 = (1 << 53) - 1;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// Checks the range, 1 to 2^53-1.
            ///
            /// # Errors
            /// `Invalid` outside of it.
            pub fn new(id: u64) -> Result<Self, Error> {
                if (1..=MAX_ID).contains(&id) {
                    Ok(Self(id))
                } else {
                    Err(Error::invalid("an id is an integer from 1 to 2^53-1"))
                }
            }

            /// The integer.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = Error;
            fn try_from(id: u64) -> Result<Self, Error> {
                Self::new(id)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> u64 {
                id.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A user of this store.
    UserId,
    /// A conversation of this store.
    ConversationId,
    /// An authenticated session and its tokens. Later logins have higher ids.
    LoginId,
}

/// Names one log: what happened in a conversation, or what concerns one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LogId {
    /// Messages, edits, deletions, reactions, pins, membership and settings of a conversation.
    Conversation(ConversationId),
    /// What concerns one user on all devices: joined or removed, hid, muted, read, blocked, profile, logins.
    User(UserId),
}

impl From<ConversationId> for LogId {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

impl From<UserId> for LogId {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

/// What makes a write idempotent for good: 16 bytes that its author uses for no other write.
///
/// Use [`Key::generate`] once for each thing a person does, keep the key with it, and retry with the same key. The bytes
/// should be a UUIDv7 (RFC 9562, section 5.7): its leading clock keeps indexes of keys append-only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key([u8; 16]);

impl Key {
    /// A key from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new UUIDv7 from the wall clock and the system's random source.
    #[must_use]
    pub fn generate() -> Self {
        let millis = u64::try_from(Timestamp::now().millis()).unwrap_or_default();
        let mut bytes = [0; 16];
        crate::random(&mut bytes);
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:032x})", u128::from_be_bytes(self.0))
    }
}
