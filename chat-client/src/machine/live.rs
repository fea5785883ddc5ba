//! While a session is live: hello, heads, resume, answers, events.

use std::time::Duration;

use chat_core::protocol::{
    Code, Cursor, ErrorBody, Event, Head, Heads, Hello, Nothing, Reply, Request, Resume,
    ServerFrame, Watch, What,
};
use chat_core::{ConversationId, LogId, Seq, Timestamp, UserId};

use super::logs::Place;
use super::session::{Expected, Session, Stage};
use super::{Machine, Output, Phase, Ticket};
use crate::error::Error;
use crate::events::Incoming;

/// Reads under way at once: more would make writes and pings wait.
const READS: usize = 3;

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
