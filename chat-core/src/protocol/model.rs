//! What frames tell of users, conversations, members and messages. The chat's own types are never serialized to the outside:
//! they hold what is nobody's business, and must be free to change.

use super::Time;
use super::macros::lenient;
use crate::{
    Actor, ConversationId, ConversationKind, Data, History, InboxEntry, Role, Seq, UserId,
};

/// Who did something; `None` (null) is the host itself.
pub(super) const fn author(actor: Actor) -> Option<UserId> {
    match actor {
        Actor::User(user) => Some(user),
        Actor::Host => None,
    }
}

lenient! {
    /// A user, as others see them.
    #[cfg_attr(feature = "openapi", schema(as = v1::User))]
    pub struct User {
        /// The id.
        pub id: UserId,
        /// The name to show.
        pub name: String,
        /// The host's own JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// Can neither log in nor write.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        pub disabled: bool,
    }

    /// How often a message got one reaction.
    #[derive(Eq)]
    pub struct Reaction {
        /// The reaction.
        pub emoji: String,
        /// By how many users.
        pub count: u32,
    }

    /// A message as it stands.
    #[cfg_attr(feature = "openapi", schema(as = v1::Message))]
    pub struct Message {
        /// The seq of the event that created it: unique in its conversation only.
        pub id: Seq,
        /// Its conversation.
        pub conversation: ConversationId,
        /// Its place among the messages of its conversation: 1, 2, 3 …
        pub number: u64,
        /// Who wrote it; null when the host itself did.
        pub sender: Option<UserId>,
        /// When it was posted.
        pub at: Time,
        /// Plain text; left out once deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text: Option<String>,
        /// The host's own JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// The id of the message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<Seq>,
        /// Whom it mentions.
        pub mentions: Vec<UserId>,
        /// Reactions, in order of first use.
        pub reactions: Vec<Reaction>,
        /// 0 as posted, one more with each edit.
        pub revision: u32,
        /// When it was last edited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub edited_at: Option<Time>,
        /// Its content was erased.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        pub deleted: bool,
    }

    /// A conversation's settings.
    #[cfg_attr(feature = "openapi", schema(as = v1::Conversation))]
    pub struct Conversation {
        /// The id.
        pub id: ConversationId,
        /// Direct or group.
        pub kind: ConversationType,
        /// The two of a direct conversation, the lower id first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pair: Option<[UserId; 2]>,
        /// The name the host gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key: Option<String>,
        /// The title of a group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<String>,
        /// The host's own JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// Only the host changes members, roles and settings.
        pub managed: bool,
        /// What those who join later may read.
        pub history: History,
        /// How many members it has.
        pub members: u32,
        /// The owner of a group, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub owner: Option<UserId>,
        /// Ids of pinned messages, oldest pin first.
        pub pins: Vec<Seq>,
    }

    /// A conversation as it stands in one's own list, at one moment.
    pub struct Entry {
        /// Its settings.
        pub conversation: Conversation,
        /// One's own place in it.
        pub me: Me,
        /// Where its log stands, as far as one may know: a cursor to resume from when this entry is what one starts from.
        pub head: Seq,
        /// How many messages it ever had.
        pub messages: u64,
        /// When it was last active.
        pub at: Time,
        /// The last message, if one may see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last: Option<Message>,
        /// The other one of a direct conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub peer: Option<User>,
    }

    /// One's own place in a conversation.
    #[derive(Eq)]
    pub struct Me {
        /// One's role; left out once one left or was removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub role: Option<Role>,
        /// Whether it stands in one's list now.
        pub listed: bool,
        /// Read up to this seq.
        pub read: Seq,
        /// Received up to this seq.
        pub delivered: Seq,
        /// Messages not read.
        pub unread: u64,
        /// How many of them mention one; no more than 100 are counted.
        pub mentions: u64,
        /// Muted until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub muted_until: Option<Time>,
        /// Filed away.
        pub archived: bool,
    }

    /// A member of a conversation, as others see them.
    #[derive(Eq)]
    #[cfg_attr(feature = "openapi", schema(as = v1::Member))]
    pub struct Member {
        /// Who.
        pub user: UserId,
        /// Their role; left out once they left or were removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub role: Option<Role>,
        /// They have read up to this seq; left out where receipts are not told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub read: Option<Seq>,
        /// They have received up to this seq; left out with `read`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delivered: Option<Seq>,
    }
}

/// The two kinds of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConversationType {
    /// Of exactly two, for good.
    Direct,
    /// Of any number, with roles.
    Group,
}

/// What kind a conversation is, and the two of a direct one.
pub(super) const fn kind(kind: ConversationKind) -> (ConversationType, Option<[UserId; 2]>) {
    match kind {
        ConversationKind::Direct(a, b) => (ConversationType::Direct, Some([a, b])),
        ConversationKind::Group => (ConversationType::Group, None),
    }
}

impl From<crate::User> for User {
    fn from(user: crate::User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            data: user.data,
            disabled: user.disabled,
        }
    }
}

impl From<crate::Message> for Message {
    fn from(message: crate::Message) -> Self {
        let deleted = message.content.is_none();
        let (text, data) = message
            .content
            .map_or((None, None), |content| (Some(content.text), content.data));
        let reactions = message.reactions.into_iter().map(Reaction::from).collect();
        Self {
            id: message.seq,
            conversation: message.conversation,
            number: message.ordinal,
            sender: author(message.sender),
            at: message.at.into(),
            text,
            data,
            reply_to: message.reply_to,
            mentions: message.mentions,
            reactions,
            revision: message.revision,
            edited_at: message.edited_at.map(Time),
            deleted,
        }
    }
}

impl From<crate::Reaction> for Reaction {
    fn from(reaction: crate::Reaction) -> Self {
        Self {
            emoji: reaction.emoji,
            count: reaction.count,
        }
    }
}

impl From<crate::Conversation> for Conversation {
    fn from(conversation: crate::Conversation) -> Self {
        let (kind, pair) = kind(conversation.kind);
        Self {
            id: conversation.id,
            kind,
            pair,
            key: conversation.key,
            title: conversation.title,
            data: conversation.data,
            managed: conversation.managed,
            history: conversation.history,
            members: conversation.members,
            owner: conversation.owner,
            pins: conversation.pins,
        }
    }
}

impl From<InboxEntry> for Entry {
    fn from(entry: InboxEntry) -> Self {
        let (member, head) = (&entry.member, &entry.head);
        let me = Me {
            role: member.role,
            listed: member.is_listed(head),
            read: member.read,
            delivered: member.delivered,
            unread: member.unread(head),
            mentions: member.mentions.len() as u64,
            muted_until: member.muted_until.map(Time),
            archived: member.archived,
        };
        Self {
            me,
            head: head.seq,
            messages: head.ordinal,
            at: head.at.into(),
            conversation: entry.conversation.into(),
            last: entry.last.map(Message::from),
            peer: entry.peer.map(User::from),
        }
    }
}

impl Member {
    /// As others see them; `marks`: these are few enough to be told how far each has read.
    pub(super) fn of(member: &crate::Member, marks: bool) -> Self {
        let marks = marks && member.role.is_some();
        Self {
            user: member.user,
            role: member.role,
            read: marks.then_some(member.read),
            delivered: marks.then(|| member.delivered.max(member.read)),
        }
    }
}
