//! One socket: one task, hand-written as a future so that it holds no buffer while nothing happens.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chat_core::protocol::Ref;
use chat_core::{Closed, Connection, Error, ErrorKind, Format, Item};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tungstenite::Message;

use super::basic::{self, Close};
use super::out::Out;
use super::reader::{Inbound, Reader};
use super::{Rules, frame};
use crate::server::Lease;

/// Nothing more is read while so much waits to be written: a peer that sends without reading costs no more than this.
const BACKLOG: usize = 64 << 10;
/// Rounds of a poll before other tasks get their turn.
const ROUNDS: usize = 16;

thread_local! {
    /// What a connection hands over is passed on within one poll: one vector for all sockets of a thread.
    static ITEMS: RefCell<Vec<Item>> = const { RefCell::new(Vec::new()) };
}

/// What a socket begins with.
pub(super) struct Start {
    /// None: the login does not count, and all that follows is to say so.
    pub(super) connection: Option<Connection>,
    pub(super) format: Format,
    pub(super) rules: Arc<Rules>,
    /// How many writes a connection may have under way.
    pub(super) in_flight: usize,
    pub(super) lease: Option<Lease>,
}

/// Where a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Frames go both ways.
    Open,
    /// Our Close frame is on its way: until then the peer's is waited for.
    Closing(Instant),
    /// The peer broke the protocol: what it sends is thrown away until it ends or until then, as closing with unread
    /// bytes would take our Close frame back.
    Broken(Instant),
    /// Both Close frames are out: what waits is written, then it is over.
    Last(Instant),
}

pub(super) struct Socket<I> {
    io: I,
    reader: Reader,
    out: Out,
    connection: Option<Connection>,
    format: Format,
    rules: Arc<Rules>,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    /// When something was last written, or nothing waited.
    moved: Instant,
    /// When a ping was last sent.
    pinged: Option<Instant>,
    /// When all strikes are forgotten.
    forgiven: Instant,
    /// Writes handed in so far, …
    submitted: u64,
    /// … those without an outcome yet, …
    in_flight: usize,
    /// … how many of these there may be, …
    in_flight_limit: usize,
    /// … and what the client calls those it named.
    refs: Vec<(u64, Ref)>,
    /// Counts this socket among the server's connections.
    _lease: Option<Lease>,
}

/// The socket is over.
struct Over;

impl<I: AsyncRead + AsyncWrite + Unpin> Socket<I> {
    /// A socket over a stream, of which `read` has been read already.
    pub(super) fn new(io: I, read: Vec<u8>, start: Start) -> Self {
        let now = Instant::now();
        let rules = start.rules;
        let mut socket = Self {
            io,
            reader: Reader::new(read, rules.config, rules.fragments),
            out: Out::default(),
            connection: start.connection,
            format: start.format,
            phase: Phase::Open,
            timer: Box::pin(tokio::time::sleep(rules.ping_after.min(rules.frame_time))),
            moved: now,
            pinged: None,
            forgiven: now,
            submitted: 0,
            in_flight: 0,
            in_flight_limit: start.in_flight,
            refs: Vec::new(),
            rules,
            _lease: start.lease,
        };
        if socket.connection.is_none() {
            socket.close(basic::LOGIN);
        }
        socket
    }

    /// Begins to close.
    fn close(&mut self, why: Close) {
        if self.phase != Phase::Open {
            return;
        }
        self.disconnect();
        self.reader.close(why, &mut self.out);
        self.phase = Phase::Closing(self.give_up());
    }

    /// Closes a socket whose peer broke the protocol, so that nothing more can be parsed.
    fn abort(&mut self, (code, reason): Close) {
        if self.phase == Phase::Open {
            self.out.push(frame::close(code, reason));
        }
        self.disconnect();
        self.phase = Phase::Broken(self.give_up());
    }

    /// Leaves the chat. What was handed in is still committed.
    fn disconnect(&mut self) {
        self.connection = None;
        self.in_flight = 0;
        self.refs = Vec::new();
    }

    /// By when a socket that is being closed is dropped.
    fn give_up(&mut self) -> Instant {
        let until = Instant::now() + self.rules.close_wait;
        self.timer.as_mut().reset(until);
        until
    }

    /// One bad, refused or control frame more. Too many end the socket.
    fn strike(&mut self) {
        let now = Instant::now();
        self.forgiven = self.forgiven.max(now) + self.rules.strike_every;
        let most = self.rules.strike_every.saturating_mul(self.rules.strikes);
        if self.forgiven.duration_since(now) > most {
            self.close(basic::FLOOD);
        }
    }

    /// Whether anything more may be taken from the peer now.
    fn may_read(&self) -> bool {
        self.out.bytes() < BACKLOG && self.in_flight < self.in_flight_limit
    }

