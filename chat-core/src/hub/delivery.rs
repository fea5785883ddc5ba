//! What travels from the gate to connections.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Receipt, Signal};
use crate::{Committed, Error, Event, LogId, Seq, UserId};

/// How many wire formats a [`Delivery`] can hold.
pub(crate) const FORMATS: usize = 4;

/// A wire format's slot in every [`Delivery`]; see [`crate::Chat::format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(pub(crate) usize);

/// The encodings of one thing, each filled by the first who asks.
#[derive(Debug, Default)]
pub(super) struct Frames([OnceLock<Bytes>; FORMATS]);

impl Frames {
    pub(super) fn get(&self, format: Format, encode: impl FnOnce() -> Bytes) -> Bytes {
        self.0[format.0].get_or_init(encode).clone()
    }
}

/// One event on its way to all who may see it: encoded once for each wire format, then shared.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    frames: Frames,
    hidden: OnceLock<Arc<Hidden>>,
}

impl Delivery {
    pub(crate) fn new(event: Event) -> Arc<Self> {
        Arc::new(Self {
            event,
            frames: Frames::default(),
            hidden: OnceLock::new(),
        })
    }

    /// The text of the message this is about, if it is about one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.event.message.as_ref()?.text()
    }

    /// The encoding in a format: `encode` runs once for the first who asks, all others share its bytes.
    pub fn frame(&self, format: Format, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        self.frames.get(format, || encode(&self.event))
    }

    /// What those are told who may only know that there is something.
    pub(crate) fn hidden(&self) -> Arc<Hidden> {
        Arc::clone(
            self.hidden
                .get_or_init(|| Hidden::new(self.event.log, self.event.seq)),
        )
    }

    /// About how many bytes this costs a queue: what its frame may have, whichever the format.
    pub(crate) fn size(&self) -> usize {
        let content = self
            .event
            .message
            .as_ref()
            .and_then(|message| message.content.as_ref());
        let data =
            |content: &crate::Content| content.data.as_ref().map_or(0, |data| data.json().len());
        256 + content.map_or(0, |content| content.text.len() + data(content))
    }
}

/// The place of an event that a reader may not see: shared by all such readers, and encoded once like a [`Delivery`].
#[derive(Debug)]
pub struct Hidden {
    /// The log.
    pub log: LogId,
    /// The event's place there.
    pub seq: Seq,
    frames: Frames,
}

impl Hidden {
    pub(crate) fn new(log: LogId, seq: Seq) -> Arc<Self> {
        Arc::new(Self {
            log,
            seq,
            frames: Frames::default(),
        })
    }

    /// See [`Delivery::frame`].
    pub fn frame(&self, format: Format, encode: impl FnOnce(LogId, Seq) -> Bytes) -> Bytes {
        self.frames.get(format, || encode(self.log, self.seq))
    }
}

/// What a connection gets.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event, in its log's order.
    Event(Arc<Delivery>),
    /// An event outside of what this user may see, or that speaks of a message there: only its place is told.
    Hidden(Arc<Hidden>),
    /// A submitted write was committed; its events in the conversation's log came before this.
    Done {
        /// As given to [`crate::Connection::submit`].
        reference: u64,
        /// What it did; `events` is empty here.
        committed: Box<Committed>,
    },
    /// A submitted write was refused, or its outcome is unknown (`Unavailable`).
    Refused {
        /// As given to [`crate::Connection::submit`].
        reference: u64,
        /// Why.
        error: Box<Error>,
    },
    /// This log cannot be resumed from the given cursor, or too much lies between: load it afresh, what follows `seq` is
    /// sent. 0: it does not exist for this user.
    Resync {
        /// Which log.
        log: LogId,
        /// Up to here nothing is sent.
        seq: Seq,
    },
    /// A log that was resumed has caught up: what follows of it is live. For one who is no member of it now that is nothing,
    /// until they are again.
    Live {
        /// Which log.
        log: LogId,
    },
    /// Somebody does something that is not stored. Lossy: not kept for slow readers, and not told when it is too late.
    Signal(Arc<Signal>),
    /// How far somebody else has read and received.
    Receipt(Arc<Receipt>),
    /// Somebody came or went whom this device watches.
    Presence(Presence),
    /// The connection is over; nothing follows.
    Closed(Closed),
}

/// Whether a user has a device connected, on whichever node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Presence {
    /// Who.
    pub user: UserId,
    /// Connected, or not for [`crate::Limits::presence_grace`].
    pub online: bool,
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
    /// The store did not answer while resuming: connect again and resume.
    Unavailable,
    /// The host ended it.
    Host,
}
