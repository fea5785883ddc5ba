//! Events as frames tell them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::macros::{kinds, lenient};
use super::model::{author, kind};
use super::{ConversationType, Message, Nothing, Time};
use crate::{ConversationId, EventKind, History, LogId, Role, Seq, UserId};

/// An entry of a log: where it stands, what happened, when and by whom.
///
/// A client that does not know a kind still moves its cursor of the log to `seq`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The log.
    pub log: LogId,
    /// Its place there.
    pub seq: Seq,
    /// When and by whom; nothing where only the place is told.
    #[serde(flatten)]
    pub by: Option<By>,
    /// What happened: `kind`, and its own fields.
    #[serde(flatten)]
    pub what: What,
}

lenient! {
    /// When something happened, and by whom.
    #[derive(Copy, Eq)]
    pub struct By {
        /// When it was stored. Not an order: clocks jump.
        pub at: Time,
        /// Who did it; null: the host itself.
        pub actor: Option<UserId>,
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Place {
            log: LogId,
            seq: Seq,
        }
        // Each part from the same text, as nothing can be flattened around opaque JSON.
        let whole = Box::<RawValue>::deserialize(deserializer)?;
        let whole = whole.get();
        let place: Place = serde_json::from_str(whole).map_err(D::Error::custom)?;
        let what = serde_json::from_str(whole).map_err(D::Error::custom)?;
        Ok(Self {
            log: place.log,
            seq: place.seq,
            by: serde_json::from_str(whole).ok(),
            what,
        })
    }
}

kinds! {
    /// What happened.
    What {
        /// Something that one may not see: only its place is told.
        Hidden("hidden"): Nothing,
        // In the log of a conversation:
        /// The conversation began. Always seq 1.
        Created("created"): Created,
        /// A message was posted; the event's seq is its id.
        Posted("posted"): Posted,
        /// A message got a new content.
        Edited("edited"): Edited,
        /// A message's content was erased.
        Deleted("deleted"): Deleted,
        /// The actor put a reaction on a message, or took it off.
        Reacted("reacted"): Reacted,
        /// A message was pinned or unpinned.
        Pinned("pinned"): Pinned,
        /// A user became a member.
        Joined("joined"): Joined,
        /// A member left, or was removed by another.
        Left("left"): Left,
        /// A member's role changed.
        RoleChanged("role_changed"): RoleChanged,
        /// Settings changed.
        Configured("configured"): Configured,
        // In the log of a user:
        /// One became a member of a conversation.
        Added("added"): Added,
        /// One is no longer a member of a conversation.
        Removed("removed"): Removed,
        /// One cleared a conversation.
        Hid("hid"): Hid,
        /// One muted a conversation.
        Muted("muted"): Muted,
        /// One filed a conversation away.
        Archived("archived"): Archived,
        /// One read a conversation.
        Read("read"): ReadUpTo,
        /// One blocked another.
        Blocked("blocked"): Blocked,
        /// One's name, data or `disabled` changed.
        Profile("profile"): ProfileChanged,
        /// Logins of this user ended.
        LoginsRevoked("logins_revoked"): LoginsRevoked,
    }
}