    /// Reads until nothing is there or nothing more may be taken.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        while self.may_read() {
            if let Phase::Broken(_) = self.phase {
                return match Reader::poll_discard(cx, &mut self.io) {
                    Poll::Pending => Ok(()),
                    Poll::Ready(()) => Err(Over),
                };
            }
            if let Phase::Last(_) = self.phase {
                return Ok(());
            }
            match self.reader.poll_next(cx, &mut self.io, &mut self.out) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Inbound::Message(message)) => self.message(message),
                Poll::Ready(Inbound::Broken(why)) => self.abort(why),
                Poll::Ready(Inbound::Gone) => return Err(Over),
                Poll::Ready(Inbound::Closed) => {
                    self.disconnect();
                    self.phase = Phase::Last(self.give_up());
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Message) {
        if self.phase != Phase::Open {
            return;
        }
        match message {
            Message::Text(text) => self.text(&text),
            Message::Binary(_) => self.close(basic::BINARY),
            Message::Ping(_) | Message::Pong(_) => self.strike(),
            // The answer is among the replies of the next call.
            Message::Close(_) | Message::Frame(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        let Some(connection) = &self.connection else {
            return;
        };
        match basic::decode(connection.identity().user, text) {
            Ok((write, reference)) => {
                let number = self.submitted;
                self.submitted += 1;
                match connection.submit(number, write) {
                    Ok(()) => {
                        self.in_flight += 1;
                        self.refs.extend(reference.map(|named| (number, named)));
                    }
                    Err(error) => self.refuse(&error, reference.as_ref()),
                }
            }
            Err((error, reference)) => {
                self.refuse(&error, reference.as_ref());
                self.strike();
            }
        }
    }

    fn refuse(&mut self, error: &Error, reference: Option<&Ref>) {
        self.out.push(basic::error(error, reference));
        if error.kind() == ErrorKind::RateLimited {
            self.strike();
        }
    }

    /// Takes what the connection has, unless too much waits already: then it counts against the connection's own bound.
    /// Says whether there was anything.
    ///
    /// Comes before each reading, so that nothing is taken from a peer whose login ended.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> bool {
        if self.out.bytes() >= BACKLOG {
            return false;
        }
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let mut items = ITEMS.take();
        let ready = connection.poll_drain(cx, &mut items).is_ready();
        for item in items.drain(..) {
            self.item(item);
        }
        ITEMS.set(items);
        ready
    }

    fn item(&mut self, item: Item) {
        if self.phase != Phase::Open {
            return;
        }
        match item {
            Item::Event(delivery) => {
                if let Some(frame) = basic::event(&delivery, self.format) {
                    self.out.push(frame);
                }
            }
            // Not told in this profile.
            Item::Hidden(_) | Item::Signal(_) | Item::Receipt(_) | Item::Presence(_) => {}
            Item::Done { reference, .. } => {
                self.settle(reference);
            }
            Item::Refused { reference, error } => {
                let named = self.settle(reference);
                self.refuse(&error, named.as_ref());
            }
            Item::Resync { .. } => self.close(basic::RESUME),
            Item::Closed(why) => {
                if why == Closed::Slow {
                    // It did not take what waits; what it loads afresh holds that too.
                    self.out.forget();
                }
                self.close(basic::close_code(why));
            }
        }
    }

    /// A write has its outcome: what its client called it.
    fn settle(&mut self, number: u64) -> Option<Ref> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let at = self.refs.iter().position(|(known, _)| *known == number)?;
        let (_, named) = self.refs.swap_remove(at);
        if self.refs.is_empty() {
            self.refs = Vec::new();
        }
        Some(named)
    }

    /// Deadlines. The timer is never late for one, and looks again when it is early: so nothing has to set it but itself.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let next = match self.phase {
                Phase::Open => self.watch(now)?,
                Phase::Closing(until) | Phase::Broken(until) | Phase::Last(until) => {
                    if now >= until {
                        return Err(Over);
                    }
                    until
                }
            };
            let moment = Duration::from_millis(1);
            self.timer.as_mut().reset(next.max(now + moment));
        }
        Ok(())
    }

    /// Looks after an open socket; when to look again.
    fn watch(&mut self, now: Instant) -> Result<Instant, Over> {
        let rules = Arc::clone(&self.rules);
        // One that is not listened to while its writes are under way is not silent.
        let is_heard = self.in_flight < self.in_flight_limit;
        let silent = now.duration_since(self.reader.heard());
        let stuck = now.duration_since(self.moved);
        if (is_heard && silent >= rules.dead_after)
            || (!self.out.is_empty() && stuck >= rules.dead_after)
        {
            return Err(Over);
        }
        if let Some(begun) = self.reader.begun()
            && now.duration_since(begun) >= rules.frame_time
        {
            self.abort(basic::PROTOCOL);
            return Ok(now + rules.close_wait);
        }
        let is_pinged = self.pinged.is_some_and(|at| at >= self.reader.heard());
        if silent >= rules.ping_after && !is_pinged {
            self.pinged = Some(now);
            self.out.push(frame::EMPTY_PING);
        }
        let heard = self.reader.heard();
        let begun = self.reader.begun().map(|begun| begun + rules.frame_time);
        let soon = now + rules.ping_after.min(rules.frame_time);
        let due = [
            Some(heard + rules.ping_after),
            Some(heard + rules.dead_after),
            begun,
        ];
        let due = due.into_iter().flatten().filter(|due| *due > now);
        Ok(due.fold(soon, Instant::min))
    }

    /// Writes what waits. Says whether all of it is out.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let waited = !self.out.is_empty();
        let mut progress = false;
        let result = self.out.poll_write(cx, &mut self.io, &mut progress);
        if progress || !waited {
            self.moved = Instant::now();
        }
        match result {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) => Err(Over),
            Poll::Pending => Ok(false),
        }
    }

    /// One round over all that a socket waits for. Says whether to go round again: when it took something, and so has not
    /// asked to be woken for more, or when it made room.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let took = self.poll_connection(cx);
        self.poll_in(cx)?;
        self.poll_timer(cx)?;
        let blocked = !self.may_read();
        let flushed = self.poll_out(cx)?;
        if flushed && !matches!(self.phase, Phase::Open | Phase::Closing(_)) {
            // The last word is said. Nothing more can be told to a peer that fails now.
            let _ = Pin::new(&mut self.io).poll_shutdown(cx);
            if matches!(self.phase, Phase::Last(_)) {
                return Err(Over);
            }
        }
        Ok(self.out.bytes() < BACKLOG && (took || (blocked && self.may_read())))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Future for Socket<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            match self.poll_round(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(Over) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
