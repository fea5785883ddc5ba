//! The one write verb.

use serde::Serialize;

use crate::{
    Actor, Content, ConversationId, Data, Event, History, Key, LoginId, Role, Seq, Timestamp,
    UserId,
};

/// Everything that changes anything: committed atomically, all or nothing.
#[derive(Clone, Debug)]
pub struct Write {
    /// Who does it.
    pub actor: Actor,
    /// Where.
    pub target: Target,
    /// Makes it idempotent for good, together with the actor. `None`: nothing is kept of it for a retry, so that it is done as
    /// often as it is handed in. That is cheaper, and right for an author who could not name the same key again anyway.
    pub key: Option<Key>,
    /// What, in this order; at most [`crate::Limits::changes`].
    pub changes: Vec<Change>,
}

impl Write {
    /// A write with a new key.
    #[must_use]
    pub fn new(actor: Actor, target: Target, changes: Vec<Change>) -> Self {
        Self {
            actor,
            target,
            key: Some(Key::generate()),
            changes,
        }
    }

    /// A message, with a new key.
    #[must_use]
    pub fn post(sender: UserId, target: Target, content: impl Into<Content>) -> Self {
        Self::new(Actor::User(sender), target, vec![Change::post(content)])
    }
}

/// What a write is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Target {
    /// A conversation.
    Conversation(ConversationId),
    /// The direct conversation of two users, in either order; created when there is none.
    Direct(UserId, UserId),
    /// The conversation of this name; created when there is none, by the host only.
    Key(String),
    /// A new group. The first change is [`Change::Create`].
    Group,
    /// A user.
    User(UserId),
    /// The user whom a provider knows by a subject; created when there is none, by the host only.
    Subject {
        /// The provider.
        provider: String,
        /// The user's id with that provider.
        subject: String,
    },
}

/// One change. Who may make it: the table in `docs/ARCHITECTURE.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Change {
    // To a conversation:
    /// Settings and first members of a group to be made. The actor becomes its owner. With [`Target::Key`] it only counts
    /// when the conversation is made by this write.
    Create {
        /// The title.
        title: Option<String>,
        /// The host's own.
        data: Option<Data>,
        /// Only the host will change members, roles and settings; host only.
        managed: bool,
        /// What late joiners may read.
        history: History,
        /// Members besides the actor.
        members: Vec<(UserId, Role)>,
    },
    /// Posts a message.
    Post {
        /// What.
        content: Content,
        /// The message it answers.
        reply_to: Option<Seq>,
        /// Whom it mentions; those who are no members are left out.
        mentions: Vec<UserId>,
    },
    /// Replaces a message's content.
    Edit {
        /// Which; one's own.
        message: Seq,
        /// Refused with `Conflict` unless the message has this revision.
        revision: Option<u32>,
        /// By what.
        content: Content,
    },
    /// Erases a message's content.
    Delete {
        /// Which.
        message: Seq,
    },
    /// Puts a reaction on a message or takes it off; what is so already stays so. Who is blocked can take off their own.
    React {
        /// Which message.
        message: Seq,
        /// The reaction, at most 64 bytes.
        emoji: String,
        /// On, or off.
        on: bool,
    },
    /// Pins or unpins a message; what is so already stays so.
    Pin {
        /// Which.
        message: Seq,
        /// On, or off.
        on: bool,
    },
    /// Adds a member; who is one already stays as they are.
    Add {
        /// Whom.
        user: UserId,
        /// As what; not as owner.
        role: Role,
    },
    /// Removes a member.
    Remove {
        /// Whom.
        user: UserId,
    },
    /// The actor leaves.
    Leave {
        /// Who becomes owner; an owner must name one, unless alone.
        successor: Option<UserId>,
    },
    /// Changes a member's role. [`Role::Owner`] hands the group over; the old owner becomes admin.
    SetRole {
        /// Whose.
        user: UserId,
        /// To what.
        role: Role,
    },
    /// Changes settings; `None` leaves one as it is.
    Configure {
        /// A new title; an empty one takes it away.
        title: Option<String>,
        /// New data.
        data: Option<Data>,
        /// A new setting for those who join from now on.
        history: Option<History>,
    },
    /// Clears the conversation for the actor alone and takes it off their list until the next message.
    Hide,
    /// Mutes it for the actor until then; `None` unmutes.
    Mute {
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Files it away in the actor's list, or takes it back.
    Archive {
        /// Away, or back.
        on: bool,
    },
    /// The actor has read up to here; a lower seq than before changes nothing, a higher one than the head means the head.
    Read {
        /// Up to here.
        seq: Seq,
    },
    /// A device of the actor has received up to here; likewise.
    Deliver {
        /// Up to here.
        seq: Seq,
    },

    // To a user:
    /// Makes the user of a [`Target::Subject`]; `Conflict` when there is one. Host only.
    Register {
        /// The name to show.
        name: String,
    },
    /// Changes name and data; `None` leaves one as it is. With [`Target::Subject`] it makes the user first, if need be.
    Profile {
        /// The name to show.
        name: Option<String>,
        /// The host's own.
        data: Option<Data>,
    },
    /// Disables or enables a user; disabling revokes all logins. Host only.
    Disable {
        /// Disabled, or enabled.
        on: bool,
    },
    /// Blocks or unblocks another user.
    Block {
        /// Whom.
        user: UserId,
        /// On, or off.
        on: bool,
    },
    /// Sets the password hash of a built-in user. Host only.
    SetCredential {
        /// The hash that stands there now, if it must be that one still; else `Conflict`.
        expected: Option<String>,
        /// The new hash, as a PHC string.
        hash: String,
    },
    /// Opens a login. Host only.
    OpenLogin {
        /// Until when.
        expires: Timestamp,
    },
    /// Ends logins.
    RevokeLogins {
        /// This one; `None`: all opened so far.
        login: Option<LoginId>,
    },
}

