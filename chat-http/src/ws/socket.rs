//! One socket: one task, hand-written as a future so that it holds no buffer while nothing happens.
//!
//! What comes in is parsed by tungstenite, which borrows the stream for the time of a call; what it writes by itself (Pong,
//! Close) joins the one queue of frames, so that nothing overtakes or splits a frame that was encoded elsewhere.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chat_core::{Connection, Error, ErrorKind, Format, Item};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketContext};

use super::basic::{self, Close};
use super::out::Out;
use super::{Rules, frame};
use crate::server::Lease;
use crate::wire::Ref;

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
    parser: WebSocketContext,
    track: frame::Track,
    connection: Option<Connection>,
    format: Format,
    rules: Arc<Rules>,
    out: Out,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    /// When the peer was last heard.
    heard: Instant,
    /// When something was last written, or nothing waited.
    moved: Instant,
    /// When the frame that is coming in began.
    begun: Option<Instant>,
    /// A ping was sent since the peer was last heard.
    pinged: bool,
    /// When all strikes are forgotten.
    forgiven: Instant,
    /// Writes handed in so far, …
    submitted: u64,
    /// … those without an outcome yet, …
    in_flight: usize,
    /// … and what the client calls those it named.
    refs: Vec<(u64, Ref)>,
    in_flight_limit: usize,
    /// Counts this socket among the server's connections.
    _lease: Option<Lease>,
}

/// What tungstenite sees for the time of one call.
struct Borrowed<'a, 'b, I> {
    io: &'a mut I,
    cx: &'a mut Context<'b>,
    track: &'a mut frame::Track,
    fragments: u32,
    read: &'a mut bool,
    replies: &'a mut Vec<u8>,
}

