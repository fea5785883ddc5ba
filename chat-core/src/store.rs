//! The storage contract.

use std::ops::Deref;

use async_trait::async_trait;

use crate::rules::{Row, RowKey};
use crate::{
    Archive, Committed, Conversation, ConversationId, Error, Event, Head, LogId, Member, Message,
    Prepared, Ranges, Search, Seq, Timestamp, User, UserId, Viewer,
};

/// Where everything is kept: the truth; all else is a hint. Stores implement [`crate::snapshot::Snapshot`] and answer every
/// read by the functions of that module.
///
/// # What an implementor guarantees
/// - [`commit`](Store::commit): every write of the group is decided by [`crate::rules::Group`] inside **one** transaction
///   that no other commit interleaves with, so that all stores agree by construction. When it returns, all of it is
///   durable, and nothing of it was readable before.
/// - Every read is one snapshot: the viewer's rights and what they lead to are read together.
/// - `Unavailable` from `commit` means that the outcome is unknown; a retry with the same keys settles it. After a failed
///   sync, commits answer `Unavailable` until the store is reopened, while reads go on.
/// - Dropping a future changes nothing: what was begun is finished.
///
/// The laws are plain functions in [`crate::conformance`]; run them on your store with its macro. For an engine that gets,
/// scans and applies bytes, [`crate::kv::KvStore`] is a whole store already.
///
/// # A complete store
/// Slow and forgetful, but it obeys every law that outlives no restart:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Mutex, MutexGuard, PoisonError};
///
/// use async_trait::async_trait;
/// use chat_core::rules::{Changed, EventRow, Group, Row, RowKey, Step};
/// use chat_core::snapshot::{self, Snapshot};
/// use chat_core::*;
///
/// #[derive(Default)]
/// struct Moment {
///     rows: BTreeMap<RowKey, Row>,
///     /// Every event in the order of commits: its position in the feed is its place here.
///     order: Vec<(LogId, Seq)>,
/// }
///
/// impl Moment {
///     fn event(&self, log: LogId, seq: Seq) -> Option<EventRow> {
///         match self.rows.get(&RowKey::Event(log, seq)) {
///             Some(Row::Event(row)) => Some(row.clone()),
///             _ => None,
///         }
///     }
/// }
///
/// impl Snapshot for Moment {
///     async fn row(&self, key: &RowKey) -> Result<Option<Row>, Error> {
///         Ok(self.rows.get(key).cloned())
///     }
///     async fn events(
///         &self, log: LogId, first: Seq, last: Seq, newest_first: bool, limit: usize,
///     ) -> Result<Vec<(Seq, EventRow)>, Error> {
///         let all = (first..=last).filter_map(|seq| Some((seq, self.event(log, seq)?)));
///         Ok(if newest_first { all.rev().take(limit).collect() } else { all.take(limit).collect() })
///     }
///     async fn members(
///         &self, of: ConversationId, after: Option<UserId>, limit: usize,
///     ) -> Result<Vec<Member>, Error> {
///         let members = self.rows.values().filter_map(|row| match row {
///             Row::Member(member) if member.conversation == of && Some(member.user) > after => Some(member.clone()),
///             _ => None,
///         });
///         Ok(members.take(limit).collect())
///     }
///     async fn memberships(&self, user: UserId) -> Result<Vec<(Member, Head)>, Error> {
///         let members = self.rows.values().filter_map(|row| match row {
///             Row::Member(member) if member.user == user => {
///                 let head = self.rows.get(&RowKey::Head(member.conversation.into()));
///                 Some((member.clone(), if let Some(Row::Head(head)) = head { *head } else { Head::default() }))
///             }
///             _ => None,
///         });
///         Ok(members.collect())
///     }
///     async fn suffixes(
///         &self, part: &str, after: Option<&(String, UserId)>, limit: usize,
///     ) -> Result<Vec<(String, UserId)>, Error> {
///         let found = self.rows.keys().filter_map(|key| match key {
///             RowKey::Suffix(text, user) if text.starts_with(part) => Some((text.clone(), *user)),
///             _ => None,
///         });
///         Ok(found.filter(|key| after.is_none_or(|after| key > after)).take(limit).collect())
///     }
///     async fn feed(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogId, Seq, EventRow)>, Error> {
///         let from = self.order.iter().zip(1..).skip(after as usize);
///         Ok(from.filter_map(|(&(log, seq), at)| Some((at, log, seq, self.event(log, seq)?))).take(limit).collect())
///     }
/// }
///
/// struct Tiny(Mutex<Moment>);
///
/// impl Tiny {
///     fn new() -> Self {
///         let mut moment = Moment::default();
///         // 32 random bytes, made with the store.
///         moment.rows.insert(RowKey::Secret(), Row::Secret([7; 32]));
///         Self(Mutex::new(moment))
///     }
///     fn now(&self) -> MutexGuard<'_, Moment> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner)
///     }
/// }
///
/// #[async_trait]
/// impl Store for Tiny {
///     async fn commit(&self, writes: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
///         let mut moment = self.now();
///         let mut group = Group::new(writes, Timestamp::now());
///         loop {
///             match group.step() {
///                 Step::Need(keys) => {
///                     for key in keys {
///                         let row = moment.rows.get(&key).cloned();
///                         group.supply(key, row);
///                     }
///                 }
///                 Step::Done(outcome) => {
///                     for Changed { key, row, is_new } in outcome.changes {
///                         if let (RowKey::Event(log, seq), true) = (&key, is_new) {
///                             moment.order.push((*log, *seq));
///                         }
///                         match row {
///                             Some(row) => moment.rows.insert(key, row),
///                             None => moment.rows.remove(&key),
///                         };
///                     }
///                     return outcome.results;
///                 }
///             }
///         }
///     }
///     async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
///         snapshot::now(self.now().rows(&keys))
///     }
///     async fn log(&self, viewer: Viewer, log: LogId, after: Seq, limit: usize) -> Result<LogPage, Error> {
///         snapshot::now(snapshot::log(&*self.now(), viewer, log, after, limit))
///     }
///     async fn history(
///         &self, viewer: Viewer, of: ConversationId, span: Span, limit: usize,
///     ) -> Result<Vec<Message>, Error> {
///         snapshot::now(snapshot::history(&*self.now(), viewer, of, span, limit))
///     }
///     async fn inbox(
///         &self, user: UserId, after: Option<InboxCursor>, limit: usize,
///     ) -> Result<Vec<InboxEntry>, Error> {
///         snapshot::now(snapshot::inbox(&*self.now(), user, after, limit))
///     }
///     async fn entry(&self, user: UserId, of: ConversationId) -> Result<InboxEntry, Error> {
///         snapshot::now(snapshot::entry(&*self.now(), user, of))
///     }
///     async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
///         snapshot::now(snapshot::memberships(&*self.now(), user))
///     }
///     async fn members(
///         &self, viewer: Viewer, of: ConversationId, after: Option<UserId>, limit: usize,
///     ) -> Result<Vec<Member>, Error> {
///         snapshot::now(snapshot::members(&*self.now(), viewer, of, after, limit))
///     }
///     async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
///         snapshot::now(snapshot::find_users(&*self.now(), part, limit))
///     }
///     async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
///         snapshot::now(snapshot::feed(&*self.now(), after, limit))
///     }
///     async fn close(&self) -> Result<(), Error> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let chat = Chat::builder(Tiny::new()).build();
/// let mut ids = Vec::new();
/// for subject in ["ann", "bob"] {
///     let target = Target::Subject { provider: "host".into(), subject: subject.into() };
///     ids.extend(chat.commit(Write::new(Actor::Host, target, vec![])).await?.user);
/// }
/// let sent = chat.commit(Write::post(ids[0], Target::Direct(ids[0], ids[1]), "hello")).await?;
/// let conversation = sent.conversation.ok_or_else(|| Error::internal("none"))?;
/// let page = chat.history(Viewer::User(ids[1]), conversation, Span::Latest, 10).await?;
/// assert_eq!(page[0].text(), Some("hello"));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a group: the outcome of each write in their order. A rejected write changes nothing and leaves the others
    /// alone; on a failure of the store itself every write gets it.
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>>;

    /// Rows by key, in the keys' order, without regard to rights: for `chat-core` itself. At most 1,000 keys.
    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error>;

    /// A log after a seq, oldest first, as the viewer may see it. A user's log is visible to that user only.
    ///
    /// `NotFound` when the log does not exist for the viewer. `limit` is the caller's to bound.
    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error>;

    /// Messages of a conversation as the viewer may see them, oldest first, tombstones included; `NotFound` when the
    /// conversation does not exist for the viewer.
    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error>;

    /// The conversations in a user's list, latest activity first, then higher id first.
    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error>;

    /// One conversation as a user sees it, listed or not; `NotFound` when it does not exist for them.
    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error>;

    /// All conversations a user is a member of now, and where their own log stands, in one snapshot.
    async fn memberships(&self, user: UserId) -> Result<Memberships, Error>;

    /// Members of a conversation by ascending user id, former ones included; `NotFound` unless the viewer is a member now, or
    /// sees all.
    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error>;

    /// Users whose folded name contains `part` (folded already, not empty), without disabled ones, each once, in the order
    /// of the [`RowKey::Suffix`] rows.
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error>;

    /// Committed events of all logs in one order, none skipped, after a position (0: from the start). Consumers keep their
    /// own position.
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error>;

    /// The ability to be copied, and to be copied into.
    fn archive(&self) -> Option<&dyn Archive> {
        None
    }

    /// The ability to find messages by their words.
    fn search(&self) -> Option<&dyn Search> {
        None
    }

    /// Releases what the store holds (files, locks); later calls answer `Unavailable`. Nothing is lost without it.
    async fn close(&self) -> Result<(), Error>;
}

