//! What a server answers to a frame.

use super::macros::{kinds, lenient};
use super::{Entry, Event, Member, Message, Nothing, Time, User};
use crate::{Committed, ConversationId, LogPage, Seq, UserId};

kinds! {
    /// The answer to a frame. Its `kind` depends on the frame's type alone.
    Reply {
        /// To every write.
        Written("written"): Written,
        /// To `inbox`.
        Inbox("inbox"): InboxPage,
        /// To `heads`.
        Heads("heads"): HeadsPage,
        /// To `conversation`.
        Conversation("conversation"): ConversationReply,
        /// To `history`.
        History("history"): HistoryPage,
        /// To `log`.
        Log("log"): EventsPage,
        /// To `members`.
        Members("members"): MembersPage,
        /// To `user`.
        User("user"): UserReply,
        /// To `users`.
        Users("users"): UsersPage,
        /// To `search`.
        Search("search"): SearchPage,
        /// To `renew`.
        Renewed("renewed"): Renewed,
        /// To `resume` and `presence`, and to marks where there is no socket: it was taken.
        Done("done"): Nothing,
    }
}

lenient! {
    /// A write is stored durably.
    #[derive(Eq)]
    pub struct Written {
        /// The conversation written to, found or made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub conversation: Option<ConversationId>,
        /// The last seq it got in the conversation's log (of a `post`: the message's id); 0 when it got none there …
        pub seq: Seq,
        /// … and how many it got there, up to that one.
        pub count: u32,
        /// When it was stored.
        pub at: Time,
        /// It was stored before under the same key: nothing happened now.
        pub replayed: bool,
    }

    /// A page of one's list.
    pub struct InboxPage {
        /// Conversations, latest activity first.
        pub entries: Vec<Entry>,
        /// The `after` of the next page; left out on the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next: Option<String>,
    }

    /// Where one's logs stand.
    #[derive(Eq)]
    pub struct HeadsPage {
        /// One's own log.
        pub user: Seq,
        /// Conversations one is a member of, by ascending id.
        pub heads: Vec<Head>,
        /// The `after` of the next page; left out on the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next: Option<ConversationId>,
    }

    /// Where a conversation's log stands.
    #[derive(Copy, Eq)]
    pub struct Head {
        /// Which.
        pub conversation: ConversationId,
        /// Its last seq.
        pub seq: Seq,
    }

    /// One conversation.
    pub struct ConversationReply {
        /// As it stands in one's list.
        pub entry: Box<Entry>,
    }

    /// A page of messages.
    pub struct HistoryPage {
        /// Oldest first, deleted ones included.
        pub messages: Vec<Message>,
        /// Which of their reactions are one's own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub own: Vec<Own>,
    }

    /// One's own reactions on a message.
    #[derive(Eq)]
    pub struct Own {
        /// Which message.
        pub message: Seq,
        /// The reactions, at least one.
        pub emoji: Vec<String>,
    }

    /// A page of a log.
    pub struct EventsPage {
        /// Consecutive events, oldest first.
        pub events: Vec<Event>,
        /// The last seq of the log, as far as one may know.
        pub head: Seq,
        /// The asked place lies outside of what is kept or visible: discard what you have of this log, load it afresh, and go
        /// on after this seq, as the events do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub resync: Option<Seq>,
    }

    /// A page of members.
    #[derive(Eq)]
    pub struct MembersPage {
        /// By ascending user, former ones included.
        pub members: Vec<Member>,
        /// The `after` of the next page; left out on the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next: Option<UserId>,
    }

    /// One user.
    pub struct UserReply {
        /// The user.
        pub user: User,
    }

    /// Users that were found.
    pub struct UsersPage {
        /// The users.
        pub users: Vec<User>,
    }

    /// Messages that were found.
    pub struct SearchPage {
        /// Newest first.
        pub messages: Vec<Message>,
        /// The `before` of the next page; left out on the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub next: Option<String>,
    }

    /// The fresh token counts.
    #[derive(Copy, Eq)]
    pub struct Renewed {
        /// When it ends; left out when it has no end of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_at: Option<Time>,
    }
}

impl From<Committed> for Written {
    fn from(committed: Committed) -> Self {
        Self {
            conversation: committed.conversation,
            seq: committed.last(),
            count: committed.count,
            at: committed.at.into(),
            replayed: committed.replayed,
        }
    }
}

impl EventsPage {
    /// A page of the log that was asked for.
    #[must_use]
    pub fn new(log: crate::LogId, page: LogPage) -> Self {
        let events = page.entries.into_iter().map(|(seq, event)| match event {
            Some(event) => Event::from(event),
            None => Event::hidden(log, seq),
        });
        Self {
            events: events.collect(),
            head: page.head,
            resync: page.resync,
        }
    }
}
