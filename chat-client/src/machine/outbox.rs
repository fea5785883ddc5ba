//! Writes on their way. Each keeps its key until it is answered, so sending it again is harmless; writes to one
//! conversation go one after the other, so that none overtakes another that has to be repeated.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use chat_core::protocol::{Request, To};
use chat_core::{ConversationId, UserId};

/// Names a write or a read of the host.
pub(crate) type Ticket = u64;

/// Writes of one lane are sent in their order, each after the one before was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Conversation(ConversationId),
    User(UserId),
    Key(String),
    /// About oneself.
    Own,
    /// New groups.
    Groups,
}

impl Lane {
    /// The lane of a request; `None` for what is no write.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let conversation = match request {
            Request::Post(post) => {
                return Some(match &post.to {
                    To::Conversation(id) => Self::Conversation(*id),
                    To::User(id) => Self::User(*id),
                    To::Key(key) => Self::Key(key.clone()),
                });
            }
            Request::Create(_) => return Some(Self::Groups),
            Request::Block(_) | Request::Profile(_) => return Some(Self::Own),
            Request::Edit(write) => write.conversation,
            Request::Delete(write) => write.conversation,
            Request::React(write) => write.conversation,
            Request::Pin(write) => write.conversation,
            Request::Configure(write) => write.conversation,
            Request::Add(write) => write.conversation,
            Request::Remove(write) => write.conversation,
            Request::SetRole(write) => write.conversation,
            Request::Leave(write) => write.conversation,
            Request::Hide(write) => write.conversation,
            Request::Mute(write) => write.conversation,
            Request::Archive(write) => write.conversation,
            _ => return None,
        };
        Some(Self::Conversation(conversation))
    }
}

struct Write {
    request: Request,
    lane: Lane,
    bytes: usize,
    sent: bool,
}

/// All writes without an outcome.
pub(super) struct Outbox {
    writes: BTreeMap<Ticket, Write>,
    lanes: HashMap<Lane, VecDeque<Ticket>>,
    /// The first of each lane, unless it was sent.
    ready: BTreeSet<Ticket>,
    bytes: usize,
    in_flight: usize,
    most: usize,
    most_bytes: usize,
}

impl Outbox {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            writes: BTreeMap::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            bytes: 0,
            in_flight: 0,
            most,
            most_bytes,
        }
    }

    /// Takes a write; false when there is no room.
    pub(super) fn add(&mut self, ticket: Ticket, lane: Lane, request: Request) -> bool {
        let bytes = request.encode(None).len();
        if self.writes.len() >= self.most || self.bytes + bytes > self.most_bytes {
            return false;
        }
        self.bytes += bytes;
        let queue = self.lanes.entry(lane.clone()).or_default();
        if queue.is_empty() {
            self.ready.insert(ticket);
        }
        queue.push_back(ticket);
        let sent = false;
        self.writes.insert(
            ticket,
            Write {
                request,
                lane,
                bytes,
                sent,
            },
        );
        true
    }

    /// The next write to send, with fewer than `limit` under way. It counts as sent.
    pub(super) fn next(&mut self, limit: usize) -> Option<(Ticket, Request)> {
        if self.in_flight >= limit {
            return None;
        }
        let ticket = self.ready.pop_first()?;
        let write = self.writes.get_mut(&ticket)?;
        write.sent = true;
        self.in_flight += 1;
        Some((ticket, write.request.clone()))
    }

    /// A write is over.
    pub(super) fn done(&mut self, ticket: Ticket) {
        let Some(write) = self.writes.remove(&ticket) else {
            return;
        };
        self.bytes -= write.bytes;
        self.in_flight -= usize::from(write.sent);
        self.ready.remove(&ticket);
        if let Some(queue) = self.lanes.get_mut(&write.lane) {
            queue.retain(|other| *other != ticket);
            match queue.front() {
                Some(next) if !self.writes.get(next).is_some_and(|next| next.sent) => {
                    self.ready.insert(*next);
                }
                Some(_) => {}
                None => drop(self.lanes.remove(&write.lane)),
            }
        }
    }

    /// A write is to be sent again.
    pub(super) fn again(&mut self, ticket: Ticket) {
        if let Some(write) = self.writes.get_mut(&ticket)
            && std::mem::take(&mut write.sent)
        {
            self.in_flight -= 1;
            self.ready.insert(ticket);
        }
    }

    /// The connection is gone: whatever has no answer is sent again.
    pub(super) fn restart(&mut self) {
        let tickets: Vec<Ticket> = self.writes.keys().copied().collect();
        for ticket in tickets {
            self.again(ticket);
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.ready.is_empty()
    }
}
