//! While a session is live: hello, heads, resume, answers, events.

use std::collections::HashMap;
use std::time::Duration;

use chat_core::protocol::{
    Code, Cursor, Empty, ErrorBody, Event, Head, Heads, Hello, Nothing, Ref, Renew, Reply, Request,
    Resume, ServerFrame, Watch, What,
};
use chat_core::{ConversationId, LogId, Seq, Timestamp, UserId};

use super::logs::Place;
use super::{Machine, Output, Phase, Ticket};
use crate::error::Error;
use crate::events::Incoming;

/// Reads under way at once: more would make writes and pings wait.
const READS: usize = 3;
/// Logs resumed by one frame.
const CURSORS: usize = 500;
/// Bytes of one cursor in a frame, and of what stands around them.
const CURSOR: usize = 72;
/// No less than this between two heartbeats, and no more, in milliseconds.
const HEARTBEAT: (u64, u64) = (10, 600_000);
/// After a session of so long, the next one may follow at once.
const USEFUL: u64 = 10_000;

/// What an answer is for.
enum Expected {
    Heads,
    Resume,
    Watch,
    Renew,
    Ping,
    Write,
    Call,
}

/// How far one is with catching up.
enum Stage {
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
    hello: Hello,
    own: LogId,
    stage: Stage,
    expected: HashMap<Ticket, Expected>,
    writes: usize,
    reads: usize,
    since: u64,
    sent: u64,
    heard: u64,
    pinged: Option<u64>,
    renew_at: Option<u64>,
    drain: Option<Duration>,
    useful: bool,
    watched: bool,
}