/// A page of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Consecutive entries after the asked seq. `None` stands for an event outside the viewer's ranges.
    pub entries: Vec<(Seq, Option<Event>)>,
    /// The last seq that exists for the viewer.
    pub head: Seq,
    /// The asked seq lies below what is kept or visible to the viewer, or beyond the end: discard what you have of this log,
    /// load it afresh, go on after this seq (the entries do).
    pub resync: Option<Seq>,
}

/// Which messages of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// The last ones.
    #[default]
    Latest,
    /// The last ones before this seq.
    Before(Seq),
    /// The first ones after this seq.
    After(Seq),
}

/// Where an inbox page ended: the activity and the id of its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxCursor {
    /// [`Head::at`] of the last entry.
    pub at: Timestamp,
    /// Its conversation.
    pub conversation: ConversationId,
}

/// A conversation as it stands in one user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its settings.
    pub conversation: Conversation,
    /// The user's place in it.
    pub member: Member,
    /// Where its log stands, as far as the user may know.
    pub head: Head,
    /// The last message, if the user may see it.
    pub last: Option<Message>,
    /// The other one of a direct conversation.
    pub peer: Option<User>,
}

impl InboxEntry {
    /// Where the next page begins when this is the last entry of one.
    #[must_use]
    pub fn cursor(&self) -> InboxCursor {
        InboxCursor {
            at: self.head.at,
            conversation: self.conversation.id,
        }
    }
}

