//! How far each log was received. A cursor moves by one, or where the server says `resync`: so nothing is missed or doubled.

use std::collections::{BTreeSet, HashMap};

use chat_core::{LogId, Seq};

/// Logs that are remembered at most. Far above what a user may have; a server that names more is not believed.
const LOGS: usize = 1_000_000;

/// One log.
#[derive(Clone, Copy, Debug, Default)]
struct Log {
    /// Received up to here. Unknown until the server says where the log begins for one.
    cursor: Option<Seq>,
    /// Known to reach this far. Above the cursor: something is missing.
    seen: Seq,
    /// Being resumed from here.
    resuming: Option<Seq>,
    /// Something of what was resumed could not be taken.
    dropped: bool,
    /// The cursor when the session began.
    start: Seq,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The next one: take it.
    Next,
    /// Not now: it is old, or comes again by resuming.
    Not,
}

/// All logs of a user.
#[derive(Debug, Default)]
pub(super) struct Logs {
    logs: HashMap<LogId, Log>,
    /// Those of which something is missing, and which are not being resumed.
    behind: BTreeSet<LogId>,
    resuming: usize,
}

impl Logs {
    pub(super) fn new(cursors: impl IntoIterator<Item = (LogId, Seq)>) -> Self {
        let mut logs = Self::default();
        for (log, cursor) in cursors {
            logs.begin(log, cursor);
        }
        logs
    }

    /// Changes a log, and whether it is behind.
    fn change<T>(&mut self, id: LogId, change: impl FnOnce(&mut Log) -> T) -> Option<T> {
        if self.logs.len() >= LOGS && !self.logs.contains_key(&id) {
            return None;
        }
        let log = self.logs.entry(id).or_default();
        let resumed = log.resuming.is_some();
        let result = change(log);
        let resuming = log.resuming.is_some();
        self.resuming = self.resuming + usize::from(resuming) - usize::from(resumed);
        let misses = log.cursor.is_some_and(|cursor| log.seen > cursor);
        if misses && !resuming {
            self.behind.insert(id);
        } else {
            self.behind.remove(&id);
        }
        Some(result)
    }

    /// A new session: what was being resumed is not any more.
    pub(super) fn restart(&mut self) {
        let ids: Vec<LogId> = self.logs.keys().copied().collect();
        for id in ids {
            self.change(id, |log| {
                log.resuming = None;
                log.start = log.cursor.unwrap_or_default();
            });
        }
    }

    /// From where on a log concerns one, unless that is known. True when it was not.
    pub(super) fn begin(&mut self, id: LogId, cursor: Seq) -> bool {
        let begun = self.change(id, |log| {
            let begins = log.cursor.is_none();
            if begins {
                log.cursor = Some(cursor);
            }
            begins
        });
        begun.unwrap_or_default()
    }

    /// A log is known to reach this far.
    pub(super) fn seen(&mut self, id: LogId, seq: Seq) {
        self.change(id, |log| log.seen = log.seen.max(seq));
    }

    /// Where the store says that a log stands. Below what was received before: the log was replaced, so it is resumed to be
    /// told so.
    pub(super) fn head(&mut self, id: LogId, head: Seq) {
        self.change(id, |log| {
            log.seen = log.seen.max(head);
            if head < log.start {
                log.seen = log.cursor.unwrap_or_default() + 1;
            }
        });
    }

    /// An event came; `accepting`: it could be passed on.
    pub(super) fn event(&mut self, id: LogId, seq: Seq, accepting: bool) -> Place {
        let place = self.change(id, |log| {
            log.seen = log.seen.max(seq);
            log.dropped |= !accepting;
            if accepting && log.cursor.is_some_and(|cursor| cursor + 1 == seq) {
                log.cursor = Some(seq);
                Place::Next
            } else {
                Place::Not
            }
        });
        place.unwrap_or(Place::Not)
    }

    /// A log is to be loaded afresh, and goes on after `seq`; true when that could be passed on. With seq 0 it is gone.
    pub(super) fn resync(&mut self, id: LogId, seq: Seq, accepting: bool) -> bool {
        if !accepting {
            self.change(id, |log| log.dropped = true);
            if seq == 0 {
                self.change(id, |log| log.resuming = None);
            }
            return false;
        }
        if seq == 0 {
            self.change(id, |log| *log = Log::default());
            self.logs.remove(&id);
        } else {
            self.change(id, |log| {
                // Back: the log was replaced, and what was seen belongs to the one before. Asked for again, unless what
                // follows comes.
                if log.cursor.is_some_and(|cursor| seq < cursor) {
                    log.seen = seq + 1;
                }
                log.cursor = Some(seq);
            });
        }
        true
    }

    /// A log that was resumed has caught up.
    pub(super) fn live(&mut self, id: LogId) {
        if !self.logs.contains_key(&id) {
            return;
        }
        self.change(id, |log| {
            if let Some(from) = log.resuming.take()
                && log.cursor == Some(from)
                && !log.dropped
            {
                // Nothing was there, whatever was seen: asking again would not help.
                log.seen = from;
            }
        });
    }

    /// Whether all of a log that is known was received.
    pub(super) fn is_current(&self, id: LogId) -> bool {
        self.logs.get(&id).is_some_and(|log| {
            log.resuming.is_none() && log.cursor.is_some_and(|cursor| log.seen <= cursor)
        })
    }

    /// Whether all of all logs was received.
    pub(super) fn are_current(&self) -> bool {
        self.behind.is_empty() && self.resuming == 0
    }

    pub(super) fn knows(&self, id: LogId) -> bool {
        self.logs.get(&id).is_some_and(|log| log.cursor.is_some())
    }

    /// The next logs to resume, so that at most `most` are being resumed; only this one if one is named.
    pub(super) fn resume(&mut self, only: Option<LogId>, most: usize) -> Vec<(LogId, Seq)> {
        let room = most.saturating_sub(self.resuming);
        let next: Vec<LogId> = match only {
            Some(only) => self.behind.get(&only).copied().into_iter().collect(),
            None => self.behind.iter().copied().take(room).collect(),
        };
        let mut resumed = Vec::with_capacity(next.len());
        for id in next {
            let cursor = self.change(id, |log| {
                log.resuming = log.cursor;
                log.dropped = false;
                log.cursor
            });
            resumed.extend(cursor.flatten().map(|cursor| (id, cursor)));
        }
        resumed
    }
}
