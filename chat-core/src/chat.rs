//! The handle a service holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::committer::Reply;
use crate::hub::Hub;
use crate::node::Node;
use crate::rules::{Row, RowKey};
use crate::search::Query;
use crate::{
    Actor, Bus, Change, Closed, Committed, Connection, ConversationId, Error, FeedEntry, Format,
    Hint, Identity, InboxCursor, InboxEntry, Limits, LogId, LogPage, Login, LoginId, Member,
    Memberships, Message, Policy, Prepared, SearchCursor, SearchPage, Seq, Span, Store, Target,
    User, UserId, Viewer, Write, fold_name,
};

/// A chat over one store: cheap to clone, usable from any task of the runtime it was built on. Dropping the last clone and
/// the last connection ends it.
#[derive(Clone)]
pub struct Chat {
    pub(crate) node: Arc<Node>,
}

/// What a [`Chat`] is built of.
pub struct Builder {
    store: Arc<dyn Store>,
    limits: Limits,
    policy: Option<Arc<dyn Policy>>,
    bus: Option<Arc<dyn Bus>>,
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
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }

    /// How the nodes over this store tell each other. Without one, this node finds what others wrote by its sweep.
    #[must_use]
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Arc::new(bus));
        self
    }

    /// The chat. Call it on a tokio runtime with time enabled: the chat's tasks run there.
    #[must_use]
    pub fn build(self) -> Chat {
        let hub = Hub::start(self.store, Arc::new(self.limits), self.bus);
        Chat {
            node: Arc::new(Node::new(hub, self.policy)),
        }
    }
}

impl Chat {
    /// Begins to build a chat over a store.
    pub fn builder(store: impl Store) -> Builder {
        Builder {
            store: Arc::new(store),
            limits: Limits::default(),
            policy: None,
            bus: None,
        }
    }

