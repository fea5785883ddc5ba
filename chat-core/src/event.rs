//! What logs hold.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, ConversationId, ConversationKind, History, LogId, LoginId, Message, Role, Seq,
    Timestamp, UserId,
};

/// One entry of a log, as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The log.
    pub log: LogId,
    /// Its place there.
    pub seq: Seq,
    /// When it was committed. Not an order: clocks jump.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub kind: EventKind,
    /// The message that a [`EventKind::Posted`] or [`EventKind::Edited`] is about, as it stood when this event was read
    /// (live: when it was committed); so a text that was erased is told nowhere any more.
    pub message: Option<Message>,
}

/// What happened. Events refer to content by seq, they never contain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    // In the log of a conversation:
    /// The conversation began. Always seq 1.
    Created {
        /// Direct or group.
        kind: ConversationKind,
        /// Its first members.
        members: Vec<(UserId, Role)>,
    },
    /// A message was posted; this event's seq is its id.
    Posted,
    /// A message got a new content.
    Edited {
        /// Which.
        message: Seq,
        /// The revision it has now.
        revision: u32,
    },
    /// A message's content was erased.
    Deleted {
        /// Which.
        message: Seq,
    },
    /// The actor put a reaction on a message, or took it off.
    Reacted {
        /// Which message.
        message: Seq,
        /// The reaction.
        emoji: String,
        /// Put on, or taken off.
        on: bool,
        /// By how many users the message has it now: nobody has to count, nor knows when counting began.
        count: u32,
    },
    /// A message was pinned or unpinned.
    Pinned {
        /// Which.
        message: Seq,
        /// Pinned, or unpinned.
        on: bool,
    },
    /// A user became a member.
    Joined {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
        /// The first seq of the range that opened for them.
        from: Seq,
    },
    /// A member left or was removed (then the actor is another); sees nothing after this event.
    Left {
        /// Who.
        user: UserId,
    },
    /// A member's role changed.
    RoleChanged {
        /// Whose.
        user: UserId,
        /// What they are now.
        role: Role,
    },
    /// Title, data or history setting changed; read them from the conversation.
    Configured {
        /// The title now.
        title: Option<String>,
        /// What late joiners may read now.
        history: History,
    },

    // In the log of a user:
    /// This user became a member of a conversation.
    Added {
        /// Which.
        conversation: ConversationId,
        /// The seq there at which it happened; live events from this one on concern them.
        seq: Seq,
    },
    /// This user is no longer a member of a conversation.
    Removed {
        /// Which.
        conversation: ConversationId,
        /// The last seq there that they may see.
        seq: Seq,
    },
    /// This user cleared a conversation and took it off their list.
    Hid {
        /// Which.
        conversation: ConversationId,
        /// Everything up to this seq is gone for them.
        through: Seq,
    },
    /// This user wants no notifications from a conversation until then.
    Muted {
        /// Which.
        conversation: ConversationId,
        /// Until when; `None`: no longer muted.
        until: Option<Timestamp>,
    },
    /// This user filed a conversation away, or took it back.
    Archived {
        /// Which.
        conversation: ConversationId,
        /// Away, or back.
        on: bool,
    },
    /// This user read a conversation up to a seq.
    Read {
        /// Which.
        conversation: ConversationId,
        /// Up to here.
        seq: Seq,
    },
    /// This user blocked or unblocked another.
    Blocked {
        /// Whom.
        user: UserId,
        /// Blocked, or unblocked.
        on: bool,
    },
    /// This user's name, data or `disabled` changed; read them from the user.
    Profile,
    /// Logins of this user ended.
    LoginsRevoked {
        /// This one; `None`: all with an id below `before`.
        login: Option<LoginId>,
        /// Logins below this id; 0 with a single `login`.
        before: u64,
    },
}

impl EventKind {
    /// The message of the same log that this event speaks about: outside a reader's ranges, the event is hidden too.
    #[must_use]
    pub const fn target(&self) -> Option<Seq> {
        match self {
            Self::Edited { message, .. }
            | Self::Deleted { message }
            | Self::Reacted { message, .. }
            | Self::Pinned { message, .. } => Some(*message),
            _ => None,
        }
    }
}
