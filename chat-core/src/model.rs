//! What is stored about users, conversations, members and messages.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{ConversationId, Error, LoginId, Seq, Timestamp, UserId};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The service that embeds the chat. Passes permission rules, never invariants; no frame can act as host.
    Host,
    /// A user, bots included.
    User(UserId),
}

/// Through whose eyes something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A user: sees what lies in the visible ranges of their memberships.
    User(UserId),
    /// Everything. Granted by the host only ([`crate::Reach::All`]).
    All,
}

/// Opaque JSON of the host: kept as it came, never interpreted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// What [`Data::from_json`] takes.
    pub(crate) const EXPECTED: &str =
        "JSON that is at most 100 levels deep, without numbers beyond a double or half characters";

    /// Takes JSON text that every reader can take: at most 100 levels deep, with numbers that fit a double, and strings that
    /// can be written in UTF-8. So no reader fails on what somebody else attached.
    ///
    /// # Errors
    /// `Invalid` when it is not.
    pub fn from_json(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let bad = |_| Error::invalid(format!("`data` must be {}", Self::EXPECTED));
        if depth(&text) > 100 {
            return Err(Error::invalid(format!("`data` must be {}", Self::EXPECTED)));
        }
        // Reads numbers and escapes, which a raw value only passes over.
        let _: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
        RawValue::from_string(text).map(Self).map_err(bad)
    }

    /// The JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

/// How deep lists and objects lie in each other.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Data {}

/// A person or bot known to this store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id in this store.
    pub id: UserId,
    /// Who vouches for them: [`crate::LOCAL`] for built-in users, else the host's name for its directory.
    pub provider: String,
    /// Their id with that provider; unique together with `provider`.
    pub subject: String,
    /// The name to show; search finds it.
    pub name: String,
    /// The host's own.
    pub data: Option<Data>,
    /// Can neither log in nor write.
    pub disabled: bool,
    /// Logins with a lower id are revoked.
    pub logins_from: u64,
}

/// An authenticated session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Its id, part of every token of this login.
    pub id: LoginId,
    /// Whose it is.
    pub user: UserId,
    /// Opened at.
    pub at: Timestamp,
    /// Ends at.
    pub expires: Timestamp,
    /// Ended before that.
    pub revoked: bool,
}

impl Login {
    /// Whether it still counts at `now`, given its user.
    #[must_use]
    pub fn is_live(&self, user: &User, now: Timestamp) -> bool {
        user.id == self.user
            && !user.disabled
            && !self.revoked
            && self.id.get() >= user.logins_from
            && now < self.expires
    }
}

/// The two kinds of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Of exactly two, for good; the lower user id first.
    Direct(UserId, UserId),
    /// Of any number, with roles.
    Group,
}

/// What a member who joins later may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum History {
    /// All of it.
    #[default]
    All,
    /// From their joining on.
    Joined,
}

/// A conversation's settings; what moves with every message is in its [`Head`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The id in this store.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The name the host gave it, unique in the store.
    pub key: Option<String>,
    /// The title of a group.
    pub title: Option<String>,
    /// The host's own.
    pub data: Option<Data>,
    /// Only the host changes members, roles and settings.
    pub managed: bool,
    /// What late joiners may read.
    pub history: History,
    /// How many members it has now.
    pub members: u32,
    /// The owner of a group, unless managed without one.
    pub owner: Option<UserId>,
    /// Pinned messages, oldest pin first.
    pub pins: Vec<Seq>,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last seq; 0 for a log without events.
    pub seq: Seq,
    /// Events up to here were trimmed by retention; 0 until then.
    pub floor: Seq,
    /// In a conversation's log, how many messages it ever had; in a user's log, how many conversations the user is in.
    pub ordinal: u64,
    /// The seq of the last message; 0 without one.
    pub message: Seq,
    /// When the last event that counts as activity (creation or a message) happened.
    pub at: Timestamp,
}

/// A member's rights in a group; in a direct conversation both are [`Role::Member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Reads, posts, reacts; edits and deletes own messages.
    Member,
    /// Also deletes others' messages, pins, renames, adds, and removes members.
    Admin,
    /// Also removes anyone, changes roles, hands over.
    Owner,
}

/// The parts of a log somebody may see: disjoint, ascending, each from its first to its last seq, both included; no last
/// means "and all that follows".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(Seq, Option<Seq>)>);

impl Ranges {
    /// All of a log.
    #[must_use]
    pub fn all() -> Self {
        Self::from_seq(1)
    }

    /// Everything from `first` on.
    #[must_use]
    pub fn from_seq(first: Seq) -> Self {
        Self(vec![(first, None)])
    }

