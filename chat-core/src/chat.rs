//! The handle a service holds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Account, Accounts, Actor, Bus, Change, Closed, Committed, Connection, ConversationId, Error,
    FeedEntry, Format, Identity, InboxCursor, InboxEntry, LOCAL, Limits, LogId, LogPage, Login,
    LoginId, Member, Message, Policy, Prepared, Seq, Span, Store, Target, User, UserId, Viewer,
    Write,
};

/// A chat over one store: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Chat {
    store: Arc<dyn Store>,
    limits: Arc<Limits>,
}

/// What a [`Chat`] is built of.
pub struct Builder {
    store: Arc<dyn Store>,
    limits: Limits,
}

impl Builder {
    /// Other limits than [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The host's say in what users write.
    #[must_use]
    pub fn policy(self, _policy: impl Policy) -> Self {
        self
    }

    /// How the nodes over this store tell each other; without one this node finds others' writes by sweeping.
    #[must_use]
    pub fn bus(self, _bus: impl Bus) -> Self {
        self
    }

    /// The chat. Call it on a tokio runtime.
    #[must_use]
    pub fn build(self) -> Chat {
        Chat {
            store: self.store,
            limits: Arc::new(self.limits),
        }
    }
}

fn soon<T>() -> Result<T, Error> {
    Err(Error::internal("not there yet"))
}

impl Chat {
    /// Begins to build a chat over a store.
    pub fn builder(store: impl Store) -> Builder {
        Builder {
            store: Arc::new(store),
            limits: Limits::default(),
        }
    }

    /// The limits that hold.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Connects a device: from when this returns, it gets every event of the user's log and conversations.
    pub async fn connect(&self, _identity: Identity) -> Result<Connection, Error> {
        soon()
    }

    /// Checks limits and policy: what is left is ready for [`Store::commit`] or a host's own transaction.
    pub async fn prepare(&self, _write: Write) -> Result<Prepared, Error> {
        soon()
    }

    /// Prepares, commits durably and announces. Dropping the future does not undo the write.
    pub async fn commit(&self, _write: Write) -> Result<Committed, Error> {
        soon()
    }

    /// Tells connections and other nodes what was committed elsewhere (in a host's own transaction).
    pub fn announce(&self, _committed: &Committed) {}

    /// See [`Store::history`]; `limit` is clamped to [`Limits::page`].
    pub async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.store
            .history(viewer, conversation, span, limit.clamp(1, self.limits.page))
            .await
    }

    /// See [`Store::log`]; `limit` is clamped to [`Limits::page`].
    pub async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.store
            .log(viewer, log, after, limit.clamp(1, self.limits.page))
            .await
    }

    /// See [`Store::inbox`]; `limit` is clamped to [`Limits::page`].
    pub async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.store
            .inbox(user, after, limit.clamp(1, self.limits.page))
            .await
    }

    /// See [`Store::entry`].
    pub async fn entry(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<InboxEntry, Error> {
        self.store.entry(user, conversation).await
    }

    /// Members of a conversation that exists for the viewer, by ascending user id, former ones included.
    pub async fn members(
        &self,
        _viewer: Viewer,
        _conversation: ConversationId,
        _after: Option<UserId>,
        _limit: usize,
    ) -> Result<Vec<Member>, Error> {
        soon()
    }

    /// A user by id; `NotFound` without one. For the host: it asks nobody's rights.
    pub async fn user(&self, _id: UserId) -> Result<User, Error> {
        soon()
    }

    /// A user by provider and subject. For the host.
    pub async fn user_by_subject(
        &self,
        _provider: &str,
        _subject: &str,
    ) -> Result<Option<User>, Error> {
        soon()
    }

    /// Users whose name contains a text, whatever its case or form; at most [`Limits::search_page`].
    pub async fn find_users(&self, _part: &str) -> Result<Vec<User>, Error> {
        soon()
    }

    /// A login with its user, whether it still counts ([`Login::is_live`]) or not.
    pub async fn login(&self, _id: LoginId) -> Result<Option<(Login, User)>, Error> {
        soon()
    }

    /// See [`Store::feed`].
    pub async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.store.feed(after, limit.clamp(1, 1000)).await
    }

    /// Closes the connections of a user, or of one login only, on all nodes.
    pub fn disconnect(&self, _user: UserId, _login: Option<LoginId>, _why: Closed) {}

    /// Refuses new connections, finishes the writes under way, closes all connections with [`Closed::Drain`] and returns
    /// when they are gone, at most after `patience`. Then closes the store.
    pub async fn drain(&self, _patience: Duration) -> Result<(), Error> {
        soon()
    }

    /// Allots a slot in which [`crate::Delivery::frame`] keeps one wire format's encoding; at most 4 a chat.
    ///
    /// # Errors
    /// `Internal` when all are taken.
    pub fn format(&self) -> Result<Format, Error> {
        soon()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// What the store says, or `Unavailable` while draining.
    pub async fn ready(&self) -> Result<(), Error> {
        soon()
    }
}

#[async_trait]
impl Accounts for Chat {
    async fn account(&self, subject: &str) -> Result<Option<Account>, Error> {
        let _ = (subject, LOCAL);
        soon()
    }
    async fn register(&self, _subject: &str, name: &str, _hash: &str) -> Result<User, Error> {
        let _ = (
            Change::Register { name: name.into() },
            Actor::Host,
            Target::Group,
        );
        soon()
    }
    async fn set_hash(
        &self,
        _user: UserId,
        _expected: &str,
        _hash: &str,
        _revoke: bool,
    ) -> Result<(), Error> {
        soon()
    }
}
