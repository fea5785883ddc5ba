//! How nodes tell each other what was committed.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, broadcast};

use crate::{ConversationId, Data, Event, LogId, LoginId, Seq, UserId};

/// Carries hints between the nodes over one store. It may lose, repeat and reorder: readers find a hole by seq and fill it
/// from the store, and a sweep of heads finds a lost last hint. Each node holds its own handle.
///
/// ```
/// use chat_core::{Bus, BusEvent, Hint, LogId};
///
/// /// A bus that loses everything: nodes still agree within [`chat_core::Limits::sweep`].
/// struct Nowhere;
///
/// #[async_trait::async_trait]
/// impl Bus for Nowhere {
///     fn publish(&self, _: &Hint) {}
///     fn watch(&self, _: LogId, _: bool) {}
///     async fn next(&self) -> BusEvent {
///         std::future::pending().await
///     }
/// }
/// ```
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Tells the other nodes. Never blocks: what does not fit is lost.
    fn publish(&self, hint: &Hint);

    /// This node wants hints about a log, or no longer; a bus that carries everything everywhere may ignore it.
    fn watch(&self, log: LogId, on: bool);

    /// The next hint of another node (this node's own may come too, they do no harm). Cancel safe. Called by one task.
    async fn next(&self) -> BusEvent;
}

/// What comes from a [`Bus`].
#[derive(Clone, Debug, PartialEq)]
pub enum BusEvent {
    /// Another node says something.
    Hint(Hint),
    /// Hints may have been lost (reconnected, overflowed): compare with the store at once.
    Lost,
}

/// What a node tells others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// A log got longer.
    Head {
        /// Which.
        log: LogId,
        /// Its last seq at least.
        seq: Seq,
    },
    /// An event, whole: small ones spare the other nodes a read.
    Event(Box<Event>),
    /// Close a user's connections, or those of one login.
    Disconnect {
        /// Whose.
        user: UserId,
        /// This login's only.
        login: Option<LoginId>,
    },
    /// Somebody does something that is not stored.
    Signal {
        /// The node where they are connected: a random number it took when it started.
        node: u64,
        /// When, in milliseconds since that node started: clocks of nodes are not compared.
        sent: u64,
        /// Where the conversation's log stood there.
        seen: Seq,
        /// In a direct conversation.
        direct: bool,
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// What.
        kind: String,
        /// The sender's own.
        data: Option<Data>,
    },
    /// How far a member has read and received.
    Receipt {
        /// The node that says so.
        node: u64,
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Read up to here.
        read: Seq,
        /// Delivered up to here.
        delivered: Seq,
        /// Where the conversation's log stood when this was read.
        seen: Seq,
    },
    /// Users have devices on a node, or no longer.
    Presence {
        /// Which.
        node: u64,
        /// They have.
        online: bool,
        /// Who, at most 500.
        users: Vec<UserId>,
    },
    /// A node wants to be told who of these users has devices elsewhere.
    Watching {
        /// Which.
        node: u64,
        /// The number of its question.
        ask: u64,
        /// Whom, at most 500.
        users: Vec<UserId>,
    },
    /// The answer: who of them has devices on a node. The others have none there.
    Present {
        /// Which.
        node: u64,
        /// Who asked.
        to: u64,
        /// The number of the question.
        ask: u64,
        /// Those who have.
        users: Vec<UserId>,
    },
    /// A user blocked another, or no longer does.
    Blocked {
        /// Who blocks.
        by: UserId,
        /// Whom.
        user: UserId,
        /// Blocked, or unblocked.
        on: bool,
    },
}

impl Hint {
    /// The log it is about: of use to nodes that watch it. `None`: it is for every node.
    #[must_use]
    pub fn log(&self) -> Option<LogId> {
        match self {
            Self::Head { log, .. } => Some(*log),
            Self::Event(event) => Some(event.log),
            Self::Disconnect { user, .. } => Some(LogId::User(*user)),
            Self::Signal { conversation, .. } | Self::Receipt { conversation, .. } => {
                Some(LogId::Conversation(*conversation))
            }
            Self::Presence { .. }
            | Self::Watching { .. }
            | Self::Present { .. }
            | Self::Blocked { .. } => None,
        }
    }
}

/// A bus between the nodes of one process: for tests, and for several [`crate::Chat`]s over one store.
#[derive(Debug)]
pub struct LocalBus {
    send: broadcast::Sender<Arc<Hint>>,
    receive: Mutex<broadcast::Receiver<Arc<Hint>>>,
}

impl LocalBus {
    /// A new bus, and the handle of its first node. It holds 1,024 hints a node, then loses the oldest and says so.
    #[must_use]
    pub fn new() -> Self {
        let (send, receive) = broadcast::channel(1024);
        Self {
            send,
            receive: Mutex::new(receive),
        }
    }

    /// The handle of another node.
    #[must_use]
    pub fn node(&self) -> Self {
        Self {
            send: self.send.clone(),
            receive: Mutex::new(self.send.subscribe()),
        }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, hint: &Hint) {
        // Nobody listening is no error: the store has it.
        let _ = self.send.send(Arc::new(hint.clone()));
    }

    fn watch(&self, _: LogId, _: bool) {}

    async fn next(&self) -> BusEvent {
        match self.receive.lock().await.recv().await {
            Ok(hint) => BusEvent::Hint(Hint::clone(&hint)),
            Err(_) => BusEvent::Lost,
        }
    }
}
