//! One session with the server: what it said of itself, what is asked and not answered, when something is due.

use std::collections::HashMap;
use std::time::Duration;

use chat_core::protocol::{Empty, Head, Hello, Ref, Renew, Request};
use chat_core::{LogId, Timestamp};

use super::{Output, Ticket};
use crate::error::Error;

/// Logs resumed by one frame.
const CURSORS: usize = 500;
/// Bytes of one cursor in a frame, and of what stands around them.
const CURSOR: usize = 72;
/// No less than this between two heartbeats, and no more, in milliseconds.
const HEARTBEAT: (u64, u64) = (10, 600_000);
/// After a session of so long, the next one may follow at once.
const USEFUL: u64 = 10_000;

/// What an answer is for.
pub(super) enum Expected {
    Heads,
    Resume,
    Watch,
    Renew,
    Ping,
    Write,
    Call,
}

/// How far one is with catching up.
pub(super) enum Stage {
    /// Asking where the logs stand. So far: conversations that are new here.
    Heads { new: Vec<Head> },
    /// Resuming one's own log, which tells where new conversations begin.
    Own { new: Vec<Head> },
    /// Resuming the others.
    Logs,
    /// All is received.
    Current,
}

pub(super) struct Session {
    pub(super) hello: Hello,
    pub(super) own: LogId,
    pub(super) stage: Stage,
    pub(super) expected: HashMap<Ticket, Expected>,
    pub(super) writes: usize,
    pub(super) reads: usize,
    since: u64,
    sent: u64,
    heard: u64,
    pub(super) pinged: Option<u64>,
    renew_at: Option<u64>,
    pub(super) drain: Option<Duration>,
    pub(super) useful: bool,
    pub(super) watched: bool,
}

impl Session {
    pub(super) fn new(hello: Hello, now: u64) -> Self {
        let own = LogId::User(hello.user);
        let new = Vec::new();
        Self {
            hello,
            own,
            stage: Stage::Heads { new },
            expected: HashMap::new(),
            writes: 0,
            reads: 0,
            since: now,
            sent: now,
            heard: now,
            pinged: None,
            renew_at: None,
            drain: None,
            useful: false,
            watched: false,
        }
    }

    fn heartbeat(&self) -> u64 {
        self.hello.heartbeat_ms.clamp(HEARTBEAT.0, HEARTBEAT.1)
    }

    /// When something is due.
    pub(super) fn wake(&self) -> u64 {
        let beat = self.heartbeat();
        let ping = self.pinged.unwrap_or(self.sent.min(self.heard)) + beat;
        self.renew_at.map_or(ping, |at| at.min(ping))
    }

    pub(super) fn wants_ping(&self, now: u64) -> bool {
        self.pinged.is_none() && self.sent.min(self.heard) + self.heartbeat() <= now
    }

    pub(super) fn is_dead(&self, now: u64) -> bool {
        self.pinged.is_some_and(|at| at + self.heartbeat() <= now)
    }

    pub(super) fn wants_token(&self, now: u64) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }

    pub(super) fn heard(&mut self, now: u64) {
        self.heard = now;
        // Whatever comes shows that the other side is there.
        if self.pinged.is_some() {
            self.pinged = Some(now);
        }
        self.useful |= now.saturating_sub(self.since) >= USEFUL;
    }

    pub(super) fn drain(&self) -> Option<Duration> {
        self.drain
    }

    pub(super) fn was_useful(&self) -> bool {
        self.useful
    }

    pub(super) fn is_full(&self) -> bool {
        self.writes >= self.write_limit()
    }

    pub(super) fn write_limit(&self) -> usize {
        usize::try_from(self.hello.limits.in_flight)
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Whether the server takes this.
    pub(super) fn offers(&self, request: &Request) -> Result<(), Error> {
        let word = request.word();
        if !self.hello.features.iter().any(|offered| offered == word) {
            return Err(Error::NotOffered(word));
        }
        // Room for any reference.
        let bytes = request.encode(None).len() + 32;
        let limit = self.hello.limits.frame;
        if u64::try_from(bytes).unwrap_or(u64::MAX) > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok(())
    }

    pub(super) fn send(
        &mut self,
        request: &Request,
        ticket: Option<Ticket>,
        now: u64,
        out: &mut Vec<Output>,
    ) {
        let reference = ticket.and_then(|ticket| i64::try_from(ticket).ok());
        self.sent = now;
        out.push(Output::Send(
            request.encode(reference.map(Ref::Integer).as_ref()),
        ));
    }

    pub(super) fn ask(
        &mut self,
        request: &Request,
        expected: Expected,
        now: u64,
        tickets: &mut Ticket,
        out: &mut Vec<Output>,
    ) {
        *tickets += 1;
        self.expected.insert(*tickets, expected);
        self.send(request, Some(*tickets), now, out);
    }

    pub(super) fn ping(&mut self, now: u64, tickets: &mut Ticket, out: &mut Vec<Output>) {
        self.pinged = Some(now);
        let ping = Request::Ping(Empty {});
        self.ask(&ping, Expected::Ping, now, tickets, out);
    }

    pub(super) fn renew(
        &mut self,
        token: &str,
        now: u64,
        tickets: &mut Ticket,
        out: &mut Vec<Output>,
    ) {
        let token = token.to_owned();
        let renew = Request::Renew(Renew { token });
        self.ask(&renew, Expected::Renew, now, tickets, out);
    }

    /// A fresh token is fetched when four fifths of the old one's time are over.
    pub(super) fn expires(&mut self, expires_at: Option<Timestamp>, at: Timestamp, now: u64) {
        self.renew_at = expires_at.map(|end| {
            let left = u64::try_from(end.millis().saturating_sub(at.millis())).unwrap_or_default();
            now + (left / 5 * 4).max(1_000)
        });
    }

    /// No token came: the next try, unless the session ends before.
    pub(super) fn renew_later(&mut self, now: u64) {
        self.renew_at = Some(now + 30_000);
    }

    pub(super) fn cannot_renew(&mut self) {
        self.renew_at = None;
    }

    pub(super) fn cursors(&self) -> usize {
        let limits = &self.hello.limits;
        let most = usize::try_from(limits.cursors.min(limits.frame)).unwrap_or(usize::MAX);
        let frame = usize::try_from(limits.frame).unwrap_or(usize::MAX);
        most.min(CURSORS).min(frame / CURSOR).max(1)
    }
}
