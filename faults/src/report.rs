//! What the victim tells the test: one line of JSON each, shorter than a pipe takes at once, so whole or not at all.

use std::hash::{DefaultHasher, Hasher};

use chat_core::{Committed, ConversationId, FeedEntry, LogId, Message, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// One thing that happened to the victim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// The store is open.
    Opened,
    /// It could not be opened.
    NotOpened(String),
    /// A write is about to be handed in, perhaps again.
    Trying {
        /// By which script.
        writer: u32,
        /// Which of its writes.
        number: u32,
    },
    /// A write was acknowledged.
    Done {
        /// By which script.
        writer: u32,
        /// Which of its writes.
        number: u32,
        /// What was acknowledged.
        receipt: Receipt,
    },
    /// A write failed: nobody knows whether it happened.
    Failed {
        /// By which script.
        writer: u32,
        /// Which of its writes.
        number: u32,
        /// The error's kind and text.
        error: String,
    },
    /// Something was read.
    Read(Sight),
    /// All of the store could be read.
    ReadOn,
}

/// What of an acknowledgement must be answered again to a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// See [`Committed`], also for what follows.
    pub conversation: Option<ConversationId>,
    /// The user.
    pub user: Option<UserId>,
    /// The first seq.
    pub first: Seq,
    /// How many.
    pub count: u32,
    /// When.
    pub at: Timestamp,
}

impl From<&Committed> for Receipt {
    fn from(done: &Committed) -> Self {
        Self {
            conversation: done.conversation,
            user: done.user,
            first: done.first,
            count: done.count,
            at: done.at,
        }
    }
}

/// What a reader saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// An event, at its place in the feed.
    Event {
        /// The place.
        position: u64,
        /// The log.
        log: LogId,
        /// The seq.
        seq: Seq,
        /// Of all in it that never changes.
        digest: u64,
    },
    /// A message as it stood.
    Message {
        /// Where.
        conversation: ConversationId,
        /// Which.
        seq: Seq,
        /// How often it had been edited.
        revision: u32,
        /// Of its text.
        digest: u64,
    },
}

impl From<&FeedEntry> for Sight {
    fn from(entry: &FeedEntry) -> Self {
        let event = &entry.event;
        let lasting = format!("{:?} {:?} {:?}", event.at, event.actor, event.kind);
        Self::Event {
            position: entry.position,
            log: event.log,
            seq: event.seq,
            digest: digest(&lasting),
        }
    }
}

impl From<&Message> for Sight {
    fn from(message: &Message) -> Self {
        Self::Message {
            conversation: message.conversation,
            seq: message.seq,
            revision: message.revision,
            digest: digest(message.text().unwrap_or_default()),
        }
    }
}

/// Tells texts apart; the same in every process.
#[must_use]
pub fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
