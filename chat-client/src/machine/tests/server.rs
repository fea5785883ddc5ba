//! A server as small as can be: logs are lists, a session is two queues of frames.

use std::collections::{BTreeMap, VecDeque};

use chat_core::protocol::{
    Added, Code, ErrorBody, Event, Head, HeadsPage, Hello, Joined, Left, Limits, Live, Message,
    Nothing, Posted, Ref, Removed, Reply, Request, Resync, ServerFrame, Time, To, What, WriteKey,
    Written,
};
use chat_core::{ConversationId, LogId, Role, Seq, Timestamp, UserId};

const ME: u64 = 7;
/// Entries of a page: few, so that there are many.
const PAGE: usize = 2;
/// Logs resumed at once.
const CURSORS: usize = 3;

type Frame = (Option<Ref>, ServerFrame);

struct Log {
    /// From seq 1 on. With the key, if a client wrote it.
    entries: Vec<(What, Option<WriteKey>)>,
    /// Entries up to here are forgotten.
    floor: Seq,
    /// A conversation: this user is told what is in these ranges.
    ranges: Vec<(Seq, Option<Seq>)>,
}

impl Log {
    fn head(&self) -> Seq {
        self.entries.len() as Seq
    }

    /// The last seq that this user may know of.
    fn end(&self) -> Seq {
        match self.ranges.last() {
            Some((_, None)) => self.head(),
            Some((_, Some(last))) => *last,
            None => 0,
        }
    }

    fn is_live(&self) -> bool {
        matches!(self.ranges.last(), Some((_, None)))
    }

    fn event(&self, log: LogId, seq: Seq) -> Event {
        let seen = |(from, to): &(Seq, Option<Seq>)| *from <= seq && to.is_none_or(|to| seq <= to);
        if self.ranges.iter().any(seen) {
            let what = self.entries[seq as usize - 1].0.clone();
            let by = None;
            Event { log, seq, by, what }
        } else {
            Event::hidden(log, seq)
        }
    }
}

#[derive(Default)]
struct Session {
    to_client: VecDeque<Frame>,
    to_server: VecDeque<String>,
    catching: VecDeque<(LogId, Seq)>,
}

pub(super) struct Server {
    logs: BTreeMap<LogId, Log>,
    session: Option<Session>,
    refuse: Option<bool>,
}

fn me() -> UserId {
    UserId::new(ME).unwrap()
}

fn posted(conversation: LogId, seq: Seq) -> What {
    let LogId::Conversation(conversation) = conversation else {
        panic!("no conversation")
    };
    let message = Message {
        id: seq,
        conversation,
        number: seq,
        sender: None,
        at: Time(Timestamp::from_millis(0)),
        text: None,
        data: None,
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        revision: 0,
        edited_at: None,
        deleted: false,
    };
    What::Posted(Posted { message })
}

impl Server {
    pub(super) fn new() -> Self {
        let mine = Log {
            entries: Vec::new(),
            floor: 0,
            ranges: vec![(1, None)],
        };
        let mut server = Self {
            logs: BTreeMap::from([(LogId::User(me()), mine)]),
            session: None,
            refuse: None,
        };
        for _ in 0..4 {
            server.create();
        }
        server
    }

    fn pick(&self, place: u64) -> Option<LogId> {
        let logs: Vec<LogId> = self.logs.keys().copied().collect();
        let logs = &logs[..logs.len() - 1];
        logs.get(place as usize % logs.len().max(1)).copied()
    }

    /// Adds to a log, and tells it who is live on it.
    fn append(&mut self, id: LogId, what: What, key: Option<WriteKey>) -> Seq {
        let log = self.logs.get_mut(&id).unwrap();
        log.entries.push((what, key));
        let seq = log.head();
        let event = log.event(id, seq);
        if let Some(session) = &mut self.session
            && log.is_live()
            && !session.catching.iter().any(|(other, _)| *other == id)
        {
            session
                .to_client
                .push_back((None, ServerFrame::Event(event)));
        }
        seq
    }

    pub(super) fn create(&mut self) {
        let id = ConversationId::new(self.logs.len() as u64).unwrap();
        let log = LogId::Conversation(id);
        let (entries, floor, ranges) = (Vec::new(), 0, Vec::new());
        let new = Log {
            entries,
            floor,
            ranges,
        };
        self.logs.insert(log, new);
        // Some messages were there before this user joined, who may not see them.
        for seq in 1..=self.logs.len() as u64 % 3 {
            self.append(log, posted(log, seq), None);
        }
        self.join(log);
    }