    /// The limits that hold.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.node.limits()
    }

    /// Connects a device: from when this returns, it gets every event of the user's log and conversations. The oldest
    /// device of a user gives way above [`Limits::connections`].
    ///
    /// # Errors
    /// `NotFound` for an unknown user, `Forbidden` for a disabled one, `Unavailable` while draining or without the store.
    pub async fn connect(&self, identity: Identity) -> Result<Connection, Error> {
        self.node.open()?;
        self.node.secret().await?;
        if self.user(identity.user).await?.disabled {
            return Err(Error::forbidden("this user is disabled"));
        }
        let device = self.node.hub.connect(identity).await?;
        let connection = Connection::new(Arc::clone(&self.node), device);
        // A login that ended, or a drain that began, while this one connected.
        self.node.open()?;
        if let Some(login) = identity.login {
            let live = self
                .login(login)
                .await?
                .is_some_and(|(login, user)| login.is_live(&user, crate::Timestamp::now()));
            if !live {
                return Err(Error::forbidden("this login has ended"));
            }
        }
        Ok(connection)
    }

    /// Checks sizes, rate and policy: what is left is ready for [`Store::commit`] or a host's own transaction. The host is
    /// asked none of these.
    ///
    /// # Errors
    /// `Invalid`, `RateLimited`, what the policy says, or `Unavailable`.
    pub async fn prepare(&self, write: Write) -> Result<Prepared, Error> {
        self.node.prepare(write).await
    }

    /// Prepares, commits durably and announces. Dropping the future does not undo the write.
    ///
    /// # Errors
    /// Those of [`Chat::prepare`] and of the rules, `Busy` when too many writes wait.
    pub async fn commit(&self, write: Write) -> Result<Committed, Error> {
        let prepared = self.node.prepare(write).await?;
        let (reply, outcome) = oneshot::channel();
        self.node
            .committer
            .hand_in(prepared, Reply::Caller(reply))?;
        outcome.await.unwrap_or_else(|_| {
            Err(Error::unavailable(
                "the outcome is unknown: retry with the same key, or look whether it is there",
            ))
        })
    }

    /// The user whom a provider (the host's name for its directory) knows by a subject (the host's own id): made on first
    /// sight, and given this name if it has another.
    ///
    /// # Errors
    /// Those of [`Chat::commit`].
    pub async fn enroll(&self, provider: &str, subject: &str, name: &str) -> Result<UserId, Error> {
        let (provider, subject) = (provider.to_owned(), subject.to_owned());
        let target = Target::Subject { provider, subject };
        let (name, data) = (Some(name.to_owned()), None);
        let changes = vec![Change::Profile { name, data }];
        let committed = self
            .commit(Write::new(Actor::Host, target, changes))
            .await?;
        committed
            .user
            .ok_or_else(|| Error::internal("an enrolment named no user"))
    }

    /// Tells connections and other nodes what was committed elsewhere (in a host's own transaction). When it is never called,
    /// they find it by the sweep.
    pub fn announce(&self, committed: &Committed) {
        self.node.hub.post(committed.events.clone(), None, None);
        if let Some(marked) = &committed.marked {
            self.node.hub.marked(marked);
        }
    }

    /// See [`Store::history`]; `limit` is clamped to [`Limits::page`].
    ///
    /// # Errors
    /// `NotFound` when the conversation does not exist for the viewer.
    pub async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let store = self.store().await?;
        store
            .history(viewer, conversation, span, self.page(limit))
            .await
    }

    /// See [`Store::log`]; `limit` is clamped to [`Limits::page`].
    ///
    /// # Errors
    /// `NotFound` when the log does not exist for the viewer.
    pub async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.store()
            .await?
            .log(viewer, log, after, self.page(limit))
            .await
    }

    /// See [`Store::inbox`]; `limit` is clamped to [`Limits::page`].
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.store()
            .await?
            .inbox(user, after, self.page(limit))
            .await
    }

    /// See [`Store::entry`].
    ///
    /// # Errors
    /// `NotFound` when the conversation does not exist for the user.
    pub async fn entry(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<InboxEntry, Error> {
        self.store().await?.entry(user, conversation).await
    }

    /// All conversations a user is a member of now, and where their logs stand. See [`Store::memberships`].
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        self.store().await?.memberships(user).await
    }

    /// Members of a conversation by ascending user id, former ones included; `limit` is clamped to [`Limits::page`].
    ///
    /// # Errors
    /// `NotFound` unless the viewer is a member now, or sees all.
    pub async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let store = self.store().await?;
        store
            .members(viewer, conversation, after, self.page(limit))
            .await
    }

    /// A user by id. For the host: it asks nobody's rights.
    ///
    /// # Errors
    /// `NotFound` without one.
    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        match self.row(RowKey::User(id)).await? {
            Some(Row::User(user)) => Ok(user),
            _ => Err(Error::not_found("there is no such user")),
        }
    }

    /// A user as a viewer may know them: oneself, the other one of a direct conversation, and who is or was in a conversation
    /// that one is a member of now.
    ///
    /// # Errors
    /// `NotFound` for anybody else.
    pub async fn known_user(&self, viewer: Viewer, id: UserId) -> Result<User, Error> {
        match viewer {
            Viewer::User(_) if !self.node.hub.strangers(viewer, &[id]).await?.is_empty() => {
                Err(Error::not_found("there is no such user"))
            }
            _ => self.user(id).await,
        }
    }

    /// A user by provider and subject. For the host.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn user_by_subject(
        &self,
        provider: &str,
        subject: &str,
    ) -> Result<Option<User>, Error> {
        match self
            .row(RowKey::Subject(provider.to_owned(), subject.to_owned()))
            .await?
        {
            Some(Row::Subject(id)) => self.user(id).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the members of a conversation are told how far the others have read: see [`Limits::receipts_to`].
    pub(crate) async fn tells_receipts(&self, conversation: ConversationId) -> Result<bool, Error> {
        let row = self.row(RowKey::Conversation(conversation)).await?;
        let few = self.limits().receipts_to;
        Ok(matches!(row, Some(Row::Conversation(row)) if row.members as usize <= few))
    }

    /// Users whose name contains a text, whatever its case or form; at most [`Limits::search_page`]. An empty text finds
    /// nobody.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn find_users(&self, part: &str) -> Result<Vec<User>, Error> {
        let part = fold_name(part);
        if part.trim().is_empty() || part.len() > self.limits().name {
            return Ok(Vec::new());
        }
        let store = self.store().await?;
        store.find_users(&part, self.limits().search_page).await
    }

    /// Messages with the words of a text ([`Query::parse`]) that the viewer may see, newest first: in one conversation, or in all
    /// that the viewer is or was a member of; older than where a page ended. At most [`Limits::search_page`]. What was
    /// committed is found a little later, what was changed or deleted at once no longer. How often a user may search is limited
    /// where the protocol is spoken ([`Limits::search_rate`]), not here.
    ///
    /// # Errors
    /// `Invalid` for a text without words or too long a one, for a store that keeps no index, and see
    /// [`crate::Search::find`].
    pub async fn search(
        &self,
        viewer: Viewer,
        text: &str,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        let Some(search) = self.store().await?.search() else {
            return Err(Error::invalid("this chat's store keeps no index of words"));
        };
        let query = Query::parse(text)?;
        // What another node has committed and not indexed is soon found, too.
        self.node.hub.changed.notify_one();
        let limit = limit.clamp(1, self.limits().search_page);
        search
            .find(viewer, query, conversation, before, limit)
            .await
    }

    /// Whether the store keeps an index of words.
    pub(crate) fn searches(&self) -> bool {
        self.node.hub.store.search().is_some()
    }

    /// Gathers a mark of a user who need not be connected; see [`Connection::mark`].
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn mark(
        &self,
        user: UserId,
        conversation: ConversationId,
        read: Seq,
        delivered: Seq,
    ) -> Result<(), Error> {
        self.node.open()?;
        match self.row(RowKey::Member(conversation, user)).await? {
            Some(Row::Member(member)) if member.role.is_some() => {
                let marks = &self.node.hub.marks;
                marks.add((user, conversation), read, delivered)
            }
            _ => Err(Error::not_found("there is no such conversation")),
        }
    }

    /// Takes a search from what a user may ask for.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(crate) fn searching(&self, user: UserId, cost: f64) -> Result<(), Error> {
        self.node.searching(user, cost)
    }

    /// Which reactions on these messages are a user's own: those of each message that has any.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn own_reactions(
        &self,
        user: UserId,
        messages: &[Message],
    ) -> Result<Vec<(Seq, Vec<String>)>, Error> {
        let reacted = messages
            .iter()
            .filter(|message| !message.reactions.is_empty());
        let reacted: Vec<_> = reacted.collect();
        let mut own = Vec::new();
        for some in reacted.chunks(1000) {
            let keys = some
                .iter()
                .map(|message| RowKey::Reactions(message.conversation, message.seq, user));
            let rows = self.store().await?.rows(keys.collect()).await?;
            for (message, row) in some.iter().zip(rows) {
                let Some(Row::Reactions(mut emoji)) = row else {
                    continue;
                };
                // Put there after the messages were read: an event tells of it.
                emoji.retain(|own| message.reactions.iter().any(|known| known.emoji == *own));
                if !emoji.is_empty() {
                    own.push((message.seq, emoji));
                }
            }
        }
        Ok(own)
    }

    /// A login with its user, whether it still counts ([`Login::is_live`]) or not.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn login(&self, id: LoginId) -> Result<Option<(Login, User)>, Error> {
        match self.row(RowKey::Login(id)).await? {
            Some(Row::Login(login)) => match self.row(RowKey::User(login.user)).await? {
                Some(Row::User(user)) => Ok(Some((login, user))),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// See [`Store::feed`]; at most 1,000 entries.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.store().await?.feed(after, limit.clamp(1, 1000)).await
    }

    /// Closes the connections of a user, or of one login only, on all nodes.
    pub fn disconnect(&self, user: UserId, login: Option<LoginId>) {
        self.node.hub.close(user, login, Closed::Host);
        if let Some(bus) = &self.node.hub.bus {
            bus.publish(&Hint::Disconnect { user, login });
        }
    }

    /// Refuses new connections and writes, finishes the writes under way, closes all connections with [`Closed::Drain`]
    /// behind their outcomes, waits until they are gone, at most for `patience`, and closes the store.
    ///
    /// # Errors
    /// What the store says when it is closed.
    pub async fn drain(&self, patience: Duration) -> Result<(), Error> {
        self.node.refuse();
        let gone = async {
            self.node.committer.idle().await;
            self.node.hub.flush().await;
            self.node.hub.close_all().await;
            // Marks that came while it was being refused.
            self.node.committer.idle().await;
        };
        if tokio::time::timeout(patience, gone).await.is_err() {
            tracing::warn!("some connections did not go in time");
        }
        self.node.hub.store.close().await
    }

    /// Allots a slot in which [`crate::Delivery::frame`] keeps one wire format's encoding; at most 4 a chat.
    ///
    /// # Errors
    /// `Internal` when all are taken.
    pub fn format(&self) -> Result<Format, Error> {
        self.node.hub.format()
    }

    /// Whether the store answers and the chat takes writes.
    ///
    /// # Errors
    /// What the store says, or `Unavailable` while draining.
    pub async fn ready(&self) -> Result<(), Error> {
        self.node.open()?;
        self.row(RowKey::Secret()).await.map(|_| ())
    }

    /// The store, once it is known to be fit for use.
    async fn store(&self) -> Result<&Arc<dyn Store>, Error> {
        self.node.secret().await?;
        Ok(&self.node.hub.store)
    }

    fn page(&self, limit: usize) -> usize {
        limit.clamp(1, self.limits().page)
    }

    pub(crate) async fn row(&self, key: RowKey) -> Result<Option<Row>, Error> {
        Ok(self.store().await?.rows(vec![key]).await?.pop().flatten())
    }
}
