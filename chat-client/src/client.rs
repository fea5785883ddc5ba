//! The handle of a client.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use chat_core::protocol::{
    Entry, EventsPage, FindUsers, GetHistory, GetLog, GetMembers, GetUser, HistoryPage, Inbox,
    InboxPage, MembersPage, Message, OfConversation, Post, Reply, Request, Search, SearchPage,
    SendSignal, To, User, Watch, WriteKey, Written,
};
use chat_core::{ConversationId, Data, Seq, UserId};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::driver::{Driver, at, millis};
use crate::events::{Events, Queue};
use crate::machine::{Config, Machine, MarkKind, Output, Ticket};
use crate::options::Credential;
use crate::transport::Address;
use crate::{Error, Options};

type Waiter = oneshot::Sender<Result<Reply, Error>>;

struct Core {
    machine: Machine,
    waiting: HashMap<Ticket, Waiter>,
}

/// What the handles and the driver share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    start: Instant,
    pub(crate) changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen to the machine.
    pub(crate) fn with<T>(&self, happens: impl FnOnce(&mut Machine, u64) -> T) -> T {
        let mut core = self.lock();
        happens(&mut core.machine, millis(self.start))
    }

    /// What is to be done, and when to look again. Answers are given on the way.
    pub(crate) fn take(&self) -> (Vec<Output>, Option<Instant>) {
        let mut core = self.lock();
        let outputs = core.machine.outputs();
        for output in &outputs {
            match output {
                Output::Done(ticket, result) => {
                    if let Some(waiter) = core.waiting.remove(ticket) {
                        let _ = waiter.send(result.clone());
                    }
                }
                Output::Stopped(_) => core.waiting.clear(),
                _ => {}
            }
        }
        let wake = core.machine.wake().map(|wake| at(self.start, wake));
        (outputs, wake)
    }

    fn ask(
        &self,
        ask: impl FnOnce(&mut Machine, u64) -> Result<Ticket, Error>,
    ) -> Result<(Ticket, oneshot::Receiver<Result<Reply, Error>>), Error> {
        let mut core = self.lock();
        let ticket = ask(&mut core.machine, millis(self.start))?;
        let (waiter, answer) = oneshot::channel();
        core.waiting.insert(ticket, waiter);
        drop(core);
        self.changed.notify_one();
        Ok((ticket, answer))
    }

    fn tell(&self, tell: impl FnOnce(&mut Machine, u64)) {
        self.with(tell);
        self.changed.notify_one();
    }
}

/// The client lives as long as one of these.
pub(crate) struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.tell(|machine, _| machine.stop(Error::Closed));
    }
}

/// A client that stays connected. Cheap to clone; it ends with [`Client::close`], or when all clones and the [`Events`] are
/// dropped.
///
/// ```no_run
/// use chat_client::{Client, Options, UserId, protocol::To};
///
/// # async fn example() -> Result<(), chat_client::Error> {
/// let options = Options::new("http://127.0.0.1:8000").password("ada", "correct horse battery");
/// let (client, _events) = Client::connect(options).await?;
/// let bob = client.find("bob").await?.remove(0);
/// let written = client.post(To::User(bob.id), "Hello, Bob!").await?;
/// println!("message {} of conversation {:?}", written.seq, written.conversation);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
    user: UserId,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A write on its way: await it for its outcome, or drop it and the write is done all the same.
#[derive(Debug)]
#[must_use = "whether it was stored is known only when this was awaited"]
pub struct Sent(Result<oneshot::Receiver<Result<Reply, Error>>, Option<Error>>);

impl Future for Sent {
    type Output = Result<Written, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            Ok(answer) => Pin::new(answer).poll(cx).map(|answer| match answer {
                Ok(Ok(Reply::Written(written))) => Ok(written),
                Ok(Ok(_)) => Err(other_kind()),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::Closed),
            }),
        }
    }
}

fn other_kind() -> Error {
    Error::Unreachable("an answer is of another kind".to_owned())
}

/// A read on its way; dropped, it is not asked for if it was not yet.
struct Asked<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Reply, Error>>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.machine.forget(self.ticket);
        core.waiting.remove(&self.ticket);
    }
}

