//! The latest messages of logs that were read lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Head, LogId, Message, Seq};

/// Logs are spread over so many parts, each with a lock of its own.
const PARTS: usize = 16;
/// About how many bytes a part keeps.
const BYTES: usize = 1 << 20;

/// The ends of logs as they were read last: about 16 MiB in all. A store keeps one and names it in
/// [`Snapshot::pages`](super::Snapshot::pages).
///
/// What is kept can never be stale: it is known by the head of its log, and every change of a message appends to the log. So a
/// snapshot that sees that head sees those messages, whoever wrote them and in whatever process.
#[derive(Debug, Default)]
pub struct Pages([Mutex<Part>; PARTS]);

#[derive(Debug, Default)]
struct Part {
    known: HashMap<LogId, Page>,
    /// In the order of coming; may name what is gone.
    order: VecDeque<LogId>,
    bytes: usize,
}

/// The end of a log.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Where the log stood.
    pub(super) seq: Seq,
    floor: Seq,
    /// Every message from the first one here to the head, oldest first.
    pub(super) messages: Arc<[Message]>,
    /// There is none before them.
    pub(super) is_whole: bool,
}

impl Page {
    pub(super) fn new(head: &Head, messages: Arc<[Message]>, is_whole: bool) -> Self {
        Self {
            seq: head.seq,
            floor: head.floor,
            messages,
            is_whole,
        }
    }

    fn bytes(&self) -> usize {
        let size = |message: &Message| {
            let content = message.content.as_ref();
            let data = content.and_then(|content| content.data.as_ref());
            let text = content.map_or(0, |content| content.text.len());
            size_of::<Message>() + text + data.map_or(0, |data| data.json().len())
        };
        size_of::<Self>() + self.messages.iter().map(size).sum::<usize>()
    }
}

impl Pages {
    fn part(&self, log: LogId) -> MutexGuard<'_, Part> {
        let number = match log {
            LogId::Conversation(id) => id.get(),
            LogId::User(id) => id.get(),
        };
        let part = &self.0[(number % PARTS as u64) as usize];
        // Each change is one step: a panic leaves nothing half done.
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a log whose head is this or a later one.
    pub(super) fn get(&self, log: LogId, head: &Head) -> Option<Page> {
        let part = self.part(log);
        let page = part.known.get(&log)?;
        (page.floor == head.floor && page.seq <= head.seq).then(|| page.clone())
    }

    pub(super) fn put(&self, log: LogId, page: Page) {
        let bytes = page.bytes();
        let mut part = self.part(log);
        part.bytes += bytes;
        match part.known.insert(log, page) {
            Some(old) => part.bytes -= old.bytes(),
            None => part.order.push_back(log),
        }
        while part.bytes > BYTES {
            let Some(oldest) = part.order.pop_front() else {
                break;
            };
            if let Some(old) = part.known.remove(&oldest) {
                part.bytes -= old.bytes();
            }
        }
    }
}
