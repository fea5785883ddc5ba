//! What a client does, without sockets and without a clock: events go in, [`Output`]s come out. Time is milliseconds since
//! some start.

mod live;
mod logs;
mod marks;
mod outbox;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chat_core::protocol::{Close, Ref, Reply, Request, ServerFrame, Then};
use chat_core::{LogId, Seq, Timestamp, UserId};

use crate::error::{Error, Failure};
use crate::events::Incoming;
use crate::options::{Backoff, Room};
use logs::Logs;
pub(crate) use marks::MarkKind;
use marks::Marks;
use outbox::Outbox;
pub(crate) use outbox::{Lane, Ticket};
use session::Session;

/// How long a server may take for its first frame, in milliseconds.
const HELLO: u64 = 20_000;
/// Reads of the host that wait for an answer, at most.
const CALLS: usize = 256;

/// What is to be done outside.
#[derive(Debug)]
pub(crate) enum Output {
    /// Get a token: [`Machine::token`].
    Token,
    /// Open a socket with this token: [`Machine::opened`] or [`Machine::open_failed`].
    Open(String),
    /// Send this frame.
    Send(String),
    /// Close the socket; nothing more of it is told.
    Close,
    /// Pass this on, and then count the log as received this far.
    Emit(Incoming, Option<(LogId, Option<Seq>)>),
    /// Nothing to pass on, but a log counts as received this far: it begins there.
    Begin(LogId, Seq),
    /// Answer the host.
    Done(Ticket, Result<Reply, Error>),
    /// It is over.
    Stopped(Error),
}

/// What a machine begins with.
pub(crate) struct Config {
    pub(crate) backoff: Backoff,
    pub(crate) outbox: Room,
    pub(crate) cursors: Vec<(LogId, Seq)>,
    /// A token to begin with.
    pub(crate) token: Option<String>,
    /// Whether a fresh token can be got.
    pub(crate) renewable: bool,
    pub(crate) seed: u64,
}

enum Phase {
    /// Not connected until then.
    Waiting {
        until: u64,
    },
    /// Waits for a token.
    Token,
    /// Waits for a socket.
    Opening,
    /// Waits for the first frame.
    Greeting {
        until: u64,
    },
    Live(Box<Session>),
    Stopped,
}

pub(crate) struct Machine {
    phase: Phase,
    backoff: Backoff,
    failures: u32,
    random: fastrand::Rng,
    token: Option<String>,
    /// The token was not tried yet.
    untried: bool,
    renewable: bool,
    /// A token is being fetched.
    fetching: bool,
    user: Option<UserId>,
    logs: Logs,
    outbox: Outbox,
    /// No write is sent before, and how often that was so in a row.
    held: u64,
    refusals: u32,
    /// Reads of the host.
    calls: BTreeMap<Ticket, Request>,
    waiting_calls: BTreeSet<Ticket>,
    marks: Marks,
    watched: Vec<UserId>,
    accepting: bool,
    tickets: Ticket,
    out: Vec<Output>,
}