impl Session {
    fn new(hello: Hello, now: u64) -> Self {
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

    fn write_limit(&self) -> usize {
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

    fn ask(
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
    fn expires(&mut self, expires_at: Option<Timestamp>, at: Timestamp, now: u64) {
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

    fn cursors(&self) -> usize {
        let limits = &self.hello.limits;
        let most = usize::try_from(limits.cursors.min(limits.frame)).unwrap_or(usize::MAX);
        let frame = usize::try_from(limits.frame).unwrap_or(usize::MAX);
        most.min(CURSORS).min(frame / CURSOR).max(1)
    }
}

impl Machine {
    pub(super) fn greeted(&mut self, hello: Hello, at: Timestamp, now: u64) {
        let mut session = Box::new(Session::new(hello.clone(), now));
        session.expires(hello.expires_at.map(|time| time.0), at, now);
        if self.user.is_some_and(|user| user != hello.user) {
            return self.stop(Error::Login(
                "the fresh token is of another user".to_owned(),
            ));
        }
        self.user = Some(hello.user);
        let heads = Request::Heads(Heads::default());
        session.ask(
            &heads,
            Expected::Heads,
            now,
            &mut self.tickets,
            &mut self.out,
        );
        self.phase = Phase::Live(session);
        self.emit(Incoming::Connected(Box::new(hello)));
        self.pump(now);
    }

    fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Live(session) => Some(session),
            _ => None,
        }
    }

    pub(super) fn live_frame(
        &mut self,
        ticket: Option<Ticket>,
        frame: ServerFrame,
        at: Timestamp,
        now: u64,
    ) {
        match frame {
            ServerFrame::Event(event) => self.event(event),
            ServerFrame::Live(live) => self.logs.live(live.log),
            ServerFrame::Resync(resync) => {
                let (log, seq) = (resync.log, resync.seq);
                if self.logs.resync(log, seq, self.accepting) {
                    let cursor = (seq != 0).then_some(seq);
                    let told = Incoming::Resync { log, seq };
                    self.out.push(Output::Emit(told, Some((log, cursor))));
                }
            }
            ServerFrame::Reply(reply) => self.answer(ticket, Ok(reply), at, now),
            ServerFrame::Error(error) => self.answer(ticket, Err(error), at, now),
            ServerFrame::Pong(_) => self.answer(ticket, Ok(Reply::Done(Nothing {})), at, now),
            ServerFrame::Signal(signal) => self.emit(Incoming::Signal(signal)),
            ServerFrame::Receipt(receipt) => self.emit(Incoming::Receipt(receipt)),
            ServerFrame::Presence(presence) => self.emit(Incoming::Presence(presence)),
            ServerFrame::Drain(drain) => {
                if let Some(session) = self.session() {
                    session.drain = Some(Duration::from_millis(drain.reconnect_in_ms));
                }
            }
            // Of a later version.
            _ => {}
        }
    }

    fn event(&mut self, event: Event) {
        let (log, seq) = (event.log, event.seq);
        if self.logs.event(log, seq, self.accepting) == Place::Not {
            return;
        }
        let conversation = |id: ConversationId| LogId::Conversation(id);
        match &event.what {
            What::Added(added) => {
                self.begin(
                    conversation(added.conversation),
                    added.at_seq.saturating_sub(1),
                );
            }
            // What was before the removal is told no more unless it is asked for.
            What::Removed(removed) if self.logs.knows(conversation(removed.conversation)) => {
                self.logs
                    .seen(conversation(removed.conversation), removed.at_seq);
            }
            _ => {}
        }
        if let Some(session) = self.session() {
            session.useful = true;
        }
        let event = Incoming::Event(Box::new(event));
        self.out.push(Output::Emit(event, Some((log, Some(seq)))));
    }

    /// A log concerns one from here on, unless it did before.
    fn begin(&mut self, log: LogId, cursor: Seq) {
        if self.logs.begin(log, cursor) {
            self.out.push(Output::Begin(log, cursor));
        }
    }

    fn answer(
        &mut self,
        ticket: Option<Ticket>,
        answer: Result<Reply, ErrorBody>,
        at: Timestamp,
        now: u64,
    ) {
        let Some(ticket) = ticket else {
            if let Err(error) = answer {
                tracing::debug!(detail = error.detail, "a mark or signal was refused");
            }
            return;
        };
        let Some(session) = self.session() else {
            return;
        };
        let Some(expected) = session.expected.remove(&ticket) else {
            return;
        };
        match (expected, answer) {
            (Expected::Heads, Ok(Reply::Heads(page))) => {
                let next = page.next;
                self.heads(page.user, page.heads);
                match (next, self.session()) {
                    (Some(_), Some(_)) => self.next_heads(next, now),
                    _ => self.resume_own(),
                }
            }
            (Expected::Heads | Expected::Resume, Err(error)) => self.broke(&error.detail, now),
            (Expected::Heads, Ok(_)) => self.broke("an answer is of another kind", now),
            (Expected::Renew, Ok(Reply::Renewed(renewed))) => {
                self.untried = false;
                if let Some(session) = self.session() {
                    session.expires(renewed.expires_at.map(|time| time.0), at, now);
                }
            }
            (Expected::Renew, Err(error)) => {
                tracing::debug!(detail = error.detail, "the fresh token was refused");
            }
            (Expected::Ping, Ok(_)) => {
                self.marks.pong();
                if let Some(session) = self.session() {
                    session.pinged = None;
                }
            }
            (Expected::Write, answer) => {
                session.writes -= 1;
                session.useful |= answer.is_ok();
                self.written(ticket, answer, now);
            }
            (Expected::Call, answer) => {
                session.reads -= 1;
                if let Some(call) = self.calls.remove(&ticket) {
                    if let (Request::Presence(watch), Ok(_)) = (call, &answer) {
                        self.watched = watch.users;
                    }
                    self.done(ticket, answer.map_err(Error::Refused));
                }
            }
            (Expected::Resume | Expected::Watch | Expected::Renew | Expected::Ping, _) => {}
        }
    }

    fn done(&mut self, ticket: Ticket, result: Result<Reply, Error>) {
        self.out.push(Output::Done(ticket, result));
    }

    fn written(&mut self, ticket: Ticket, answer: Result<Reply, ErrorBody>, now: u64) {
        let again = |error: &ErrorBody| {
            matches!(
                error.code,
                Code::RateLimited | Code::Busy | Code::Unavailable
            )
        };
        match answer {
            Err(error) if again(&error) => {
                let wait = self.backoff.delay(self.refusals, &mut self.random);
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let wait = error.retry_after_ms.unwrap_or(wait).clamp(1, 60_000);
                self.refusals = self.refusals.saturating_add(1);
                self.held = self.held.max(now + wait);
                self.outbox.again(ticket);
            }
            answer => {
                self.refusals = 0;
                self.outbox.done(ticket);
                self.done(ticket, answer.map_err(Error::Refused));
            }
        }
    }

    fn heads(&mut self, own: Seq, heads: Vec<Head>) {
        let Some(session) = self.session() else {
            return;
        };
        let log = session.own;
        // Of several pages the first tells where one's own log begins, the last how far it reaches.
        self.begin(log, own);
        self.logs.head(log, own);
        let mut unknown = Vec::new();
        for head in heads {
            let log = LogId::Conversation(head.conversation);
            if self.logs.knows(log) {
                self.logs.head(log, head.seq);
            } else {
                unknown.push(head);
            }
        }
        if let Some(Session {
            stage: Stage::Heads { new },
            ..
        }) = self.session()
        {
            new.extend(unknown);
        }
    }

    fn next_heads(&mut self, after: Option<ConversationId>, now: u64) {
        let limit = None;
        let heads = Request::Heads(Heads { after, limit });
        if let Phase::Live(session) = &mut self.phase {
            session.ask(
                &heads,
                Expected::Heads,
                now,
                &mut self.tickets,
                &mut self.out,
            );
        }
    }

    fn resume_own(&mut self) {
        if let Some(session) = self.session()
            && let Stage::Heads { new } = &mut session.stage
        {
            let new = std::mem::take(new);
            session.stage = Stage::Own { new };
        }
    }

    /// Sends all that may be sent.
    pub(super) fn pump(&mut self, now: u64) {
        self.advance();
        let Phase::Live(session) = &mut self.phase else {
            return;
        };
        let (tickets, out) = (&mut self.tickets, &mut self.out);
        if self.accepting {
            let logs = match &session.stage {
                Stage::Heads { .. } => Vec::new(),
                Stage::Own { .. } => self.logs.resume(Some(session.own), 1),
                Stage::Logs | Stage::Current => self.logs.resume(None, session.cursors()),
            };
            if !logs.is_empty() {
                let logs = logs.into_iter();
                let logs = logs.map(|(log, after)| Cursor { log, after }).collect();
                let resume = Request::Resume(Resume { logs });
                session.ask(&resume, Expected::Resume, now, tickets, out);
            }
        }
        if !session.watched && !self.watched.is_empty() {
            let users: Vec<UserId> = self.watched.clone();
            let watch = Request::Presence(Watch { users });
            session.ask(&watch, Expected::Watch, now, tickets, out);
        }
        session.watched = true;
        while self.held <= now {
            let Some((ticket, write)) = self.outbox.next(session.write_limit()) else {
                break;
            };
            match session.offers(&write) {
                Ok(()) => {
                    session.expected.insert(ticket, Expected::Write);
                    session.writes += 1;
                    session.send(&write, Some(ticket), now, out);
                }
                Err(error) => {
                    self.outbox.done(ticket);
                    out.push(Output::Done(ticket, Err(error)));
                }
            }
        }
        while session.reads < READS {
            let Some(ticket) = self.waiting_calls.pop_first() else {
                break;
            };
            let Some(call) = self.calls.get(&ticket) else {
                continue;
            };
            match session.offers(call) {
                Ok(()) => {
                    session.expected.insert(ticket, Expected::Call);
                    session.reads += 1;
                    session.send(call, Some(ticket), now, out);
                }
                Err(error) => {
                    self.calls.remove(&ticket);
                    out.push(Output::Done(ticket, Err(error)));
                }
            }
        }
        for mark in self.marks.take() {
            if session.offers(&mark).is_ok() {
                session.send(&mark, None, now, out);
            }
        }
    }

    /// The next stage of catching up, if this one is done.
    fn advance(&mut self) {
        let Phase::Live(session) = &mut self.phase else {
            return;
        };
        if let Stage::Own { new } = &mut session.stage
            && self.logs.is_current(session.own)
        {
            let new = std::mem::take(new);
            session.stage = Stage::Logs;
            for head in new {
                let log = LogId::Conversation(head.conversation);
                // Without a word of its beginning in what was resumed, it begins here and now.
                self.begin(log, head.seq);
                self.logs.head(log, head.seq);
            }
        }
        let Phase::Live(session) = &mut self.phase else {
            return;
        };
        if matches!(session.stage, Stage::Logs) && self.accepting && self.logs.are_current() {
            session.stage = Stage::Current;
            self.emit(Incoming::CaughtUp);
        }
    }
}
