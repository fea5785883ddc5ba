//! One connected client: texts go in, frames come out. Knows no socket; a task of whatever transport polls it.
//!
//! It begins with `hello`. Logs that the client resumes are told page by page, then live; all others are live at once. It
//! ends with a close code, after which nothing follows.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::operation::write;
use super::{
    Bad, Close, Drain, ErrorBody, Event, Hello, Limits, Live, Nothing, Presence, Receipt, Ref,
    Renewed, Reply, Request, Resync, ServerFrame, Signal, Written, execute,
};
use crate::{
    Authenticator, Chat, Closed, Connection, ConversationId, Delivery, Error, ErrorKind, Format,
    Identity, Item, Seq,
};

/// The version of the protocol that `hello` tells.
const VERSION: u32 = 1;
/// Reads of one client under way: each may hold a page in memory.
const READS: usize = 4;
/// A client that was silent for so many heartbeats is gone.
const SILENT: u32 = 3;
/// Clients of a server that stops come back within this time, …
const RETURN: u64 = 3_000;
/// … but not before this one, in milliseconds.
const RETURN_AFTER: u64 = 100;

thread_local! {
    /// What a connection hands over is passed on within one poll: one vector for all sessions of a thread.
    static ITEMS: RefCell<Vec<Item>> = const { RefCell::new(Vec::new()) };
}

/// What holds for all sessions over one transport.
pub struct Settings {
    /// The slot of this transport's frames in what is delivered.
    pub format: Format,
    /// Makes a frame of the transport out of the JSON of one of ours.
    pub wrap: fn(&[u8]) -> Bytes,
    /// Who answers for the tokens of `renew`.
    pub authenticator: Arc<dyn Authenticator>,
    /// The name and version that `hello` tells.
    pub server: String,
    /// Bytes of a frame of a client; the transport sees to it.
    pub frame: usize,
    /// How often a client that has nothing to say sends `ping`.
    pub heartbeat: Duration,
}

impl Settings {
    /// The frame of an event, encoded by the first who asks.
    #[must_use]
    pub fn event(&self, delivery: &Delivery) -> Bytes {
        delivery.frame(self.format, |event| {
            self.encode(&ServerFrame::Event(Event::from(event.clone())))
        })
    }

    fn encode(&self, frame: &ServerFrame) -> Bytes {
        (self.wrap)(&frame.encode(None))
    }
}

/// What a session has for its transport.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Frames to send, in this order.
    pub frames: Vec<Bytes>,
    /// Forget first what was not sent yet: the client was too slow for it, and finds it again when it resumes.
    pub forget: bool,
    /// How many frames of the client were bad or too many.
    pub strikes: u32,
    /// Close then; nothing follows.
    pub close: Option<Close>,
}

/// Something under way that is neither a write nor a mark.
type Job = Pin<Box<dyn Future<Output = (Option<Ref>, Outcome)> + Send>>;

/// What came of it.
enum Outcome {
    Reply(Result<Reply, Error>),
    Renewed(Result<Identity, Error>),
}

/// One connected client. Dropping it disconnects; what it submitted is still committed.
pub struct Session {
    chat: Chat,
    identity: Identity,
    settings: Arc<Settings>,
    /// `None` once it is over.
    connection: Option<Connection>,
    greeted: bool,
    heard: Instant,
    /// Writes handed in so far, and what the client calls those without an outcome yet.
    submitted: u64,
    writes: Vec<(u64, Option<Ref>)>,
    jobs: Vec<Job>,
}

impl Session {
    /// A session over a connection of this identity.
    #[must_use]
    pub fn new(
        chat: Chat,
        identity: Identity,
        connection: Connection,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            chat,
            identity,
            settings,
            connection: Some(connection),
            greeted: false,
            heard: Instant::now(),
            submitted: 0,
            writes: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Whether a frame may be handed in now: not while as much as may be is under way.
    #[must_use]
    pub fn may_receive(&self) -> bool {
        self.jobs.len() < READS && self.writes.len() < self.chat.limits().in_flight
    }

    /// When [`Session::tick`] is due, unless a frame comes before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.heard + self.settings.heartbeat.saturating_mul(SILENT)
    }

    /// Closes a session that nothing was heard of for too long.
    pub fn tick(&mut self, now: Instant, out: &mut Outgoing) {
        if !self.may_receive() {
            // One that is not listened to is not silent.
            self.heard = now;
        } else if now >= self.deadline() {
            self.end(Close::IDLE, out);
        }
    }