    fn join(&mut self, log: LogId) {
        let LogId::Conversation(conversation) = log else {
            return;
        };
        let at_seq = self.logs[&log].head() + 1;
        self.logs.get_mut(&log).unwrap().ranges.push((at_seq, None));
        let joined = Joined {
            user: me(),
            role: Role::Member,
            from: at_seq,
        };
        let added = Added {
            conversation,
            at_seq,
        };
        // Two logs: their order is not the order on the wire.
        let own = LogId::User(me());
        if at_seq.is_multiple_of(2) {
            self.append(log, What::Joined(joined), None);
            self.append(own, What::Added(added), None);
        } else {
            self.append(own, What::Added(added), None);
            self.append(log, What::Joined(joined), None);
        }
    }

    /// Removes the user, or lets them come back.
    pub(super) fn remove(&mut self, place: u64) {
        let Some(log) = self.pick(place) else { return };
        let LogId::Conversation(conversation) = log else {
            return;
        };
        if !self.logs[&log].is_live() {
            return self.join(log);
        }
        let at_seq = self.append(log, What::Left(Left { user: me() }), None);
        if let Some(range) = self.logs.get_mut(&log).unwrap().ranges.last_mut() {
            range.1 = Some(at_seq);
        }
        let removed = Removed {
            conversation,
            at_seq,
        };
        self.append(LogId::User(me()), What::Removed(removed), None);
    }

    pub(super) fn post_elsewhere(&mut self, place: u64) {
        if let Some(log) = self.pick(place) {
            let seq = self.logs[&log].head() + 1;
            self.append(log, posted(log, seq), None);
        }
    }

    pub(super) fn trim(&mut self, place: u64) {
        if let Some(log) = self.pick(place) {
            let log = self.logs.get_mut(&log).unwrap();
            log.floor = log.head().saturating_sub(2);
        }
    }

    pub(super) fn refuse(&mut self, done: bool) {
        self.refuse = Some(done);
    }

    /// A conversation that this user may write to.
    pub(super) fn conversation(&self, place: u64) -> Option<ConversationId> {
        match self.pick(place) {
            Some(LogId::Conversation(id)) => Some(id),
            _ => None,
        }
    }

    // The session.

    pub(super) fn open(&mut self) {
        let limits = Limits {
            frame: 65_536,
            text: 8_192,
            data: 8_192,
            name: 256,
            added: 100,
            mentions: 50,
            page: 100,
            cursors: CURSORS as u64,
            in_flight: 4,
        };
        let hello = Hello {
            version: 1,
            server: "a list".to_owned(),
            user: me(),
            features: Request::TYPES
                .iter()
                .map(|word| (*word).to_owned())
                .collect(),
            limits,
            heartbeat_ms: 30_000,
            expires_at: None,
        };
        let mut session = Session::default();
        session
            .to_client
            .push_back((None, ServerFrame::Hello(hello)));
        self.session = Some(session);
    }

    pub(super) fn cut(&mut self) {
        self.session = None;
    }

    pub(super) fn sent(&mut self, text: &str) {
        if let Some(session) = &mut self.session {
            session.to_server.push_back(text.to_owned());
        }
    }

    pub(super) fn next(&mut self) -> Option<Frame> {
        let (reference, frame) = self.session.as_mut()?.to_client.pop_front()?;
        // As it would come over a wire.
        let text = frame.encode(reference.as_ref());
        Some(ServerFrame::decode(std::str::from_utf8(&text).unwrap()).unwrap())
    }

    fn tell(&mut self, reference: Option<Ref>, frame: ServerFrame) {
        if let Some(session) = &mut self.session {
            session.to_client.push_back((reference, frame));
        }
    }