impl Change {
    /// A plain message.
    #[must_use]
    pub fn post(content: impl Into<Content>) -> Self {
        Self::Post {
            content: content.into(),
            reply_to: None,
            mentions: Vec::new(),
        }
    }

    /// Whether it only says how far somebody has read or received.
    pub(crate) const fn is_mark(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Deliver { .. })
    }
}

/// A write that passed limits and policy, ready for a store.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The write, as policy left it.
    pub write: Write,
    /// Keyed hash of what was submitted, before policy: tells a retry from another body under the same key. Says nothing when
    /// there is no key.
    pub digest: [u8; 16],
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The conversation written to, found or created.
    pub conversation: Option<ConversationId>,
    /// The user written to, found or created.
    pub user: Option<UserId>,
    /// The login it opened.
    pub login: Option<LoginId>,
    /// The first seq it got in the conversation's log (0 without one) …
    pub first: Seq,
    /// … and how many there.
    pub count: u32,
    /// When it was committed.
    pub at: Timestamp,
    /// It was committed before under the same key: nothing happened now.
    pub replayed: bool,
    /// How far its author has read and received now, if that is what it was about. `None` when replayed, and for who left by it.
    pub marked: Option<Marked>,
    /// What happened: first the entries of users' logs, then those of the conversation. Empty when replayed.
    pub events: Vec<Event>,
}

/// How far somebody has read and received in a conversation, once a write moved their marks or left them as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Read up to this seq.
    pub read: Seq,
    /// Delivered to at least one device up to this seq.
    pub delivered: Seq,
    /// Where the conversation's log stood.
    pub head: Seq,
    /// How many members the conversation had.
    pub members: u32,
}

impl Committed {
    /// The last seq it got in the conversation's log; 0 without one.
    #[must_use]
    pub fn last(&self) -> Seq {
        if self.count == 0 {
            0
        } else {
            self.first + Seq::from(self.count) - 1
        }
    }
}
