//! What a client sends.

use super::field::{data, log, maybe_seq, nullable, objects, seq, to};
use super::macros::{frames, strict};
use super::{Time, WriteKey};
use crate::{ConversationId, Data, History, LogId, Role, Seq, UserId};

/// Where to post.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum To {
    /// Into this conversation.
    Conversation(ConversationId),
    /// Into the direct conversation with this user, which is made when there is none.
    User(UserId),
    /// Into the conversation that the host gave this name.
    Key(String),
}

frames! {
    /// A frame of a client, without its `ref`.
    Request by object {
        // Writes:
        /// Posts a message.
        Post("post"): Post,
        /// Replaces a message of one's own.
        Edit("edit"): Edit,
        /// Erases a message.
        Delete("delete"): Delete,
        /// Puts a reaction on a message, or takes it off.
        React("react"): React,
        /// Pins a message, or unpins it.
        Pin("pin"): Pin,
        /// Makes a group.
        Create("create"): Create,
        /// Changes a group's settings.
        Configure("configure"): Configure,
        /// Adds members to a group.
        Add("add"): Add,
        /// Removes a member of a group.
        Remove("remove"): Remove,
        /// Changes a member's role.
        SetRole("set_role"): SetRole,
        /// Leaves a group.
        Leave("leave"): Leave,
        /// Clears a conversation for oneself, and takes it off one's list until the next message.
        Hide("hide"): Hide,
        /// Mutes a conversation for oneself.
        Mute("mute"): Mute,
        /// Files a conversation away in one's list.
        Archive("archive"): Archive,
        /// Blocks another user.
        Block("block"): Block,
        /// Changes one's own name and data.
        Profile("profile"): Profile,
        // Marks:
        /// One has read up to here.
        Read("read"): Mark,
        /// This device has received up to here.
        Delivered("delivered"): Mark,
        // What is not stored:
        /// Tells the other members that one is typing, or the like.
        Signal("signal"): SendSignal,
        /// Asks to be told whether these users are online.
        Presence("presence"): Watch,
        // Reads:
        /// One's list of conversations.
        Inbox("inbox"): Inbox,
        /// Where all of one's logs stand.
        Heads("heads"): Heads,
        /// One conversation as it stands in one's list.
        Conversation("conversation"): OfConversation,
        /// Messages of a conversation.
        History("history"): GetHistory,
        /// Events of a log.
        Log("log"): GetLog,
        /// Members of a conversation.
        Members("members"): GetMembers,
        /// One user.
        User("user"): GetUser,
        /// Users by a part of their name.
        Users("users"): FindUsers,
        /// Messages by words in them.
        Search("search"): Search,
        // The session itself:
        /// What follows these places in their logs, and then what happens.
        Resume("resume"): Resume,
        /// A fresh token, before the old one ends.
        Renew("renew"): Renew,
        /// Whether the other side is there.
        Ping("ping"): Empty,
    }
}