/// What a user is a member of, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memberships {
    /// Where the user's own log stood.
    pub head: Seq,
    /// The conversations: id, the user's visible ranges, the last seq.
    pub conversations: Vec<(ConversationId, Ranges, Seq)>,
}

/// An event with its place in the store-wide order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// Ascending, with holes.
    pub position: u64,
    /// What happened.
    pub event: Event,
}

/// What points to a store is one: `Arc<S>`, `Box<dyn Store>`, and a type of one's own around a store that has nothing to add
/// and implements [`Deref`], which so cannot forget to pass on a method.
#[async_trait]
impl<S> Store for S
where
    S: Deref<Target: Store> + Send + Sync + 'static,
{
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        (**self).commit(group).await
    }
    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        (**self).rows(keys).await
    }
    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        (**self).log(viewer, log, after, limit).await
    }
    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        (**self).history(viewer, conversation, span, limit).await
    }
    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        (**self).inbox(user, after, limit).await
    }
    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        (**self).entry(user, conversation).await
    }
    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        (**self).memberships(user).await
    }
    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        (**self).members(viewer, conversation, after, limit).await
    }
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        (**self).find_users(part, limit).await
    }
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        (**self).feed(after, limit).await
    }
    fn archive(&self) -> Option<&dyn Archive> {
        (**self).archive()
    }
    fn search(&self) -> Option<&dyn Search> {
        (**self).search()
    }
    async fn close(&self) -> Result<(), Error> {
        (**self).close().await
    }
}

/// How a log looks through a viewer's ranges: the arithmetic of [`Store::log`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Read entries from this seq …
    pub first: Seq,
    /// … to this one, both included; nothing to read when lower than `first`.
    pub last: Seq,
    /// See [`LogPage::head`].
    pub head: Seq,
    /// See [`LogPage::resync`].
    pub resync: Option<Seq>,
}

impl Window {
    /// The part of a log to read for a page after `after`. A cursor below what is visible or kept, or beyond the end (it
    /// comes from a store that was set back since), is answered with `resync`.
    #[must_use]
    pub fn new(ranges: &Ranges, head: &Head, after: Seq, limit: usize) -> Self {
        let end = ranges.end(head.seq);
        let floor = ranges
            .first()
            .map_or(end, |first| head.floor.max(first - 1).min(end));
        let resync = if after < floor {
            Some(floor)
        } else if after > end {
            Some(end)
        } else {
            None
        };
        let after = resync.unwrap_or(after);
        Self {
            first: after + 1,
            last: end.min(after.saturating_add(limit as Seq)),
            head: end,
            resync,
        }
    }
}

/// As `time.id`: what a client hands back to go on. Forging one gains nothing: it only says where in one's own list.
impl std::fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at.millis(), self.conversation)
    }
}

impl std::str::FromStr for InboxCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("this is no place in a list of conversations");
        let (at, conversation) = text.split_once('.').ok_or_else(bad)?;
        let cursor = Self {
            at: Timestamp::from_millis(at.parse().map_err(|_| bad())?),
            conversation: ConversationId::new(conversation.parse().map_err(|_| bad())?)?,
        };
        // One way to write it: no signs, no zeroes in front.
        if cursor.to_string() == text && cursor.at.millis() >= 0 {
            Ok(cursor)
        } else {
            Err(bad())
        }
    }
}
