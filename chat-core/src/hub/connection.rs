//! One connected device, as its owner holds it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Closed, Device, Item};
use crate::node::Node;
use crate::{Error, ErrorKind, Identity, LogId, LogPage, Seq, Write};

/// One connected device. Dropping it disconnects; what it submitted is still committed.
pub struct Connection {
    node: Arc<Node>,
    device: Arc<Device>,
    catching: VecDeque<(LogId, Seq)>,
    reading: Option<Pin<Box<dyn Future<Output = Read> + Send>>>,
}

/// What became of reading one page of a log that is being resumed.
enum Read {
    Page(LogId, Result<LogPage, Error>),
    Live(bool),
}

impl Connection {
    pub(crate) fn new(node: Arc<Node>, device: Arc<Device>) -> Self {
        Self {
            node,
            device,
            catching: VecDeque::new(),
            reading: None,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.device.identity
    }

    /// Hands in a write; its outcome comes as [`Item::Done`] or [`Item::Refused`] behind the events it caused. Writes of one
    /// connection are committed in the order they were handed in. Needs no await: a frame loop never waits for the store.
    ///
    /// # Errors
    /// `Busy` when [`crate::Limits::in_flight`] writes of this connection are under way; `Forbidden` for a write as
    /// somebody else.
    pub fn submit(&self, reference: u64, write: Write) -> Result<(), Error> {
        if write.actor != crate::Actor::User(self.device.identity.user) {
            return Err(Error::forbidden("a connection writes as its own user only"));
        }
        if !self.device.begin(self.node.limits().in_flight) {
            return Err(Error::busy(
                "too many writes are under way on this connection",
            ));
        }
        self.node.submit(&self.device, reference, write);
        Ok(())
    }

    /// From these cursors on: for each log, what follows the cursor is delivered, page by page as this connection drains,
    /// then live, without hole or double. Give the user's own log first: it tells which conversations changed hands. Logs
    /// that are not named are live from now on.
    ///
    /// # Errors
    /// `Invalid` with more than [`crate::Limits::cursors`] logs under way, or one named twice.
    pub fn resume(&mut self, cursors: Vec<(LogId, Seq)>) -> Result<(), Error> {
        if self.catching.len() + cursors.len() > self.node.limits().cursors {
            return Err(Error::invalid("too many logs to resume at once"));
        }
        if super::logs_named_twice(&cursors)
            || cursors.iter().any(|(log, _)| self.is_catching(*log))
        {
            return Err(Error::invalid("a log is named twice"));
        }
        for (log, cursor) in cursors {
            self.device.catch_up(log, cursor);
            self.catching.push_back((log, cursor));
        }
        Ok(())
    }

    fn is_catching(&self, log: LogId) -> bool {
        self.catching.iter().any(|(other, _)| *other == log)
    }

    /// Waits until something is there and moves all of it to `items`, so that one write can take it. Cancel safe.
    pub async fn drain(&mut self, items: &mut Vec<Item>) {
        std::future::poll_fn(|cx| self.poll_drain(cx, items)).await;
    }

    /// [`Connection::drain`] for tasks that poll several things.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, items: &mut Vec<Item>) -> Poll<()> {
        let queued = self.device.poll(cx, items);
        if queued.is_ready() || self.catching.is_empty() {
            return queued;
        }
        // Nothing is queued: time for a page of what was missed.
        while let Some((log, cursor)) = self.catching.front().copied() {
            let reading = self.reading.get_or_insert_with(|| {
                let (node, viewer) = (Arc::clone(&self.node), self.device.identity.viewer());
                Box::pin(async move {
                    let page = node
                        .hub
                        .store
                        .log(viewer, log, cursor, node.limits().page)
                        .await;
                    Read::Page(log, page)
                })
            });
            let Poll::Ready(read) = reading.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            self.reading = None;
            match read {
                Read::Page(log, Ok(page)) => {
                    if self.take_page(log, page, items) {
                        return Poll::Ready(());
                    }
                }
                Read::Page(log, Err(error)) if error.kind() == ErrorKind::NotFound => {
                    self.catching.pop_front();
                    self.device.go_live(log, None);
                    items.push(Item::Resync { log, seq: 0 });
                    return Poll::Ready(());
                }
                Read::Page(_, Err(_)) => {
                    self.catching.clear();
                    self.device.close(Closed::Unavailable);
                    return self.device.poll(cx, items);
                }
                // More was committed meanwhile: another page.
                Read::Live(false) => {}
                Read::Live(true) => {
                    self.catching.pop_front();
                }
            }
        }
        self.device.poll(cx, items)
    }

    /// Passes on a page; true when it held something. At the end of the log, asks to go live.
    fn take_page(&mut self, log: LogId, page: LogPage, items: &mut Vec<Item>) -> bool {
        let before = items.len();
        let Some((_, cursor)) = self.catching.front_mut() else {
            return false;
        };
        if let Some(seq) = page.resync {
            items.push(Item::Resync { log, seq });
            *cursor = seq;
        }
        if let Some((last, _)) = page.entries.last() {
            *cursor = *last;
        }
        self.node.hub.recent.items(log, page.entries, items);
        let cursor = *cursor;
        self.device.caught(log, cursor);
        if cursor >= page.head {
            let (node, device) = (Arc::clone(&self.node), Arc::clone(&self.device));
            self.reading = Some(Box::pin(async move {
                Read::Live(node.hub.go_live(log, &device).await)
            }));
        }
        items.len() > before
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.node.hub.disconnect(&self.device);
    }
}
