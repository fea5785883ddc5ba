//! One connected device, as its owner holds it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Closed, Device, Item, Loan, Standing};
use crate::limits::fixed;
use crate::node::Node;
use crate::{ConversationId, Data, Error, ErrorKind, Identity, LogId, LogPage, Seq, UserId, Write};

/// Logs that are compared with the store by one read.
const COMPARED: usize = 1000;

/// After this time a member whom this node does not know as one yet is looked for again.
const AGAIN: Duration = Duration::from_millis(100);

/// One connected device. Dropping it disconnects; what it submitted is still committed.
pub struct Connection {
    node: Arc<Node>,
    device: Arc<Device>,
    /// Logs to catch up with; of the first one pages are read.
    catching: VecDeque<Catching>,
    reading: Option<Pin<Box<dyn Future<Output = Read> + Send>>>,
}

/// A log that is being resumed.
struct Catching {
    log: LogId,
    cursor: Seq,
    /// Its head was looked at: there is more, or it takes a page to say so.
    is_compared: bool,
    /// This user is not live on it: what a page holds is all there is.
    is_away: bool,
}

/// What became of reading for logs that are being resumed.
enum Read {
    /// These logs had nothing new and are live.
    Compared(Result<Vec<LogId>, Error>),
    Page(LogId, Result<LogPage, Error>),
    Standing(Standing),
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
    pub fn identity(&self) -> Identity {
        self.device.identity()
    }

    /// Goes on with a fresh credential of the same user and reach: the connection ends with this one's login, and no longer
    /// with the one before.
    ///
    /// # Errors
    /// `Forbidden` for another user or reach.
    pub fn renew(&self, identity: Identity) -> Result<(), Error> {
        self.node.hub.renew(&self.device, identity)
    }

