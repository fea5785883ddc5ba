//! The JSON of the documented API: bodies in, bodies out, frames out. The chat's own types are never serialized to the
//! outside, so that they can change without changing the wire.

use std::borrow::Cow;

use chat_core::protocol::{Ref, Time};
use chat_core::{Actor, ConversationKind, Data, InboxEntry, Timestamp, User};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Time(*at))
}

fn maybe_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// Who a message is from; `null` when the host itself posted it.
fn sender(actor: Actor) -> Option<u64> {
    match actor {
        Actor::User(user) => Some(user.get()),
        Actor::Host => None,
    }
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    /// The username.
    #[schema(example = "ada")]
    pub(crate) username: String,
    /// The password.
    #[schema(example = "correct horse battery staple", format = "password")]
    pub(crate) password: String,
}

/// A change of password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewPassword {
    /// The one that holds now.
    #[schema(format = "password")]
    pub(crate) current_password: String,
    /// The one that shall hold.
    #[schema(format = "password")]
    pub(crate) new_password: String,
}

/// A user, as others see them.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody<'a> {
    /// The id.
    #[schema(minimum = 1, example = 1)]
    id: u64,
    /// The name.
    #[schema(example = "ada")]
    username: &'a str,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.get(),
            username: &user.name,
        }
    }
}

/// A login that was opened.
#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginBody<'a> {
    /// Goes into `Authorization: Bearer`, or into the path of a socket. The cookie holds the same.
    pub(crate) access_token: &'a str,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub(crate) token_type: &'a str,
    /// Seconds until it ends.
    #[schema(example = 3600)]
    pub(crate) expires_in: u64,
    /// Whose it is.
    pub(crate) user: UserBody<'a>,
}

/// The login of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody<'a> {
    /// Whose it is.
    pub(crate) user: UserBody<'a>,
    /// When it ends; `null` when it has no end of its own.
    #[serde(serialize_with = "maybe_time")]
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-22T16:40:00.123Z")]
    pub(crate) expires_at: Option<Timestamp>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Done)]
pub(crate) struct DoneBody {
    /// A sentence for a person.
    pub(crate) message: &'static str,
}

/// A conversation in somebody's list.
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationBody<'a> {
    /// The id.
    #[schema(minimum = 1, example = 1)]
    id: u64,
    /// `direct` or `group`.
    #[schema(example = "direct")]
    kind: &'static str,
    /// The lower user id of a direct conversation.
    user_a: Option<u64>,
    /// The higher user id of a direct conversation.
    user_b: Option<u64>,
    /// The title of a group.
    title: Option<&'a str>,
    /// The other one of a direct conversation.
    peer: Option<UserBody<'a>>,
    /// When it was last active.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = "date-time", example = "2026-11-22T16:40:00.123Z")]
    updated_at: Timestamp,
    /// How many messages the caller has not read.
    unread: u64,
    /// The last message, if there is one the caller may see.
    last_message: Option<MessageBody<'a>>,
    /// Goes into `before` to get the conversations after this one.
    #[schema(example = "1795365600123.1")]
    cursor: String,
}

impl<'a> From<&'a InboxEntry> for ConversationBody<'a> {
    fn from(entry: &'a InboxEntry) -> Self {
        let (kind, pair) = match entry.conversation.kind {
            ConversationKind::Direct(a, b) => ("direct", Some((a, b))),
            ConversationKind::Group => ("group", None),
        };
        Self {
            id: entry.conversation.id.get(),
            kind,
            user_a: pair.map(|(a, _)| a.get()),
            user_b: pair.map(|(_, b)| b.get()),
            title: entry.conversation.title.as_deref(),
            peer: entry.peer.as_ref().map(UserBody::from),
            updated_at: entry.head.at,
            unread: entry.member.unread(&entry.head),
            last_message: entry.last.as_ref().map(MessageBody::from),
            cursor: entry.cursor().to_string(),
        }
    }
}

/// A message as it stands now.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageBody<'a> {
    /// The id: unique in its conversation only, ascending in the order posted.
    #[schema(minimum = 1, example = 2)]
    id: u64,
    /// Its conversation.
    #[schema(minimum = 1, example = 1)]
    conversation_id: u64,
    /// Who wrote it; `null` when the service itself did.
    #[schema(example = 1)]
    sender_id: Option<u64>,
    /// Plain text; empty when deleted.
    #[schema(example = "hello")]
    content: &'a str,
    /// When it was posted.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = "date-time", example = "2026-11-22T16:40:00.123Z")]
    timestamp: Timestamp,
    /// When it was last edited.
    #[serde(serialize_with = "maybe_time")]
    #[schema(value_type = Option<String>, format = "date-time")]
    edited_at: Option<Timestamp>,
    /// Its content was erased.
    deleted: bool,
    /// The id of the message it answers.
    reply_to: Option<u64>,
    /// Whatever the service attached.
    #[schema(value_type = Option<Object>)]
    data: Option<&'a Data>,
}

impl<'a> From<&'a chat_core::Message> for MessageBody<'a> {
    fn from(message: &'a chat_core::Message) -> Self {
        let content = message.content.as_ref();
        Self {
            id: message.seq,
            conversation_id: message.conversation.get(),
            sender_id: sender(message.sender),
            content: content.map_or("", |content| &content.text),
            timestamp: message.at,
            edited_at: message.edited_at,
            deleted: content.is_none(),
            reply_to: message.reply_to,
            data: content.and_then(|content| content.data.as_ref()),
        }
    }
}

/// The frame that tells of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageFrame)]
pub(crate) struct MessageFrame<'a> {
    /// Always `message`.
    #[schema(example = "message")]
    r#type: &'static str,
    /// The id: unique in its conversation only.
    #[schema(minimum = 1, example = 2)]
    id: u64,
    /// Its conversation.
    #[schema(minimum = 1, example = 1)]
    conversation_id: u64,
    /// Who wrote it; `null` when the service itself did.
    #[schema(example = 1)]
    sender_id: Option<u64>,
    /// Plain text.
    #[schema(example = "hello")]
    content: &'a str,
    /// When it was posted.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = "date-time", example = "2026-11-22T16:40:00.123Z")]
    timestamp: Timestamp,
    /// The id of the message it answers.
    reply_to: Option<u64>,
    /// Whatever the service attached.
    #[schema(value_type = Option<Object>)]
    data: Option<&'a Data>,
}

impl<'a> From<&'a chat_core::Message> for MessageFrame<'a> {
    fn from(message: &'a chat_core::Message) -> Self {
        let content = message.content.as_ref();
        Self {
            r#type: "message",
            id: message.seq,
            conversation_id: message.conversation.get(),
            sender_id: sender(message.sender),
            content: content.map_or("", |content| &content.text),
            timestamp: message.at,
            reply_to: message.reply_to,
            data: content.and_then(|content| content.data.as_ref()),
        }
    }
}

/// The frame that says what is wrong with a frame of the client.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorFrame<'a> {
    /// Always `error`.
    #[schema(example = "error")]
    pub(crate) r#type: &'static str,
    /// `invalid`, `not_found`, `forbidden`, `conflict`, `rate_limited`, `busy`, `unavailable`, `too_large` or `internal`.
    #[schema(example = "not_found")]
    pub(crate) code: &'static str,
    /// A sentence for a person.
    pub(crate) detail: Cow<'a, str>,
    /// As in the frame it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#ref: Option<&'a Ref>,
    /// How long to wait before the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
}