macro_rules! reads {
    ($( $(#[$doc:meta])* $name:ident($ask:ident: $request:ty) -> $kind:ident($page:ty); )*) => {$(
        $(#[$doc])*
        pub async fn $name(&self, ask: $request) -> Result<$page, Error> {
            match self.call(Request::$ask(ask)).await? {
                Reply::$kind(page) => Ok(page),
                _ => Err(other_kind()),
            }
        }
    )*};
}

impl Client {
    /// Logs in and connects. From then on it stays connected by itself.
    ///
    /// # Errors
    /// Why this first try failed: [`Error::Unreachable`], [`Error::Login`], [`Error::Wait`], [`Error::Incompatible`],
    /// [`Error::Invalid`] for an address that is none. Nothing goes on trying then.
    pub async fn connect(options: Options) -> Result<(Self, Events), Error> {
        let address = Address::parse(&options.url)?;
        let token = match &options.credential {
            Credential::Token(token) => Some(token.clone()),
            _ => None,
        };
        let renewable = matches!(
            options.credential,
            Credential::Password { .. } | Credential::Provider(_)
        );
        let machine = Machine::new(Config {
            backoff: options.backoff,
            outbox: options.outbox,
            cursors: options.cursors.clone(),
            token,
            renewable,
            seed: fastrand::u64(..),
        });
        let waiting = HashMap::new();
        let shared = Arc::new(Shared {
            core: Mutex::new(Core { machine, waiting }),
            start: Instant::now(),
            changed: Notify::new(),
        });
        let queue = Queue::new(options.events);
        let (first, went) = oneshot::channel();
        let driver = Driver {
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            address,
            credential: options.credential,
            first: Some(first),
        };
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        tokio::spawn(driver.run());
        went.await.map_err(|_| Error::Closed)??;
        let user = shared.with(|machine, _| machine.user());
        let user = user.ok_or(Error::Closed)?;
        let events = Events::new(queue, options.cursors, Arc::clone(&handle));
        Ok((Self { handle, user }, events))
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    /// Who one is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Posts a text under a key of its own. [`Client::write`] takes everything else a message can have.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error, protocol::To};
    /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
    /// let first = client.post(To::Conversation(conversation), "one");
    /// let second = client.post(To::Conversation(conversation), "two");
    /// assert!(first.await?.seq < second.await?.seq);
    /// # Ok(())
    /// # }
    /// ```
    pub fn post(&self, to: To, text: impl Into<String>) -> Sent {
        self.write(Request::Post(Post {
            key: WriteKey::generate(),
            to,
            text: text.into(),
            data: None,
            reply_to: None,
            mentions: Vec::new(),
        }))
    }

    /// Takes a write: it is sent now or as soon as there is a connection, again with the same key when it stays unanswered,
    /// and again when the server asks for patience; so it is stored once, however often it was sent. Writes with the same
    /// target are stored in the order in which they were taken: each goes when the one before was answered. Writes with
    /// different targets do not wait for each other, and a user and the direct conversation with that user count as
    /// different.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error, protocol::{React, Request, WriteKey}};
    /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
    /// let react = React {
    ///     key: WriteKey::generate(),
    ///     conversation,
    ///     message: 12,
    ///     emoji: "👍".to_owned(),
    ///     on: true,
    /// };
    /// client.write(Request::React(react)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When awaited: [`Error::Refused`], [`Error::Full`], [`Error::TooLarge`], [`Error::NotOffered`], [`Error::Invalid`] for
    /// what is no write. [`Error::Closed`] leaves open whether it happened.
    pub fn write(&self, request: Request) -> Sent {
        let asked = self
            .shared()
            .ask(|machine, now| machine.write(request, now));
        Sent(asked.map(|(_, answer)| answer).map_err(Some))
    }

    /// Asks for something. It waits for a connection, and asks again when one breaks: set your own time limit.
    async fn call(&self, request: Request) -> Result<Reply, Error> {
        let shared = self.shared();
        let (ticket, answer) = shared.ask(|machine, now| machine.call(request, now))?;
        let mut asked = Asked {
            shared,
            ticket,
            answer,
        };
        (&mut asked.answer).await.map_err(|_| Error::Closed)?
    }

    reads! {
        /// A page of one's conversations, latest activity first. [`Client::conversations`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::Inbox};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// for entry in client.inbox(Inbox::default()).await?.entries {
        ///     println!("{} unread in {}", entry.me.unread, entry.conversation.id);
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// [`Error::Refused`], [`Error::Full`], [`Error::Closed`], as of all reads.
        inbox(Inbox: Inbox) -> Inbox(InboxPage);

        /// A page of messages, oldest first. [`Client::messages`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, ConversationId, Error, protocol::GetHistory};
        /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
        /// let last = GetHistory { conversation, before: None, after: None, limit: Some(20) };
        /// for message in client.history(last).await?.messages {
        ///     println!("{}: {}", message.id, message.text.unwrap_or_default());
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        history(History: GetHistory) -> History(HistoryPage);

        /// A page of a log's events.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::GetLog};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// let mine = GetLog { log: client.user().into(), after: 0, limit: None };
        /// println!("{} events", client.log(mine).await?.head);
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        log(Log: GetLog) -> Log(EventsPage);

        /// A page of a conversation's members, former ones included.
        ///
        /// ```no_run
        /// # use chat_client::{Client, ConversationId, Error, protocol::GetMembers};
        /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
        /// let first = GetMembers { conversation, after: None, limit: None };
        /// println!("{} members", client.members(first).await?.members.len());
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        members(Members: GetMembers) -> Members(MembersPage);

        /// A page of messages with certain words, newest first. [`Client::find_messages`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::Search};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// let words = Search { text: "invoice".to_owned(), conversation: None, before: None, limit: None };
        /// println!("{} found", client.search(words).await?.messages.len());
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`]; [`Error::NotOffered`] by servers that do not search.
        search(Search: Search) -> Search(SearchPage);
    }

    /// One conversation as it stands in one's list.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error};
    /// # async fn example(client: Client, id: ConversationId) -> Result<(), Error> {
    /// println!("{} unread", client.conversation(id).await?.me.unread);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn conversation(&self, conversation: ConversationId) -> Result<Entry, Error> {
        let ask = OfConversation { conversation };
        match self.call(Request::Conversation(ask)).await? {
            Reply::Conversation(reply) => Ok(*reply.entry),
            _ => Err(other_kind()),
        }
    }

    /// One user: oneself, or somebody one shares a conversation with.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// println!("I am {}", client.profile(client.user()).await?.name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn profile(&self, user: UserId) -> Result<User, Error> {
        match self.call(Request::User(GetUser { user })).await? {
            Reply::User(reply) => Ok(reply.user),
            _ => Err(other_kind()),
        }
    }

    /// Other users by a part of their name, at most a page.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// for user in client.find("ad").await? {
    ///     println!("{} {}", user.id, user.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn find(&self, name: impl Into<String>) -> Result<Vec<User>, Error> {
        let name = name.into();
        match self.call(Request::Users(FindUsers { name })).await? {
            Reply::Users(page) => Ok(page.users),
            _ => Err(other_kind()),
        }
    }

    /// All of one's conversations, latest activity first, page by page as they are taken.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// use futures_util::TryStreamExt;
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let all: Vec<_> = client.conversations().try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn conversations(&self) -> BoxStream<'_, Result<Entry, Error>> {
        pages(move |after| async move {
            let limit = None;
            let page = self.inbox(Inbox { after, limit }).await?;
            Ok((page.entries, page.next))
        })
    }

    /// All messages of a conversation, newest first, page by page as they are taken.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error};
    /// use futures_util::{StreamExt, TryStreamExt};
    /// # async fn example(client: Client, id: ConversationId) -> Result<(), Error> {
    /// let last: Vec<_> = client.messages(id).take(500).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn messages(&self, conversation: ConversationId) -> BoxStream<'_, Result<Message, Error>> {
        pages(move |before| async move {
            let (after, limit) = (None, None);
            let ask = GetHistory {
                conversation,
                before,
                after,
                limit,
            };
            let mut messages = self.history(ask).await?.messages;
            messages.reverse();
            // The first one of all ends it.
            let oldest = messages.last().filter(|message| message.number > 1);
            let next = oldest.map(|message| message.id);
            Ok((messages, next))
        })
    }

    /// All messages with certain words, newest first, page by page as they are taken; in one conversation, or in all.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// use futures_util::{StreamExt, TryStreamExt};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let found: Vec<_> = client.find_messages("invoice", None).take(50).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_messages(
        &self,
        text: impl Into<String>,
        conversation: Option<ConversationId>,
    ) -> BoxStream<'_, Result<Message, Error>> {
        let text = text.into();
        pages(move |before| {
            let (text, limit) = (text.clone(), None);
            async move {
                let ask = Search {
                    text,
                    conversation,
                    before,
                    limit,
                };
                let page = self.search(ask).await?;
                Ok((page.messages, page.next))
            }
        })
    }

    /// One has read a conversation up to `seq`. Told as soon as there is a connection; the highest wins.
    ///
    /// ```no_run
    /// # fn example(client: chat_client::Client, conversation: chat_client::ConversationId) {
    /// client.read(conversation, 12);
    /// # }
    /// ```
    pub fn read(&self, conversation: ConversationId, seq: Seq) {
        self.mark(conversation, MarkKind::Read, seq);
    }

    /// This device has received a conversation up to `seq`; as [`Client::read`].
    ///
    /// ```no_run
    /// # fn example(client: chat_client::Client, conversation: chat_client::ConversationId) {
    /// client.delivered(conversation, 12);
    /// # }
    /// ```
    pub fn delivered(&self, conversation: ConversationId, seq: Seq) {
        self.mark(conversation, MarkKind::Delivered, seq);
    }

    fn mark(&self, conversation: ConversationId, kind: MarkKind, seq: Seq) {
        let shared = self.shared();
        shared.tell(|machine, now| machine.mark(conversation, kind, seq, now));
    }

    /// Tells the other members something that is not stored, such as `typing`. Lost without a connection.
    ///
    /// ```no_run
    /// # fn example(client: chat_client::Client, conversation: chat_client::ConversationId) {
    /// client.signal(conversation, "typing", None);
    /// # }
    /// ```
    pub fn signal(
        &self,
        conversation: ConversationId,
        kind: impl Into<String>,
        data: Option<Data>,
    ) {
        let signal = Request::Signal(SendSignal {
            conversation,
            kind: kind.into(),
            data,
        });
        self.shared()
            .tell(|machine, now| machine.signal(&signal, now));
    }

    /// Asks to be told whether these users are online, instead of those asked for before; again on each new connection.
    ///
    /// ```no_run
    /// # async fn example(client: chat_client::Client, bob: chat_client::UserId) -> Result<(), chat_client::Error> {
    /// client.watch(vec![bob]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn watch(&self, users: Vec<UserId>) -> Result<(), Error> {
        let watch = Request::Presence(Watch { users });
        self.call(watch).await.map(drop)
    }

    /// A fresh token of the same user, for this connection and the ones to come. Not needed with
    /// [`Options::password`] and [`Options::tokens`].
    ///
    /// ```no_run
    /// # fn example(client: chat_client::Client, token: String) {
    /// client.renew(token);
    /// # }
    /// ```
    pub fn renew(&self, token: impl Into<String>) {
        let token = token.into();
        self.shared().tell(|machine, now| machine.renew(token, now));
    }

    /// Ends this client and all its clones. What has no answer yet ends with [`Error::Closed`].
    ///
    /// ```no_run
    /// # fn example(client: chat_client::Client) {
    /// client.close();
    /// # }
    /// ```
    pub fn close(&self) {
        self.shared().tell(|machine, _| machine.stop(Error::Closed));
    }
}

/// Entries of pages, each page asked for when the one before was taken.
fn pages<'a, T, C, F, P>(page: F) -> BoxStream<'a, Result<T, Error>>
where
    T: Send + 'a,
    C: Send + 'a,
    F: Fn(Option<C>) -> P + Send + 'a,
    P: Future<Output = Result<(Vec<T>, Option<C>), Error>> + Send + 'a,
{
    let pages = stream::try_unfold((Some(None), page), |(ask, page)| async move {
        let Some(ask) = ask else { return Ok(None) };
        let (entries, next) = page(ask).await?;
        let entries = stream::iter(entries.into_iter().map(Ok));
        Ok(Some((entries, (next.map(Some), page))))
    });
    pages.try_flatten().boxed()
}