    /// Hands in a write; its outcome comes as [`Item::Done`] or [`Item::Refused`] behind the events it caused. Writes of one
    /// connection are committed in the order they were handed in. Needs no await: a frame loop never waits for the store.
    ///
    /// # Errors
    /// `Busy` when [`crate::Limits::in_flight`] writes of this connection are under way; `Forbidden` for a write as
    /// somebody else.
    pub fn submit(&self, reference: u64, write: Write) -> Result<(), Error> {
        if write.actor != crate::Actor::User(self.device.user) {
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

    /// Tells the other members who are connected, on any node, what this user does now, such as typing. Never stored, and
    /// lossy: it is dropped where there is no room, and after 5 s. It waits up to 50 ms for something to go with; within a
    /// device's queue a newer one of the same kind takes an older one's place.
    ///
    /// # Errors
    /// `NotFound` unless this user is a member now; `Forbidden` when the other one of a direct conversation blocked them, as
    /// far as that is known already; `Invalid` for a kind not of 1 to 64 bytes, or too large data; `RateLimited` above
    /// [`crate::Limits::signal_rate`]; `Busy` when too many are under way on this node.
    pub fn signal(
        &self,
        conversation: ConversationId,
        kind: &str,
        data: Option<Data>,
    ) -> Result<(), Error> {
        self.node.hub.signal(&self.device, conversation, kind, data)
    }

    /// Marks a conversation as read, or delivered to this device, up to a seq; a higher one than the head means the head.
    /// Marks are gathered: the highest is written, at most once a second for each conversation, together with those that
    /// others made in a tenth of a second. Only then it is told: to this user's devices by their log, and to the other members
    /// ([`Item::Receipt`], up to [`crate::Limits::receipts_to`] of them), each time within 250 ms, with what comes meanwhile. No
    /// policy is asked.
    ///
    /// # Errors
    /// `NotFound` unless this user is a member now; `Busy` when more than 1,000 conversations of this user, or 65,536 marks
    /// of this node, wait; `Unavailable` while draining.
    pub fn mark(
        &self,
        conversation: ConversationId,
        read: Option<Seq>,
        delivered: Option<Seq>,
    ) -> Result<(), Error> {
        self.node.open()?;
        let user = self.device.user;
        self.node.hub.is_live(user, conversation)?;
        let (read, delivered) = (read.unwrap_or(0), delivered.unwrap_or(0));
        if read == 0 && delivered == 0 {
            return Ok(());
        }
        self.node
            .hub
            .marks
            .add((user, conversation), read, delivered)
    }

    /// Replaces the set of users whose presence this device is told: the present state of those who are new in it comes as
    /// [`Item::Presence`] (within a second, when other nodes have to be asked), then each change. Who blocked this user is
    /// told to be offline. Of several calls the latest counts; dropping the future leaves open whether it does.
    ///
    /// # Errors
    /// Nothing changes: `NotFound` when one of them is nobody this user may know ([`crate::Chat::known_user`]); `Invalid`
    /// with more than [`crate::Limits::presence`]; `Unavailable`.
    pub fn watch(
        &self,
        users: Vec<UserId>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (node, device) = (Arc::clone(&self.node), Arc::clone(&self.device));
        let turn = device.watch_turn();
        async move { node.hub.watch_users(device, turn, users).await }
    }

    /// From these cursors on: for each log, what follows the cursor is delivered, page by page as this connection drains,
    /// then live, without hole or double; above [`crate::Limits::resume_gap`] a log is answered with [`Item::Resync`]. The
    /// user's own log comes first: it tells which conversations changed hands. May be called again while earlier logs are
    /// under way. Logs that are not named are live from now on.
    ///
    /// # Errors
    /// `Invalid` with more than [`crate::Limits::cursors`] logs in one call or 10,001 under way, or one named twice.
    pub fn resume(&mut self, mut cursors: Vec<(LogId, Seq)>) -> Result<(), Error> {
        let under_way = self.catching.len() + cursors.len();
        if cursors.len() > self.node.limits().cursors || under_way as u64 > fixed::CONVERSATIONS + 1
        {
            return Err(Error::invalid("too many logs to resume at once"));
        }
        if super::logs_named_twice(&cursors) || self.device.resumes_any(&cursors) {
            return Err(Error::invalid("a log is named twice"));
        }
        self.device.catch_up(&cursors);
        let own = LogId::User(self.device.user);
        cursors.sort_by_key(|(log, _)| *log != own);
        for (log, cursor) in cursors {
            let catching = Catching {
                log,
                cursor,
                is_compared: false,
                is_away: false,
            };
            if log == own {
                // What is being read of the first one goes on.
                let place = usize::from(self.reading.is_some()).min(self.catching.len());
                self.catching.insert(place, catching);
            } else {
                self.catching.push_back(catching);
            }
        }
        Ok(())
    }

    /// For an owner whose transport can send without waiting: lends it to the fan-out while it has nothing to send itself,
    /// which saves waking it for each event. One at a time; whoever has no such transport needs none.
    #[must_use]
    pub fn loan(&self) -> Loan {
        Loan::new(Arc::clone(&self.device))
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
        while !self.catching.is_empty() {
            if self.reading.is_none() {
                self.reading = self.next_read();
            }
            let Some(reading) = &mut self.reading else {
                break;
            };
            let Poll::Ready(read) = reading.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            self.reading = None;
            match read {
                Read::Compared(Ok(unchanged)) => {
                    // In the order of the queue.
                    let before = items.len();
                    let mut unchanged = unchanged.into_iter().peekable();
                    self.catching
                        .retain(|catching| match unchanged.next_if_eq(&catching.log) {
                            Some(log) => {
                                items.push(Item::Live { log });
                                false
                            }
                            None => true,
                        });
                    if items.len() > before {
                        return Poll::Ready(());
                    }
                }
                Read::Page(log, Ok(page)) => {
                    if self.take_page(log, page, items) {
                        return Poll::Ready(());
                    }
                }
                Read::Page(log, Err(error)) if error.kind() == ErrorKind::NotFound => {
                    self.catching.pop_front();
                    self.device.let_be(log);
                    items.push(Item::Resync { log, seq: 0 });
                    return Poll::Ready(());
                }
                Read::Page(_, Err(_)) | Read::Compared(Err(_)) => {
                    self.catching.clear();
                    self.device.close(Closed::Unavailable);
                    return self.device.poll(cx, items);
                }
                // More was committed meanwhile: another page.
                Read::Standing(Standing::Behind) => {
                    if let Some(first) = self.catching.front_mut() {
                        first.is_away = false;
                    }
                }
                Read::Standing(Standing::Live) => {
                    if let Some(Catching { log, .. }) = self.catching.pop_front() {
                        items.push(Item::Live { log });
                        return Poll::Ready(());
                    }
                }
                // Maybe since the last page: what is up to there is read once more.
                Read::Standing(Standing::Away) => {
                    if let Some(first) = self.catching.front_mut() {
                        first.is_away = true;
                    }
                }
                Read::Standing(Standing::Over) => {
                    self.catching.pop_front();
                    let told = self.device.poll(cx, items);
                    if told.is_ready() {
                        return told;
                    }
                }
            }
        }
        self.device.poll(cx, items)
    }

    /// What has to be read next: heads, as long as some were not compared, else a page of the first log.
    fn next_read(&mut self) -> Option<Pin<Box<dyn Future<Output = Read> + Send>>> {
        let (node, device) = (Arc::clone(&self.node), Arc::clone(&self.device));
        let first = self.catching.front()?;
        if first.is_compared {
            let (log, cursor) = (first.log, first.cursor);
            let viewer = device.identity().viewer_of(log);
            return Some(Box::pin(async move {
                let page = node.limits().page;
                Read::Page(log, node.hub.store.log(viewer, log, cursor, page).await)
            }));
        }
        let new = self.catching.iter_mut().filter(|next| !next.is_compared);
        let cursors: Vec<(LogId, Seq)> = new
            .take(COMPARED)
            .map(|next| {
                next.is_compared = true;
                (next.log, next.cursor)
            })
            .collect();
        Some(Box::pin(async move {
            Read::Compared(node.hub.unchanged(cursors, &device).await)
        }))
    }

    /// Passes on a page; true when it held something. At the end of the log, asks to go live.
    fn take_page(&mut self, log: LogId, page: LogPage, items: &mut Vec<Item>) -> bool {
        let before = items.len();
        let Some(Catching {
            cursor, is_away, ..
        }) = self.catching.front_mut()
        else {
            return false;
        };
        let is_away = *is_away;
        if page.head.saturating_sub(page.resync.unwrap_or(*cursor)) > self.node.limits().resume_gap
        {
            items.push(Item::Resync {
                log,
                seq: page.head,
            });
            *cursor = page.head;
        } else {
            if let Some(seq) = page.resync {
                items.push(Item::Resync { log, seq });
                *cursor = seq;
            }
            if let Some((last, _)) = page.entries.last() {
                *cursor = *last;
            }
            self.node.hub.recent.items(log, page.entries, items);
        }
        let cursor = *cursor;
        self.device.caught(log, cursor);
        if cursor >= page.head {
            let (node, device) = (Arc::clone(&self.node), Arc::clone(&self.device));
            self.reading = Some(Box::pin(async move {
                let mut ends = is_away;
                if is_away {
                    match node.hub.is_member(device.user, log).await {
                        Ok(true) => {
                            // This node has still to hear of it.
                            tokio::time::sleep(AGAIN).await;
                            ends = false;
                        }
                        Ok(false) => {}
                        Err(error) => return Read::Page(log, Err(error)),
                    }
                }
                Read::Standing(node.hub.go_live(log, &device, ends).await)
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