lenient! {
    /// The conversation began.
    #[derive(Eq)]
    pub struct Created {
        /// Direct or group.
        pub conversation_kind: ConversationType,
        /// Its first members.
        pub members: Vec<FirstMember>,
    }

    /// A member from the start.
    #[derive(Copy, Eq)]
    pub struct FirstMember {
        /// Who.
        pub user: UserId,
        /// As what.
        pub role: Role,
    }

    /// A message was posted.
    pub struct Posted {
        /// The message, as it stood when this was read; live: as it was posted.
        pub message: Message,
    }

    /// A message got a new content.
    pub struct Edited {
        /// The message, as it stood when this was read; live: as it was left by this edit.
        pub message: Message,
    }

    /// A message's content was erased.
    #[derive(Copy, Eq)]
    pub struct Deleted {
        /// Which.
        pub message: Seq,
    }

    /// A reaction was put on a message, or taken off.
    #[derive(Eq)]
    pub struct Reacted {
        /// Which message.
        pub message: Seq,
        /// The reaction.
        pub emoji: String,
        /// Put on, or taken off.
        pub on: bool,
        /// By how many users the message has it now: with 0 it goes, a new one comes last.
        pub count: u32,
    }

    /// A message was pinned or unpinned.
    #[derive(Copy, Eq)]
    pub struct Pinned {
        /// Which.
        pub message: Seq,
        /// Pinned, or unpinned.
        pub on: bool,
    }

    /// A user became a member.
    #[derive(Copy, Eq)]
    pub struct Joined {
        /// Who.
        pub user: UserId,
        /// As what.
        pub role: Role,
        /// The first seq that they may see.
        pub from: Seq,
    }

    /// A member left, or was removed by another.
    #[derive(Copy, Eq)]
    pub struct Left {
        /// Who.
        pub user: UserId,
    }

    /// A member's role changed.
    #[derive(Copy, Eq)]
    pub struct RoleChanged {
        /// Whose.
        pub user: UserId,
        /// To what.
        pub role: Role,
    }

    /// Settings changed; `data` is read from the conversation.
    #[derive(Eq)]
    pub struct Configured {
        /// The title now; left out without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<String>,
        /// What those who join from now on may read.
        pub history: History,
    }

    /// One became a member of a conversation.
    #[derive(Copy, Eq)]
    pub struct Added {
        /// Which.
        pub conversation: ConversationId,
        /// At which of its seqs: live events from this one on concern one.
        pub at_seq: Seq,
    }

    /// One is no longer a member of a conversation.
    #[derive(Copy, Eq)]
    pub struct Removed {
        /// Which.
        pub conversation: ConversationId,
        /// The last of its seqs that one may see.
        pub at_seq: Seq,
    }

    /// One cleared a conversation.
    #[derive(Copy, Eq)]
    pub struct Hid {
        /// Which.
        pub conversation: ConversationId,
        /// Everything up to this seq is gone for one.
        pub through: Seq,
    }

    /// One muted a conversation.
    #[derive(Copy, Eq)]
    pub struct Muted {
        /// Which.
        pub conversation: ConversationId,
        /// Until when; left out: no longer muted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Time>,
    }

    /// One filed a conversation away, or took it back.
    #[derive(Copy, Eq)]
    pub struct Archived {
        /// Which.
        pub conversation: ConversationId,
        /// Away, or back.
        pub on: bool,
    }

    /// One read a conversation.
    #[derive(Copy, Eq)]
    pub struct ReadUpTo {
        /// Which.
        pub conversation: ConversationId,
        /// Up to this of its seqs.
        pub up_to: Seq,
    }

    /// One blocked another user, or no longer.
    #[derive(Copy, Eq)]
    pub struct Blocked {
        /// Whom.
        pub user: UserId,
        /// Blocked, or no longer.
        pub on: bool,
    }

    /// One's name, data or `disabled` changed: read the user.
    #[derive(Default, Copy, Eq)]
    pub struct ProfileChanged {}

    /// Logins of this user ended; whoever is told so goes on.
    #[derive(Default, Copy, Eq)]
    pub struct LoginsRevoked {}
}

impl Event {
    /// Only a place.
    #[must_use]
    pub fn hidden(log: LogId, seq: Seq) -> Self {
        Self {
            log,
            seq,
            by: None,
            what: What::Hidden(Nothing {}),
        }
    }
}

impl From<crate::Event> for Event {
    fn from(event: crate::Event) -> Self {
        let by = By {
            at: event.at.into(),
            actor: author(event.actor),
        };
        Self {
            log: event.log,
            seq: event.seq,
            by: Some(by),
            what: what(event.kind, event.message),
        }
    }
}

fn what(event: EventKind, message: Option<crate::Message>) -> What {
    match event {
        EventKind::Created { kind: of, members } => {
            let members = members.into_iter();
            let members = members.map(|(user, role)| FirstMember { user, role });
            let (conversation_kind, _) = kind(of);
            Created {
                conversation_kind,
                members: members.collect(),
            }
            .into()
        }
        // Always with its message; without, only the place could be told.
        EventKind::Posted => message.map_or(What::Hidden(Nothing {}), |message| {
            Posted {
                message: message.into(),
            }
            .into()
        }),
        EventKind::Edited { .. } => message.map_or(What::Hidden(Nothing {}), |message| {
            Edited {
                message: message.into(),
            }
            .into()
        }),
        EventKind::Deleted { message } => Deleted { message }.into(),
        EventKind::Reacted {
            message,
            emoji,
            on,
            count,
        } => Reacted {
            message,
            emoji,
            on,
            count,
        }
        .into(),
        EventKind::Pinned { message, on } => Pinned { message, on }.into(),
        EventKind::Joined { user, role, from } => Joined { user, role, from }.into(),
        EventKind::Left { user } => Left { user }.into(),
        EventKind::RoleChanged { user, role } => RoleChanged { user, role }.into(),
        EventKind::Configured { title, history } => Configured { title, history }.into(),
        EventKind::Added { conversation, seq } => Added {
            conversation,
            at_seq: seq,
        }
        .into(),
        EventKind::Removed { conversation, seq } => Removed {
            conversation,
            at_seq: seq,
        }
        .into(),
        EventKind::Hid {
            conversation,
            through,
        } => Hid {
            conversation,
            through,
        }
        .into(),
        EventKind::Muted {
            conversation,
            until,
        } => Muted {
            conversation,
            until: until.map(Time),
        }
        .into(),
        EventKind::Archived { conversation, on } => Archived { conversation, on }.into(),
        EventKind::Read { conversation, seq } => ReadUpTo {
            conversation,
            up_to: seq,
        }
        .into(),
        EventKind::Blocked { user, on } => Blocked { user, on }.into(),
        EventKind::Profile => ProfileChanged {}.into(),
        EventKind::LoginsRevoked { .. } => LoginsRevoked {}.into(),
    }
}