strict! {
    /// Nothing; `body` may be left out.
    #[derive(Default, Copy, Eq)]
    pub struct Empty {}

    /// Posts a message.
    pub struct Post {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        #[serde(deserialize_with = "to")]
        pub to: To,
        /// Plain text.
        pub text: String,
        /// The host's own JSON.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// The id of the message it answers.
        #[serde(default, deserialize_with = "maybe_seq", skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<Seq>,
        /// Whom it mentions; those who are no members are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub mentions: Vec<UserId>,
    }

    /// Replaces a message of one's own.
    pub struct Edit {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Which.
        #[serde(deserialize_with = "seq")]
        pub message: Seq,
        /// Refused with `conflict` unless the message has this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub revision: Option<u32>,
        /// Plain text.
        pub text: String,
        /// The host's own JSON; what was there before goes.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
    }

    /// Erases a message.
    pub struct Delete {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Which.
        #[serde(deserialize_with = "seq")]
        pub message: Seq,
    }

    /// Puts a reaction on a message, or takes it off.
    pub struct React {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Which message.
        #[serde(deserialize_with = "seq")]
        pub message: Seq,
        /// The reaction, at most 64 bytes.
        pub emoji: String,
        /// On, or off.
        pub on: bool,
    }

    /// Pins a message, or unpins it.
    pub struct Pin {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Which message.
        #[serde(deserialize_with = "seq")]
        pub message: Seq,
        /// Pinned, or unpinned.
        pub on: bool,
    }

    /// Makes a group, of which one becomes the owner.
    pub struct Create {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Its title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<String>,
        /// The host's own JSON.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// What those who join later may read: `all` unless told.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        pub history: History,
        /// Members besides oneself.
        #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
        pub members: Vec<NewMember>,
    }

    /// A first member of a group.
    #[derive(Copy, Eq)]
    pub struct NewMember {
        /// Who.
        pub user: UserId,
        /// As what: `member` unless told.
        #[serde(default = "member")]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        pub role: Role,
    }

    /// Changes a group's settings; what is left out stays as it is.
    pub struct Configure {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// A new title; an empty one takes it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<String>,
        /// New data.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
        /// What those who join from now on may read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub history: Option<History>,
    }

    /// Adds members to a group.
    pub struct Add {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Whom; who is a member already stays as they are.
        pub users: Vec<UserId>,
        /// As what: `member` unless told.
        #[serde(default = "member")]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        pub role: Role,
    }

    /// Removes a member of a group.
    pub struct Remove {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Whom.
        pub user: UserId,
    }

    /// Changes a member's role.
    pub struct SetRole {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Whose.
        pub user: UserId,
        /// To what; `owner` hands the group over.
        pub role: Role,
    }

    /// Leaves a group.
    pub struct Leave {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Who becomes owner; an owner must name one, unless alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub successor: Option<UserId>,
    }

    /// Clears a conversation for oneself.
    pub struct Hide {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
    }

    /// Mutes a conversation for oneself.
    pub struct Mute {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Until when; null unmutes.
        #[serde(deserialize_with = "nullable")]
        #[cfg_attr(feature = "openapi", schema(required = true))]
        pub until: Option<Time>,
    }

    /// Files a conversation away in one's list.
    pub struct Archive {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Where.
        pub conversation: ConversationId,
        /// Away, or back.
        pub on: bool,
    }

    /// Blocks another user.
    pub struct Block {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// Whom.
        pub user: UserId,
        /// Blocked, or no longer.
        pub on: bool,
    }

    /// Changes one's own name and data; what is left out stays as it is.
    pub struct Profile {
        /// Makes a retry harmless.
        pub key: WriteKey,
        /// The name to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// The host's own JSON.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
    }

    /// A place in a conversation that was reached. Gathered: there is no reply.
    #[derive(Copy, Eq)]
    pub struct Mark {
        /// Where.
        pub conversation: ConversationId,
        /// Up to here; a lower one than before changes nothing.
        #[serde(deserialize_with = "seq")]
        pub seq: Seq,
    }

    /// Something that is not stored, such as typing. There is no reply.
    pub struct SendSignal {
        /// Where.
        pub conversation: ConversationId,
        /// What.
        pub kind: String,
        /// The client's own JSON.
        #[serde(default, deserialize_with = "data", skip_serializing_if = "Option::is_none")]
        pub data: Option<Data>,
    }

    /// Asks to be told whether users are online, instead of those of the frame before.
    pub struct Watch {
        /// Which.
        pub users: Vec<UserId>,
    }

    /// One's list of conversations, latest activity first.
    #[derive(Default, Eq)]
    pub struct Inbox {
        /// The `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<String>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// Where all of one's logs stand, by ascending conversation.
    #[derive(Default, Copy, Eq)]
    pub struct Heads {
        /// The `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<ConversationId>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// One conversation.
    #[derive(Copy, Eq)]
    pub struct OfConversation {
        /// Which.
        pub conversation: ConversationId,
    }

    /// Messages of a conversation, oldest first: without `before` and `after` the last ones.
    #[derive(Copy, Eq)]
    pub struct GetHistory {
        /// Where.
        pub conversation: ConversationId,
        /// The last ones before this message.
        #[serde(default, deserialize_with = "maybe_seq", skip_serializing_if = "Option::is_none")]
        pub before: Option<Seq>,
        /// The first ones after this message.
        #[serde(default, deserialize_with = "maybe_seq", skip_serializing_if = "Option::is_none")]
        pub after: Option<Seq>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// Events of a log, oldest first.
    #[derive(Copy, Eq)]
    pub struct GetLog {
        /// Which.
        #[serde(deserialize_with = "log")]
        pub log: LogId,
        /// Those after this one.
        #[serde(deserialize_with = "seq")]
        pub after: Seq,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// Members of a conversation by ascending user, former ones included.
    #[derive(Copy, Eq)]
    pub struct GetMembers {
        /// Where.
        pub conversation: ConversationId,
        /// The `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<UserId>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// One user: oneself, or somebody one shares a conversation with.
    #[derive(Copy, Eq)]
    pub struct GetUser {
        /// Who.
        pub user: UserId,
    }

    /// Users by a part of their name, at most one page.
    #[derive(Eq)]
    pub struct FindUsers {
        /// A part of the name.
        pub name: String,
    }

    /// Messages by words in them, newest first.
    #[derive(Eq)]
    pub struct Search {
        /// The words.
        pub text: String,
        /// In this conversation only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub conversation: Option<ConversationId>,
        /// The `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<String>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }

    /// What follows these places in their logs, and then what happens.
    #[derive(Eq)]
    pub struct Resume {
        /// The places; one's own log first.
        #[serde(deserialize_with = "objects")]
        pub logs: Vec<Cursor>,
    }

    /// A place in a log.
    #[derive(Copy, Eq)]
    pub struct Cursor {
        /// Which.
        #[serde(deserialize_with = "log")]
        pub log: LogId,
        /// What follows this seq.
        #[serde(deserialize_with = "seq")]
        pub after: Seq,
    }

    /// A fresh token of the same user, before the old one ends.
    #[derive(Eq)]
    pub struct Renew {
        /// The token.
        pub token: String,
    }
}

const fn member() -> Role {
    Role::Member
}