impl Machine {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            phase: Phase::Waiting { until: 0 },
            backoff: config.backoff,
            failures: 0,
            random: fastrand::Rng::with_seed(config.seed),
            untried: config.token.is_some(),
            token: config.token,
            renewable: config.renewable,
            fetching: false,
            user: None,
            logs: Logs::new(config.cursors),
            outbox: Outbox::new(config.outbox.items, config.outbox.bytes),
            held: 0,
            refusals: 0,
            calls: BTreeMap::new(),
            waiting_calls: BTreeSet::new(),
            marks: Marks::default(),
            watched: Vec::new(),
            accepting: true,
            tickets: 0,
            out: Vec::new(),
        }
    }

    /// What is to be done now.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// When [`Machine::tick`] is due.
    pub(crate) fn wake(&self) -> Option<u64> {
        match &self.phase {
            Phase::Waiting { until } | Phase::Greeting { until } => Some(*until),
            Phase::Token | Phase::Opening | Phase::Stopped => None,
            Phase::Live(session) => {
                let held = self.outbox.is_waiting().then_some(self.held);
                let held = held.filter(|_| !session.is_full());
                Some(held.map_or(session.wake(), |held| held.min(session.wake())))
            }
        }
    }

    /// Who one is, once a server said so.
    pub(crate) fn user(&self) -> Option<UserId> {
        self.user
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    // What the host asks for.

    /// Takes a write; its outcome comes as [`Output::Done`].
    pub(crate) fn write(&mut self, request: Request, now: u64) -> Result<Ticket, Error> {
        if self.is_stopped() {
            return Err(Error::Closed);
        }
        let Some(lane) = Lane::of(&request) else {
            let detail = format!("`{}` is no write", request.word());
            return Err(Error::Invalid(detail));
        };
        let ticket = self.ticket();
        if !self.outbox.add(ticket, lane, request) {
            return Err(Error::Full);
        }
        self.pump(now);
        Ok(ticket)
    }

    /// Takes a read; its answer comes as [`Output::Done`].
    pub(crate) fn call(&mut self, request: Request, now: u64) -> Result<Ticket, Error> {
        if self.is_stopped() {
            return Err(Error::Closed);
        }
        let is_read = matches!(
            request,
            Request::Inbox(_)
                | Request::Heads(_)
                | Request::Conversation(_)
                | Request::History(_)
                | Request::Log(_)
                | Request::Members(_)
                | Request::User(_)
                | Request::Users(_)
                | Request::Search(_)
                | Request::Presence(_)
        );
        if !is_read {
            let detail = format!("`{}` is no read", request.word());
            return Err(Error::Invalid(detail));
        }
        if self.calls.len() >= CALLS {
            return Err(Error::Full);
        }
        let ticket = self.ticket();
        self.calls.insert(ticket, request);
        self.waiting_calls.insert(ticket);
        self.pump(now);
        Ok(ticket)
    }

    /// The host does not wait for an answer any more. Writes are sent all the same.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        if self.waiting_calls.remove(&ticket) {
            self.calls.remove(&ticket);
        }
    }

    pub(crate) fn mark(
        &mut self,
        conversation: chat_core::ConversationId,
        kind: MarkKind,
        seq: Seq,
        now: u64,
    ) {
        if !self.is_stopped() {
            self.marks.set(conversation, kind, seq);
            self.pump(now);
        }
    }

    /// Sends something that is not stored, if connected.
    pub(crate) fn signal(&mut self, signal: &Request, now: u64) {
        if let Phase::Live(session) = &mut self.phase
            && session.offers(signal).is_ok()
        {
            session.send(signal, None, now, &mut self.out);
        }
    }

    /// A fresh token, from the host or because it was asked for.
    pub(crate) fn token(&mut self, token: Result<String, Failure>, now: u64) {
        self.fetching = false;
        let waits = matches!(self.phase, Phase::Token);
        match token {
            Ok(token) => self.renew(token, now),
            Err(failure) if waits => self.failed(failure, now),
            Err(failure) => {
                let error = failure.error();
                tracing::debug!(%error, "a fresh token could not be got; the old one still counts");
                if let Phase::Live(session) = &mut self.phase {
                    session.renew_later(now);
                }
            }
        }
    }

    pub(crate) fn renew(&mut self, token: String, now: u64) {
        self.untried = true;
        match &mut self.phase {
            Phase::Live(session) => session.renew(&token, now, &mut self.tickets, &mut self.out),
            Phase::Token => {
                self.phase = Phase::Opening;
                self.untried = false;
                self.out.push(Output::Open(token.clone()));
            }
            _ => {}
        }
        self.token = Some(token);
    }

    /// Whether events can be passed on. While they cannot, they are not received, and asked for again afterwards.
    pub(crate) fn accept(&mut self, accepting: bool, now: u64) {
        self.accepting = accepting;
        self.pump(now);
    }

    /// Ends everything.
    pub(crate) fn stop(&mut self, why: Error) {
        if self.is_stopped() {
            return;
        }
        self.phase = Phase::Stopped;
        self.out.push(Output::Close);
        self.out.push(Output::Stopped(why));
    }

    // What happens outside.

    pub(crate) fn opened(&mut self, now: u64) {
        if matches!(self.phase, Phase::Opening) {
            let until = now + HELLO;
            self.phase = Phase::Greeting { until };
        }
    }

    pub(crate) fn open_failed(&mut self, failure: Failure, now: u64) {
        if matches!(self.phase, Phase::Opening) {
            self.failed(failure, now);
        }
    }

    /// The socket is gone, with the code and reason of the server if there was one.
    pub(crate) fn closed(&mut self, close: Option<(u16, String)>, now: u64) {
        if !matches!(self.phase, Phase::Greeting { .. } | Phase::Live(_)) {
            return;
        }
        let failure = match close {
            None => Failure::Again(Error::Unreachable("the connection broke".to_owned()), None),
            Some((code, reason)) => {
                let error = Error::Ended { code, reason };
                let known = Close::ALL.iter().find(|close| close.code == code);
                match known.map(|close| close.then) {
                    Some(Then::Stop) => Failure::Stop(error),
                    Some(Then::LogIn) => Failure::LogIn(error),
                    Some(Then::Resume) | None => Failure::Again(error, None),
                }
            }
        };
        self.failed(failure, now);
    }

    /// A frame came that is none.
    pub(crate) fn unreadable(&mut self, why: &str, now: u64) {
        if matches!(self.phase, Phase::Greeting { .. } | Phase::Live(_)) {
            self.broke(why, now);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: u64) {
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now => match &self.token {
                Some(token) => {
                    self.untried = false;
                    self.out.push(Output::Open(token.clone()));
                    self.phase = Phase::Opening;
                }
                None => {
                    self.phase = Phase::Token;
                    self.fetch();
                }
            },
            Phase::Greeting { until } if *until <= now => self.broke("no `hello` came", now),
            Phase::Live(session) => {
                if session.is_dead(now) {
                    return self.broke("the server is silent", now);
                }
                if session.wants_token(now) {
                    if self.renewable {
                        session.renew_later(now);
                        self.fetch();
                    } else {
                        session.cannot_renew();
                    }
                }
                self.pump(now);
                if let Phase::Live(session) = &mut self.phase
                    && session.wants_ping(now)
                {
                    self.marks.ping();
                    session.ping(now, &mut self.tickets, &mut self.out);
                }
            }
            _ => {}
        }
    }

    fn fetch(&mut self) {
        if !std::mem::replace(&mut self.fetching, true) {
            self.out.push(Output::Token);
        }
    }

    /// The server does what it should not.
    fn broke(&mut self, what: &str, now: u64) {
        let error = Error::Unreachable(what.to_owned());
        self.failed(Failure::Again(error, None), now);
    }

    /// The try or the session is over: what next?
    fn failed(&mut self, failure: Failure, now: u64) {
        if self.is_stopped() {
            return;
        }
        let mut advised = None;
        if let Phase::Live(session) = &self.phase {
            advised = session.drain();
            if session.was_useful() {
                self.failures = 0;
            }
        }
        let was_live = matches!(self.phase, Phase::Live(_));
        let error = match failure {
            Failure::Stop(error) => return self.stop(error),
            Failure::LogIn(error) => {
                if !self.untried {
                    self.token = None;
                }
                if self.token.is_none() && !self.renewable {
                    return self.stop(Error::Login(error.to_string()));
                }
                error
            }
            Failure::Again(error, after) => {
                advised = advised.or(after);
                error
            }
        };
        let wait = self.backoff.delay(self.failures, &mut self.random);
        let wait = match advised {
            Some(advised) => {
                advised.max(Duration::from_millis(1)) + if was_live { Duration::ZERO } else { wait }
            }
            None => wait,
        };
        self.failures = self.failures.saturating_add(1);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.phase = Phase::Waiting {
            until: now.saturating_add(wait_ms),
        };
        self.out.push(Output::Close);
        self.logs.restart();
        self.outbox.restart();
        self.marks.restart();
        self.held = 0;
        self.waiting_calls = self.calls.keys().copied().collect();
        let gone = Incoming::Disconnected {
            why: error,
            retry_in: wait,
        };
        self.emit(gone);
    }

    fn emit(&mut self, incoming: Incoming) {
        self.out.push(Output::Emit(incoming, None));
    }

    /// A frame came.
    pub(crate) fn frame(
        &mut self,
        reference: Option<Ref>,
        frame: ServerFrame,
        at: Timestamp,
        now: u64,
    ) {
        let ticket = match reference {
            Some(Ref::Integer(ticket)) => u64::try_from(ticket).ok(),
            _ => None,
        };
        match &mut self.phase {
            Phase::Greeting { .. } => match frame {
                ServerFrame::Hello(hello) if hello.version == 1 => self.greeted(hello, at, now),
                ServerFrame::Hello(hello) => {
                    let version = hello.version;
                    let detail = format!("it speaks version {version}");
                    self.stop(Error::Incompatible(detail));
                }
                _ => self.broke("the first frame was no `hello`", now),
            },
            Phase::Live(session) => {
                session.heard(now);
                self.live_frame(ticket, frame, at, now);
                self.pump(now);
            }
            _ => {}
        }
    }
}