impl<I: AsyncRead + Unpin> Read for Borrowed<'_, '_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                *self.read = true;
                self.track.feed(buffer.filled());
                if self.track.fragments() > self.fragments {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                Ok(buffer.filled().len())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<I> Write for Borrowed<'_, '_, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The socket is over.
struct Over;

impl<I: AsyncRead + AsyncWrite + Unpin> Socket<I> {
    /// A socket over a stream, of which `read` has been read already.
    pub(super) fn new(io: I, read: Vec<u8>, start: Start) -> Self {
        let now = Instant::now();
        let mut track = frame::Track::default();
        track.feed(&read);
        let config = Some(start.rules.config);
        let mut socket = Self {
            io,
            parser: if read.is_empty() {
                WebSocketContext::new(Role::Server, config)
            } else {
                WebSocketContext::from_partially_read(read, Role::Server, config)
            },
            track,
            timer: Box::pin(tokio::time::sleep(start.rules.ping_after)),
            connection: start.connection,
            format: start.format,
            rules: start.rules,
            out: Out::default(),
            phase: Phase::Open,
            heard: now,
            moved: now,
            begun: None,
            pinged: false,
            forgiven: now,
            submitted: 0,
            in_flight: 0,
            refs: Vec::new(),
            in_flight_limit: start.in_flight,
            _lease: start.lease,
        };
        if socket.connection.is_none() {
            socket.close(basic::LOGIN);
        }
        socket
    }

    /// Begins to close.
    fn close(&mut self, (code, reason): Close) {
        if self.phase != Phase::Open {
            return;
        }
        self.disconnect();
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        // Into memory: it cannot fail. The parser must know, to take the peer's Close for an answer.
        let mut bytes = io::Cursor::new(Vec::new());
        let _ = self.parser.close(&mut bytes, Some(frame));
        self.out.push(bytes.into_inner().into());
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
        if self.forgiven > now + self.rules.strike_every * self.rules.strikes {
            self.close(basic::FLOOD);
        }
    }

    /// Whether anything more may be taken from the peer now.
    fn may_read(&self) -> bool {
        self.out.bytes() < BACKLOG && self.in_flight < self.in_flight_limit
    }

    /// Reads until nothing is there or nothing more may be taken.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        let mut read = false;
        while self.may_read() {
            match self.phase {
                Phase::Open | Phase::Closing(_) => {}
                Phase::Broken(_) => {
                    self.discard(cx)?;
                    break;
                }
                Phase::Last(_) => break,
            }
            let mut replies = Vec::new();
            let message = self.parser.read(&mut Borrowed {
                io: &mut self.io,
                cx,
                track: &mut self.track,
                fragments: self.rules.fragments,
                read: &mut read,
                replies: &mut replies,
            });
            self.out.push(replies.into());
            match message {
                Ok(message) => self.message(message),
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    break;
                }
                Err(error) => self.failed(&error)?,
            }
        }
        let now = Instant::now();
        if read {
            self.heard = now;
            self.pinged = false;
        }
        if !self.track.is_inside() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(now);
            let late = now + self.rules.frame_time;
            if late < self.timer.deadline() {
                self.timer.as_mut().reset(late);
            }
        }
        if self.phase == Phase::Open && self.track.take_grown() {
            // The parser's buffer never shrinks by itself.
            self.parser = WebSocketContext::new(Role::Server, Some(self.rules.config));
        }
        Ok(())
    }

    /// Reads and forgets, until the peer ends.
    fn discard(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        let mut space = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Err(Over),
            }
        }
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

    /// The parser cannot go on.
    fn failed(&mut self, error: &tungstenite::Error) -> Result<(), Over> {
        use tungstenite::Error as E;
        use tungstenite::error::ProtocolError as P;
        match error {
            // The peer's Close is in, and ours is in the queue.
            E::ConnectionClosed => {
                self.disconnect();
                self.phase = Phase::Last(self.give_up());
                Ok(())
            }
            E::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                self.abort(basic::FLOOD);
                Ok(())
            }
            E::Capacity(_) => {
                self.abort(basic::TOO_LARGE);
                Ok(())
            }
            E::Utf8(_) => {
                self.abort(basic::UTF8);
                Ok(())
            }
            // It went away without a word: there is nobody to tell.
            E::Io(_) | E::Protocol(P::ResetWithoutClosingHandshake) => Err(Over),
            _ => {
                self.abort(basic::PROTOCOL);
                Ok(())
            }
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
            Item::Hidden(_) => {}
            Item::Done { reference, .. } => {
                self.settle(reference);
            }
            Item::Refused { reference, error } => {
                let named = self.settle(reference);
                self.refuse(&error, named.as_ref());
            }
            Item::Resync { .. } => self.close(basic::RESUME),
            Item::Closed(why) => {
                if why == chat_core::Closed::Slow {
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

    /// Deadlines: each poll of the timer that is due decides, and sets the next.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let next = match self.phase {
                Phase::Closing(until) | Phase::Broken(until) | Phase::Last(until) => {
                    if now >= until {
                        return Err(Over);
                    }
                    until
                }
                Phase::Open => match self.watch(now) {
                    Some(next) => next,
                    None => return Err(Over),
                },
            };
            if self.phase == Phase::Open {
                self.timer
                    .as_mut()
                    .reset(next.max(now + Duration::from_millis(1)));
            }
        }
        Ok(())
    }

    /// Looks after an open socket; when to look again, or `None` when it is dead.
    fn watch(&mut self, now: Instant) -> Option<Instant> {
        let dead = self.rules.dead_after;
        // A peer that is not listened to (its writes are under way) is not silent.
        if self.in_flight >= self.in_flight_limit {
            self.heard = now;
        }
        if now >= self.heard + dead || (!self.out.is_empty() && now >= self.moved + dead) {
            return None;
        }
        if let Some(begun) = self.begun
            && now >= begun + self.rules.frame_time
        {
            self.abort(basic::PROTOCOL);
            return Some(now);
        }
        let quiet = self.heard + self.rules.ping_after;
        if now >= quiet && !self.pinged {
            self.pinged = true;
            self.out.push(frame::EMPTY_PING);
        }
        let mut next = if self.pinged {
            self.heard + dead
        } else {
            quiet
        };
        if !self.out.is_empty() {
            next = next.min(self.moved + dead);
        }
        if let Some(begun) = self.begun {
            next = next.min(begun + self.rules.frame_time);
        }
        Some(next)
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
