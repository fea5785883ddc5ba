//! This node's connections: who is live on which log, and how events reach them.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::{Committed, Error, Event, Identity, LogId, Seq, Write};

/// How many wire formats a [`Delivery`] can hold.
const FORMATS: usize = 4;

/// A wire format's slot in every [`Delivery`]; see [`crate::Chat::format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(usize);

/// One event on its way to all who may see it: encoded once for each wire format, then shared.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    frames: [OnceLock<Bytes>; FORMATS],
    hidden: [OnceLock<Bytes>; FORMATS],
}

impl Delivery {
    /// The encoding in a format: `encode` runs once for the first who asks, all others share its bytes.
    pub fn frame(&self, format: Format, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        self.frames[format.0]
            .get_or_init(|| encode(&self.event))
            .clone()
    }

    /// The same for those who may only know that there is something ([`Item::Hidden`]).
    pub fn hidden_frame(&self, format: Format, encode: impl FnOnce(LogId, Seq) -> Bytes) -> Bytes {
        self.hidden[format.0]
            .get_or_init(|| encode(self.event.log, self.event.seq))
            .clone()
    }
}

/// What a connection gets.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event, in its log's order.
    Event(Arc<Delivery>),
    /// An event that speaks of what this user may not see: only its log and seq may be told.
    Hidden(Arc<Delivery>),
    /// A submitted write was committed; its events on this connection's logs came before this.
    Done {
        /// As given to [`Connection::submit`].
        reference: u64,
        /// What it did; `events` is empty here.
        committed: Committed,
    },
    /// A submitted write was refused, or its outcome is unknown (`Unavailable`).
    Refused {
        /// As given to [`Connection::submit`].
        reference: u64,
        /// Why.
        error: Error,
    },
    /// This log's cursor is too old: load it afresh, live events follow after `seq`.
    Resync {
        /// Which log.
        log: LogId,
        /// Up to here nothing is sent.
        seq: Seq,
    },
    /// The connection is over; nothing follows.
    Closed(Closed),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Closed {
    /// The login expired or was revoked: log in again.
    LoggedOut,
    /// It read too slowly and its queue was full: connect again and resume.
    Slow,
    /// The node shuts down: connect again elsewhere and resume.
    Drain,
    /// The user has too many connections here: the oldest one gives way.
    TooMany,
    /// The host ended it.
    Host,
}

/// One connected device. Dropping it disconnects; what it submitted is still committed.
pub struct Connection {
    identity: Identity,
}

impl Connection {
    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Hands in a write; its outcome comes as [`Item::Done`] or [`Item::Refused`] behind the events it caused. Writes of one
    /// connection are committed in the order they were handed in. Needs no await: the frame loop never waits for the store.
    ///
    /// # Errors
    /// `Busy` when [`crate::Limits::in_flight`] writes of this connection are under way.
    pub fn submit(&self, _reference: u64, _write: Write) -> Result<(), Error> {
        Err(Error::internal("not there yet"))
    }

    /// From these cursors on: for each log, what follows the cursor is delivered, page by page as this connection drains,
    /// then live, without hole or double. Logs that are not named are live from now on.
    pub fn resume(&mut self, _cursors: Vec<(LogId, Seq)>) {}

    /// Waits until something is there and moves all of it to `items`, so that one write can take it. Cancel safe.
    pub async fn drain(&mut self, items: &mut Vec<Item>) {
        std::future::poll_fn(|cx| self.poll_drain(cx, items)).await;
    }

    /// [`Connection::drain`] for tasks that poll several things.
    pub fn poll_drain(&mut self, _cx: &mut Context<'_>, _items: &mut Vec<Item>) -> Poll<()> {
        Poll::Pending
    }
}