    /// Takes a frame of the client. Never waits: what comes of it is told by [`Session::poll`].
    pub fn receive(&mut self, text: &str, now: Instant, out: &mut Outgoing) {
        self.heard = now;
        if self.connection.is_none() {
            return;
        }
        match Request::decode(text) {
            Ok((reference, request)) => {
                if let Err(error) = self.take(reference.clone(), request, out) {
                    self.refuse(&error, reference.as_ref(), out);
                }
            }
            Err(bad) => {
                let Bad { reference, error } = *bad;
                out.strikes += 1;
                self.tell(&ServerFrame::Error(error), reference.as_ref(), out);
            }
        }
    }

    fn take(
        &mut self,
        reference: Option<Ref>,
        request: Request,
        out: &mut Outgoing,
    ) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let request = match write(self.identity.user, request) {
            Ok(write) => {
                connection.submit(self.submitted, write)?;
                self.writes.push((self.submitted, reference));
                self.submitted += 1;
                return Ok(());
            }
            Err(request) => request,
        };
        let mark = |conversation: ConversationId, read: Option<Seq>, delivered: Option<Seq>| {
            connection.mark(conversation, read, delivered)
        };
        match request {
            Request::Read(mark_at) => mark(mark_at.conversation, Some(mark_at.seq), None),
            Request::Delivered(mark_at) => mark(mark_at.conversation, None, Some(mark_at.seq)),
            Request::Signal(signal) => {
                connection.signal(signal.conversation, &signal.kind, signal.data)
            }
            Request::Ping(_) => {
                self.tell(&ServerFrame::Pong(Nothing {}), reference.as_ref(), out);
                Ok(())
            }
            Request::Resume(resume) => {
                let cursors = resume.logs.iter().map(|at| (at.log, at.after));
                connection.resume(cursors.collect())?;
                self.reply(Nothing {}.into(), reference.as_ref(), out);
                Ok(())
            }
            Request::Presence(presence) => {
                let watched = connection.watch(presence.users);
                self.begin(reference, async move {
                    Outcome::Reply(watched.await.map(|()| Nothing {}.into()))
                })
            }
            Request::Renew(renew) => {
                let authenticator = Arc::clone(&self.settings.authenticator);
                self.begin(reference, async move {
                    Outcome::Renewed(authenticator.authenticate(&renew.token).await)
                })
            }
            read => {
                let (chat, identity) = (self.chat.clone(), self.identity);
                self.begin(reference, async move {
                    Outcome::Reply(execute(&chat, &identity, read).await)
                })
            }
        }
    }

    fn begin(
        &mut self,
        reference: Option<Ref>,
        job: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<(), Error> {
        if self.jobs.len() >= READS {
            return Err(Error::busy(
                "too many requests are under way on this connection",
            ));
        }
        self.jobs
            .push(Box::pin(async move { (reference, job.await) }));
        Ok(())
    }

    /// Waits for something to tell. Pending only when nothing was added to `out`.
    pub fn poll(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<()> {
        let Some(connection) = &mut self.connection else {
            return Poll::Pending;
        };
        let mut ready = !std::mem::replace(&mut self.greeted, true);
        if ready {
            let hello = ServerFrame::Hello(self.hello());
            self.tell(&hello, None, out);
            return Poll::Ready(());
        }
        let mut items = ITEMS.take();
        ready |= connection.poll_drain(cx, &mut items).is_ready();
        for item in items.drain(..) {
            self.item(item, out);
        }
        ITEMS.set(items);
        let mut place = 0;
        while place < self.jobs.len() {
            match self.jobs[place].as_mut().poll(cx) {
                Poll::Pending => place += 1,
                Poll::Ready((reference, outcome)) => {
                    drop(self.jobs.swap_remove(place));
                    self.settle(reference.as_ref(), outcome, out);
                    ready = true;
                }
            }
        }
        if self.jobs.is_empty() {
            self.jobs = Vec::new();
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn settle(&mut self, reference: Option<&Ref>, outcome: Outcome, out: &mut Outgoing) {
        let reply = match outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Renewed(identity) => self.renewed(identity),
        };
        match reply {
            Ok(reply) => self.reply(reply, reference, out),
            Err(error) => self.refuse(&error, reference, out),
        }
    }

    fn renewed(&mut self, identity: Result<Identity, Error>) -> Result<Reply, Error> {
        let identity = identity?;
        if let Some(connection) = &self.connection {
            connection.renew(identity)?;
        }
        let expires_at = identity.expires.map(Into::into);
        Ok(Renewed { expires_at }.into())
    }

    fn item(&mut self, item: Item, out: &mut Outgoing) {
        if self.connection.is_none() {
            return;
        }
        let format = self.settings.format;
        let encode = |frame: ServerFrame| self.settings.encode(&frame);
        let frame = match item {
            Item::Event(delivery) => self.settings.event(&delivery),
            Item::Hidden(hidden) => hidden.frame(format, |log, seq| {
                encode(ServerFrame::Event(Event::hidden(log, seq)))
            }),
            Item::Signal(signal) => signal.frame(format, |signal| {
                encode(ServerFrame::Signal(Signal {
                    conversation: signal.conversation,
                    user: signal.user,
                    kind: signal.kind.clone(),
                    data: signal.data.clone(),
                }))
            }),
            Item::Receipt(receipt) => receipt.frame(format, |receipt| {
                encode(ServerFrame::Receipt(Receipt {
                    conversation: receipt.conversation,
                    user: receipt.user,
                    read: receipt.read,
                    delivered: receipt.delivered,
                }))
            }),
            Item::Presence(presence) => encode(ServerFrame::Presence(Presence {
                user: presence.user,
                online: presence.online,
            })),
            Item::Resync { log, seq } => encode(ServerFrame::Resync(Resync { log, seq })),
            Item::Live { log } => encode(ServerFrame::Live(Live { log })),
            Item::Done {
                reference,
                committed,
            } => {
                let reference = self.named(reference);
                return self.reply(Written::from(*committed).into(), reference.as_ref(), out);
            }
            Item::Refused { reference, error } => {
                let reference = self.named(reference);
                return self.refuse(&error, reference.as_ref(), out);
            }
            Item::Closed(why) => {
                if why == Closed::Slow {
                    out.frames.clear();
                    out.forget = true;
                }
                if why == Closed::Drain {
                    let reconnect_in_ms = RETURN_AFTER + random(RETURN - RETURN_AFTER);
                    self.tell(&ServerFrame::Drain(Drain { reconnect_in_ms }), None, out);
                }
                return self.end(why.into(), out);
            }
        };
        out.frames.push(frame);
    }

    /// A write has its outcome: what the client called it.
    fn named(&mut self, number: u64) -> Option<Ref> {
        let place = self.writes.iter().position(|(known, _)| *known == number)?;
        let (_, reference) = self.writes.swap_remove(place);
        if self.writes.is_empty() {
            self.writes = Vec::new();
        }
        reference
    }

    fn reply(&self, reply: Reply, reference: Option<&Ref>, out: &mut Outgoing) {
        self.tell(&ServerFrame::Reply(reply), reference, out);
    }

    fn refuse(&self, error: &Error, reference: Option<&Ref>, out: &mut Outgoing) {
        match error.kind() {
            ErrorKind::RateLimited => out.strikes += 1,
            ErrorKind::Internal => {
                let source = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(%error, source, "internal error");
            }
            _ => {}
        }
        self.tell(&ServerFrame::Error(ErrorBody::from(error)), reference, out);
    }

    fn tell(&self, frame: &ServerFrame, reference: Option<&Ref>, out: &mut Outgoing) {
        out.frames
            .push((self.settings.wrap)(&frame.encode(reference)));
    }

    fn end(&mut self, why: Close, out: &mut Outgoing) {
        self.connection = None;
        self.jobs = Vec::new();
        self.writes = Vec::new();
        out.close = Some(why);
    }

    fn hello(&self) -> Hello {
        let limits = self.chat.limits();
        let number = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
        let offered = |word: &str| word != "search" || self.chat.searches();
        let features = Request::TYPES.iter().filter(|word| offered(word));
        Hello {
            version: VERSION,
            server: self.settings.server.clone(),
            user: self.identity.user,
            features: features.map(|word| (*word).to_owned()).collect(),
            limits: Limits {
                frame: number(self.settings.frame),
                text: number(limits.text),
                data: number(limits.data),
                name: number(limits.name),
                added: number(limits.added),
                mentions: number(limits.mentions),
                page: number(limits.page),
                cursors: number(limits.cursors),
                in_flight: number(limits.in_flight),
            },
            heartbeat_ms: u64::try_from(self.settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
            expires_at: self.identity.expires.map(Into::into),
        }
    }
}

/// A number below `bound`, evenly enough spread for sockets to come back at different times.
fn random(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    crate::random(&mut bytes);
    u64::from_le_bytes(bytes) % bound.max(1)
}
