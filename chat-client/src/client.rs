//! The handle of a client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chat_core::protocol::{Post, Reply, Request, SendSignal, To, Watch, WriteKey, Written};
use chat_core::{ConversationId, Data, Seq, UserId};
use tokio::sync::oneshot;

use crate::driver::Driver;
use crate::events::{Events, Queue};
use crate::machine::{Config, Machine, MarkKind};
use crate::options::Credential;
use crate::shared::{Handle, Shared};
use crate::transport::Address;
use crate::{Error, Options};

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

pub(crate) fn other_kind() -> Error {
    Error::Unreachable("an answer is of another kind".to_owned())
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
        let shared = Arc::new(Shared::new(machine));
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

    /// Asks for something, as long as it takes: set your own time limit.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Error> {
        self.shared().call(request).await
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
