//! One socket: one task, hand-written as a future so that it holds no buffer while nothing happens.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chat_core::protocol::{Close, Outgoing, Session};
use chat_core::{Loan, Outlet};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tungstenite::Message;

use super::basic::Basic;
use super::out::Out;
use super::reader::{Inbound, Reader};
use super::{Rules, frame};
use crate::server::Lease;

/// Nothing more is read while so much waits to be written: a peer that sends without reading costs no more than this.
const BACKLOG: usize = 64 << 10;
/// Rounds of a poll before other tasks get their turn.
const ROUNDS: usize = 16;

thread_local! {
    /// What a client is sent is passed on within one poll: one vector for all sockets of a thread.
    static FRAMES: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// Who is at the other end, by what they speak. Boxed, as each socket's task has room for the largest.
pub(super) enum Client {
    /// Somebody whose login does not count, or who was told that it is over.
    Nobody,
    /// The basic profile.
    Basic(Box<Basic>),
    /// The native protocol.
    Native(Box<Session>),
}

impl Client {
    /// Whether a frame may be handed in now.
    fn may_receive(&self) -> bool {
        match self {
            Self::Nobody => true,
            Self::Basic(basic) => basic.may_receive(),
            Self::Native(session) => session.may_receive(),
        }
    }
}

/// What a socket begins with.
pub(super) struct Start {
    /// Nobody: the login does not count, and all that follows is to say so.
    pub(super) client: Client,
    pub(super) rules: Arc<Rules>,
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
    client: Client,
    /// The stream is lent to the fan-out while this sleeps and nothing waits.
    lending: Option<(Loan, Arc<dyn Outlet>)>,
    rules: Arc<Rules>,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    /// When something was last written, or nothing waited.
    moved: Instant,
    /// When a ping was last sent.
    pinged: Option<Instant>,
    /// When all strikes are forgotten.
    forgiven: Instant,
    /// Counts this socket among the server's connections.
    _lease: Option<Lease>,
}

/// The socket is over.
struct Over;

impl<I: AsyncRead + AsyncWrite + Unpin> Socket<I> {
    /// A socket over a stream, of which `read` has been read already.
    pub(super) fn new(
        io: I,
        read: Vec<u8>,
        start: Start,
        lending: Option<(Loan, Arc<dyn Outlet>)>,
    ) -> Self {
        let now = Instant::now();
        let rules = start.rules;
        let mut socket = Self {
            io,
            reader: Reader::new(read, rules.config, rules.fragments),
            out: Out::default(),
            client: start.client,
            lending,
            phase: Phase::Open,
            timer: Box::pin(tokio::time::sleep(rules.ping_after.min(rules.frame_time))),
            moved: now,
            pinged: None,
            forgiven: now,
            rules,
            _lease: start.lease,
        };
        if matches!(socket.client, Client::Nobody) {
            socket.close(Close::LOGIN);
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
    fn abort(&mut self, why: Close) {
        if self.phase == Phase::Open {
            self.out.push(frame::close(why.code, why.reason));
        }
        self.disconnect();
        self.phase = Phase::Broken(self.give_up());
    }

    /// Leaves the chat. What was handed in is still committed.
    fn disconnect(&mut self) {
        self.lending = None;
        self.client = Client::Nobody;
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
            self.close(Close::FLOOD);
        }
    }

    /// Whether anything more may be taken from the peer now.
    fn may_read(&self) -> bool {
        self.out.bytes() < BACKLOG && self.client.may_receive()
    }

    /// Nobody but this sends any more. What was sent in part goes on first.
    fn take_back(&mut self) {
        if let Some((loan, _)) = &self.lending
            && let Some(rest) = loan.take_back()
        {
            self.moved = Instant::now();
            self.out.go_on(rest);
        }
    }

    /// While this sleeps, the fan-out may send: when all that was to send is out.
    fn lend(&self) {
        if let Some((loan, outlet)) = &self.lending
            && self.out.is_empty()
        {
            loan.lend(outlet);
        }
    }

    /// Reads until nothing is there or nothing more may be taken. Says whether there was anything.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut took = false;
        while self.may_read() {
            if let Phase::Broken(_) = self.phase {
                return match Reader::poll_discard(cx, &mut self.io) {
                    Poll::Pending => Ok(took),
                    Poll::Ready(()) => Err(Over),
                };
            }
            if let Phase::Last(_) = self.phase {
                return Ok(took);
            }
            let next = self.reader.poll_next(cx, &mut self.io, &mut self.out);
            took |= next.is_ready();
            match next {
                Poll::Pending => return Ok(took),
                Poll::Ready(Inbound::Message(message)) => self.message(message),
                Poll::Ready(Inbound::Broken(why)) => self.abort(why),
                Poll::Ready(Inbound::Gone) => return Err(Over),
                Poll::Ready(Inbound::Closed) => {
                    self.disconnect();
                    self.phase = Phase::Last(self.give_up());
                }
            }
        }
        Ok(took)
    }

    fn message(&mut self, message: Message) {
        if self.phase != Phase::Open {
            return;
        }
        match message {
            Message::Text(text) => self.text(&text),
            Message::Binary(_) => self.close(Close::BINARY),
            Message::Ping(_) | Message::Pong(_) => self.strike(),
            // The answer is among the replies of the next call.
            Message::Close(_) | Message::Frame(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        self.exchange(|client, out| match client {
            Client::Nobody => {}
            Client::Basic(basic) => basic.receive(text, out),
            Client::Native(session) => session.receive(text, Instant::now(), out),
        });
    }

    /// Takes what the client is to be told, unless too much waits already: then it counts against the connection's own
    /// bound. Says whether there was anything.
    ///
    /// Comes before each reading, so that nothing is taken from a peer whose login ended.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> bool {
        if self.out.bytes() >= BACKLOG {
            return false;
        }
        self.exchange(|client, out| match client {
            Client::Nobody => false,
            Client::Basic(basic) => basic.poll(cx, out).is_ready(),
            Client::Native(session) => session.poll(cx, out).is_ready(),
        })
    }

    /// Lets the client's side do something, and does what it says.
    fn exchange<T>(&mut self, does: impl FnOnce(&mut Client, &mut Outgoing) -> T) -> T {
        let mut out = Outgoing {
            frames: FRAMES.take(),
            ..Outgoing::default()
        };
        let result = does(&mut self.client, &mut out);
        if out.forget {
            self.out.forget();
        }
        out.frames.drain(..).for_each(|frame| self.out.push(frame));
        FRAMES.set(out.frames);
        (0..out.strikes).for_each(|_| self.strike());
        if let Some(why) = out.close {
            self.close(why);
        }
        result
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
        self.exchange(|client, out| {
            if let Client::Native(session) = client {
                session.tick(now, out);
            }
        });
        // One that is not listened to while its writes are under way is not silent.
        let is_heard = self.client.may_receive();
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
            self.abort(Close::PROTOCOL);
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
        let session = match &self.client {
            Client::Native(session) => Some(session.deadline()),
            Client::Nobody | Client::Basic(_) => None,
        };
        let due = [
            Some(heard + rules.ping_after),
            Some(heard + rules.dead_after),
            begun,
            session,
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
        let mut took = self.poll_client(cx);
        if self.poll_in(cx)? {
            // What came in may have begun something that nobody is woken for unless it was polled.
            took |= self.poll_client(cx);
        }
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
        self.take_back();
        for _ in 0..ROUNDS {
            match self.poll_round(cx) {
                Ok(true) => {}
                Ok(false) => {
                    self.lend();
                    return Poll::Pending;
                }
                Err(Over) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