    /// Reads one frame of the client.
    pub(super) fn serve(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(text) = session.to_server.pop_front() else {
            return;
        };
        let (reference, request) = Request::decode(&text).unwrap();
        match request {
            Request::Heads(heads) => {
                let after = heads.after.map_or(0, ConversationId::get);
                let all = self.logs.iter().filter_map(|(id, log)| match id {
                    LogId::Conversation(id) if log.is_live() && id.get() > after => Some(Head {
                        conversation: *id,
                        seq: log.head(),
                    }),
                    _ => None,
                });
                let mut heads: Vec<Head> = all.take(PAGE + 1).collect();
                let more = heads.len() > PAGE;
                heads.truncate(PAGE);
                let next = heads.last().filter(|_| more).map(|head| head.conversation);
                let user = self.logs[&LogId::User(me())].head();
                let page = HeadsPage { user, heads, next };
                self.tell(reference, ServerFrame::Reply(Reply::Heads(page)));
            }
            Request::Resume(resume) => {
                for cursor in resume.logs {
                    assert!(
                        !session.catching.iter().any(|(log, _)| *log == cursor.log),
                        "resumed twice"
                    );
                    session.catching.push_back((cursor.log, cursor.after));
                    // Live events that are queued are taken back.
                    session.to_client.retain(|(_, frame)| {
                        !matches!(frame, ServerFrame::Event(event) if event.log == cursor.log)
                    });
                }
                assert!(session.catching.len() <= CURSORS, "too many cursors");
                self.tell(reference, ServerFrame::Reply(Reply::Done(Nothing {})));
            }
            Request::Post(post) => {
                let To::Conversation(id) = post.to else {
                    panic!("not here")
                };
                let log = LogId::Conversation(id);
                let refuse = self.refuse.take();
                if refuse != Some(false) {
                    self.store(log, post.key);
                }
                let frame = match refuse {
                    Some(done) => ServerFrame::Error(ErrorBody {
                        code: if done { Code::Unavailable } else { Code::Busy },
                        detail: "Not now.".to_owned(),
                        field: None,
                        retry_after_ms: None,
                    }),
                    None => ServerFrame::Reply(Reply::Written(Written {
                        conversation: Some(id),
                        seq: 1,
                        count: 1,
                        at: Time(Timestamp::from_millis(0)),
                        replayed: false,
                    })),
                };
                self.tell(reference, frame);
            }
            Request::Read(_) => {}
            Request::Ping(_) => self.tell(reference, ServerFrame::Pong(Nothing {})),
            other => panic!("{other:?} is not spoken here"),
        }
    }

    /// Stores a write, unless it was stored before.
    fn store(&mut self, log: LogId, key: WriteKey) {
        let known = self.logs[&log].entries.iter();
        if !known.clone().any(|(_, other)| *other == Some(key)) {
            let seq = self.logs[&log].head() + 1;
            self.append(log, posted(log, seq), Some(key));
        }
    }

    /// Reads one page of what is being resumed.
    pub(super) fn page(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some((id, after)) = session.catching.front_mut() else {
            return;
        };
        let log = &self.logs[id];
        let mut frames = Vec::new();
        let floor = log.floor.min(log.end());
        if *after < floor {
            *after = floor;
            let (log, seq) = (*id, floor);
            frames.push(ServerFrame::Resync(Resync { log, seq }));
        }
        let end = log.end();
        for _ in 0..PAGE {
            if *after < end {
                *after += 1;
                frames.push(ServerFrame::Event(log.event(*id, *after)));
            }
        }
        if *after >= end {
            frames.push(ServerFrame::Live(Live { log: *id }));
            session.catching.pop_front();
        }
        for frame in frames {
            self.tell(None, frame);
        }
    }

    // What is there.

    pub(super) fn is_open(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.session.as_ref().is_none_or(|session| {
            session.to_client.is_empty()
                && session.to_server.is_empty()
                && session.catching.is_empty()
        })
    }

    /// How far this user may know each log, and whether they are a member now.
    pub(super) fn heads(&self) -> Vec<(LogId, Seq, bool)> {
        let logs = self.logs.iter();
        let heads = logs.map(|(id, log)| (*id, log.end(), log.is_live()));
        heads.collect()
    }

    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        let ids = self.logs.keys().filter_map(|id| match id {
            LogId::Conversation(id) => Some(*id),
            LogId::User(_) => None,
        });
        ids.collect()
    }

    /// The keys in a conversation, in their order.
    pub(super) fn keys(&self, conversation: ConversationId) -> Vec<WriteKey> {
        let log = &self.logs[&LogId::Conversation(conversation)];
        log.entries.iter().filter_map(|(_, key)| *key).collect()
    }
}