    /// Whether `seq` may be seen.
    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        self.0
            .iter()
            .any(|&(first, last)| first <= seq && last.is_none_or(|last| seq <= last))
    }

    /// Opens the ranges from `first` on; what was visible before stays visible.
    pub fn open(&mut self, first: Seq) {
        self.0.retain(|&(start, _)| start < first);
        match self.0.last_mut() {
            Some((_, end)) if end.is_none_or(|end| end >= first.saturating_sub(1)) => *end = None,
            _ => self.0.push((first, None)),
        }
    }

    /// Closes the open range after `last`.
    pub fn close(&mut self, last: Seq) {
        self.0.retain(|&(first, _)| first <= last);
        if let Some((_, end)) = self.0.last_mut() {
            *end = Some(end.map_or(last, |end| end.min(last)));
        }
    }

    /// Takes away everything up to `last`.
    pub fn drop_through(&mut self, last: Seq) {
        self.0.retain(|&(_, end)| end.is_none_or(|end| end > last));
        if let Some((first, _)) = self.0.first_mut() {
            *first = (*first).max(last + 1);
        }
    }

    /// The first visible seq, if any.
    #[must_use]
    pub fn first(&self) -> Option<Seq> {
        self.0.first().map(|&(first, _)| first)
    }

    /// The last seq that somebody with these ranges knows of in a log that ends at `head`.
    #[must_use]
    pub fn end(&self, head: Seq) -> Seq {
        self.0
            .last()
            .map_or(0, |&(_, last)| last.map_or(head, |last| last.min(head)))
    }

    /// The ranges, ascending; no last means "and all that follows".
    #[must_use]
    pub fn as_slice(&self) -> &[(Seq, Option<Seq>)] {
        &self.0
    }
}

/// One user in one conversation; kept after they left, for what they may still read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// Their role; `None` once they left or were removed.
    pub role: Option<Role>,
    /// Which part of the log they may read.
    pub ranges: Ranges,
    /// Read up to this seq.
    pub read: Seq,
    /// How many messages the log had at `read`: unread = head's ordinal − this.
    pub read_ordinal: u64,
    /// Delivered to at least one device up to this seq.
    pub delivered: Seq,
    /// Hidden from their list until a message follows this seq; 0 when it never was.
    pub hidden: Seq,
    /// No notifications until then.
    pub muted_until: Option<Timestamp>,
    /// Filed away in their list.
    pub archived: bool,
    /// Messages after `read` that mention them, ascending; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Seq>,
}

impl Member {
    /// How many messages they have not read, `head` being the conversation's; 0 for former members.
    #[must_use]
    pub fn unread(&self, head: &Head) -> u64 {
        if self.role.is_some() {
            head.ordinal.saturating_sub(self.read_ordinal)
        } else {
            0
        }
    }

    /// Whether it stands in their list: a member now, and not hidden since the last message.
    #[must_use]
    pub fn is_listed(&self, head: &Head) -> bool {
        self.role.is_some() && (self.hidden == 0 || head.message > self.hidden)
    }
}

/// What a person wrote and what the host attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Plain text.
    pub text: String,
    /// The host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            data: None,
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self { text, data: None }
    }
}

/// How often a message got one reaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The reaction: any short text, usually one emoji.
    pub emoji: String,
    /// By how many users; never 0.
    pub count: u32,
}

/// A message as it stands now. Known by (conversation, seq of the event that created it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where it was posted.
    pub conversation: ConversationId,
    /// The seq of the event that created it.
    pub seq: Seq,
    /// Its number among the log's messages, from 1.
    pub ordinal: u64,
    /// Who wrote it.
    pub sender: Actor,
    /// When it was posted.
    pub at: Timestamp,
    /// `None` once deleted: the tombstone keeps its place.
    pub content: Option<Content>,
    /// 0 as posted, one more with each edit.
    pub revision: u32,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// The message it answers, in the same conversation.
    pub reply_to: Option<Seq>,
    /// Users it mentions, by id.
    pub mentions: Vec<UserId>,
    /// Reactions, in order of first use.
    pub reactions: Vec<Reaction>,
    /// The seq of the last event that changed it: an edit, its deletion, a reaction put on or taken off; 0 without one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changed: Seq,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(seq: &Seq) -> bool {
    *seq == 0
}

impl Message {
    /// Whether it stands now as somebody knew it whose knowledge of the log ends with a seq.
    #[must_use]
    pub fn stood_at(&self, end: Seq) -> bool {
        // A store of before this was noted does not know when.
        let is_unknown = self.changed == 0
            && (self.revision > 0 || self.content.is_none() || !self.reactions.is_empty());
        self.changed <= end && (!is_unknown || end == Seq::MAX)
    }

    /// The text; `None` once deleted.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.text.as_str())
    }
}
