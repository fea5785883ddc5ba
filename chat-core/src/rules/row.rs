//! Rows: what a store keeps, and all that the rules know of it.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, Conversation, ConversationId, Event, EventKind, Head, Key, LogId, Login, LoginId,
    Member, Message, Seq, Timestamp, User, UserId,
};

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident ( $($part:ident : $key:ty),* ) => $value:ty),* $(,)?) => {
        /// Names one row.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum RowKey {$(
            $(#[$doc])*
            $name($($key),*),
        )*}

        /// One row's content. The variant is the one of its [`RowKey`].
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Row {$(
            $(#[$doc])*
            $name($value),
        )*}

        impl Row {
            /// The row's content as JSON, the encoding for stores that keep rows opaque.
            ///
            /// # Errors
            /// `Internal` when it cannot be encoded: a defect.
            pub fn encode(&self) -> Result<Vec<u8>, crate::Error> {
                match self {$(
                    Self::$name(value) => serde_json::to_vec(value),
                )*}
                .map_err(|e| crate::Error::internal("a row cannot be encoded").with_source(e))
            }

            /// The opposite of [`Row::encode`], for the row of this key.
            ///
            /// # Errors
            /// `Internal` when the bytes are no such row: the store is damaged.
            pub fn decode(key: &RowKey, bytes: &[u8]) -> Result<Self, crate::Error> {
                match key {$(
                    RowKey::$name(..) => serde_json::from_slice(bytes).map(Self::$name),
                )*}
                .map_err(|e| crate::Error::internal("a stored row cannot be read").with_source(e))
            }
        }

        $(impl sealed::Table for tables::$name {
            type Value = $value;
            fn unwrap(row: &Row) -> Option<&$value> {
                if let Row::$name(value) = row { Some(value) } else { None }
            }
        })*

        /// One marker for each kind of row, so that the rules read and write them by type.
        pub(crate) mod tables {
            $(
                // The rules do not read every kind by type.
                #[allow(dead_code)]
                pub(crate) struct $name;
            )*
        }
    };
}

pub(crate) mod sealed {
    pub(crate) trait Table {
        type Value: Clone;
        fn unwrap(row: &super::Row) -> Option<&Self::Value>;
    }
}

rows! {
    /// A user.
    User(user: UserId) => User,
    /// The user whom a provider knows by a subject: (provider, subject).
    Subject(provider: String, subject: String) => UserId,
    /// A user found by a part of their folded name: (the name from some character on, the user). See [`crate::fold_name`].
    Suffix(suffix: String, user: UserId) => (),
    /// The password hash of a built-in user.
    Credential(user: UserId) => String,
    /// A login.
    Login(login: LoginId) => Login,
    /// (who blocks, who is blocked).
    Block(by: UserId, user: UserId) => (),
    /// A conversation's settings.
    Conversation(conversation: ConversationId) => Conversation,
    /// The direct conversation of two users, the lower id first.
    Direct(a: UserId, b: UserId) => ConversationId,
    /// The conversation of a host's name.
    Named(key: String) => ConversationId,
    /// A member, former ones included.
    Member(conversation: ConversationId, user: UserId) => Member,
    /// A conversation as it stood when a member left it: (conversation, former member). All they are told of it since.
    Parted(conversation: ConversationId, user: UserId) => Conversation,
    /// How often members moved their marks in a conversation: whoever knows another number has not heard of all of them.
    Marks(conversation: ConversationId) => u64,
    /// Where a log stands.
    Head(log: LogId) => Head,
    /// An entry of a log, with its message if it created one.
    Event(log: LogId, seq: Seq) => EventRow,
    /// One user's reactions on one message, in order of use: (conversation, message, user).
    Reactions(conversation: ConversationId, message: Seq, user: UserId) => Vec<String>,
    /// What was done under a key: (key, author). The key stands first, so that an index of them grows at its end.
    Done(key: Key, author: Actor) => Done,
    /// The last id given out of a kind.
    Counter(counter: Counter) => u64,
    /// The store's secret for [`crate::Prepared::digest`], 32 random bytes made with the store.
    Secret() => [u8; 32],
    /// How far an unfinished copy into this store has come. A store that has this row is not to be used. See
    /// [`crate::Archive`].
    Moving() => Moving,
}

/// What ids are given out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// [`UserId`]s.
    User,
    /// [`ConversationId`]s.
    Conversation,
    /// [`LoginId`]s.
    Login,
}

/// How far a copy into a store has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// All events up to this position of the source's feed are here.
    pub events: u64,
    /// All other rows up to this one, in the source's order, are here.
    pub rows: Option<RowKey>,
}

/// An entry of a log as it is stored: an event and, if it created a message, the message, in one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub kind: EventKind,
    /// How many messages the log has up to and including this entry.
    pub ordinal: u64,
    /// The message it created, as it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

impl EventRow {
    /// The event, about `message`: for [`EventKind::Posted`] this row's own, for [`EventKind::Edited`] that of the row it
    /// names, else none.
    #[must_use]
    pub fn event(&self, log: LogId, seq: Seq, message: Option<Message>) -> Event {
        Event {
            log,
            seq,
            at: self.at,
            actor: self.actor,
            kind: self.kind.clone(),
            message,
        }
    }
}

/// What was done under a key: enough to answer it again for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Of what was submitted, before policy.
    pub digest: [u8; 16],
    /// See [`crate::Committed`], also for what follows.
    pub at: Timestamp,
    /// The conversation written to.
    pub conversation: Option<ConversationId>,
    /// The user written to.
    pub user: Option<UserId>,
    /// The login opened.
    pub login: Option<LoginId>,
    /// The first seq in the conversation's log.
    pub first: Seq,
    /// How many there.
    pub count: u32,
}
