//! What one write sees and changes while it is being decided.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::row::sealed::Table;
use super::row::tables;
use super::{Counter, EventRow, Row, RowKey};
use crate::{Actor, Error, Event, EventKind, Head, LogId, Message, Timestamp, UserId};

/// Why a decision did not come to an end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Rows are missing; they are in [`Scratch::missing`].
    Need,
    /// The write is refused.
    Reject(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Reject(error)
    }
}

/// A row as the writes decided so far left it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) row: Option<Row>,
    pub(super) since: Since,
}

/// How a row came to be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// It was read.
    Read,
    /// One of the writes changed it.
    Changed {
        /// Whether it is known that no such row was there.
        is_new: bool,
    },
}

/// The rows of a group. Keys hold names that users chose, so the hashes are seeded.
pub(super) type Rows = HashMap<RowKey, Slot, foldhash::fast::RandomState>;

/// The rows of a group as one write sees them. What it changes is taken back when it is dropped, unless it was kept.
pub(super) struct Scratch<'a> {
    rows: &'a mut Rows,
    /// What stood in the slots that this write changed, in order.
    before: Vec<(RowKey, Option<Slot>)>,
    pub(super) missing: Vec<RowKey>,
    pub(super) now: Timestamp,
    /// Entries of users' logs made so far.
    pub(super) user_events: Vec<Event>,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        for (key, slot) in self.before.drain(..).rev() {
            match slot {
                Some(slot) => self.rows.insert(key, slot),
                None => self.rows.remove(&key),
            };
        }
    }
}

impl<'a> Scratch<'a> {
    pub(super) fn new(rows: &'a mut Rows, now: Timestamp) -> Self {
        Self {
            rows,
            before: Vec::new(),
            missing: Vec::new(),
            now,
            user_events: Vec::new(),
        }
    }

    /// Leaves what was changed to the writes that follow, and tells which rows are changed for the first time.
    pub(super) fn keep(mut self, first: &mut Vec<RowKey>) {
        let before = std::mem::take(&mut self.before).into_iter();
        first.extend(before.filter_map(|(key, slot)| match slot {
            Some(slot) if slot.since != Since::Read => None,
            _ => Some(key),
        }));
    }

    fn find(&self, key: &RowKey) -> Option<Option<&Row>> {
        self.rows.get(key).map(|slot| slot.row.as_ref())
    }

    /// Asks for rows at once, so that they come in one round.
    pub(super) fn need(&mut self, keys: impl IntoIterator<Item = RowKey>) -> Result<(), Stop> {
        let rows = &self.rows;
        let missing = keys.into_iter().filter(|key| !rows.contains_key(key));
        self.missing.extend(missing);
        if self.missing.is_empty() {
            Ok(())
        } else {
            Err(Stop::Need)
        }
    }

    /// A row's value by its kind.
    pub(super) fn get<T: Table>(&mut self, key: RowKey) -> Result<Option<T::Value>, Stop> {
        Ok(self.see::<T>(key)?.cloned())
    }

    /// A row's value by its kind, to look at.
    pub(super) fn see<T: Table>(&mut self, key: RowKey) -> Result<Option<&T::Value>, Stop> {
        if let Some(slot) = self.rows.get(&key) {
            return Ok(slot.row.as_ref().and_then(T::unwrap));
        }
        self.missing.push(key);
        Err(Stop::Need)
    }

    /// Whether a row is there.
    pub(super) fn has(&mut self, key: RowKey) -> Result<bool, Stop> {
        if let Some(row) = self.find(&key) {
            return Ok(row.is_some());
        }
        self.missing.push(key);
        Err(Stop::Need)
    }

    pub(super) fn put(&mut self, key: RowKey, row: Row) {
        self.set(key, Some(row), false);
    }

    pub(super) fn take_away(&mut self, key: RowKey) {
        self.set(key, None, false);
    }

    fn set(&mut self, key: RowKey, row: Option<Row>, is_new: bool) {
        let changed = |is_new| Since::Changed { is_new };
        let before = match self.rows.entry(key.clone()) {
            Entry::Vacant(place) => {
                let since = changed(is_new);
                place.insert(Slot { row, since });
                None
            }
            Entry::Occupied(mut place) => {
                let since = match place.get() {
                    Slot {
                        since: Since::Read,
                        row,
                    } => changed(row.is_none()),
                    slot => slot.since,
                };
                Some(place.insert(Slot { row, since }))
            }
        };
        if self.before.is_empty() {
            // A message changes five rows, and what is kept of each is large to be moved aside.
            self.before.reserve(8);
        }
        self.before.push((key, before));
    }

    pub(super) fn head(&mut self, log: LogId) -> Result<Head, Stop> {
        Ok(self
            .get::<tables::Head>(RowKey::Head(log))?
            .unwrap_or_default())
    }

    /// The next id of a kind.
    pub(super) fn next_id(&mut self, counter: Counter) -> Result<u64, Stop> {
        let id = self
            .get::<tables::Counter>(RowKey::Counter(counter))?
            .unwrap_or(0)
            + 1;
        self.put(RowKey::Counter(counter), Row::Counter(id));
        Ok(id)
    }

    /// Refuses unless the user exists.
    pub(super) fn user_exists(&mut self, user: UserId) -> Result<(), Stop> {
        if self.has(RowKey::User(user))? {
            Ok(())
        } else {
            Err(Error::not_found("there is no such user").into())
        }
    }

    /// Appends to a log: its next seq, the head moved on, the event as it is delivered.
    pub(super) fn append(
        &mut self,
        head: &mut Head,
        log: LogId,
        actor: Actor,
        kind: EventKind,
        message: Option<Message>,
    ) -> Event {
        head.seq += 1;
        let row = EventRow {
            at: self.now,
            actor,
            kind,
            ordinal: head.ordinal,
            message,
        };
        let told = if row.kind == EventKind::Posted {
            row.message.clone()
        } else {
            None
        };
        let event = row.event(log, head.seq, told);
        // Nothing stands above a log's head.
        self.set(RowKey::Event(log, head.seq), Some(Row::Event(row)), true);
        self.put(RowKey::Head(log), Row::Head(*head));
        event
    }

    /// Appends to a user's log.
    pub(super) fn tell(&mut self, user: UserId, actor: Actor, kind: EventKind) -> Result<(), Stop> {
        let log = LogId::User(user);
        let mut head = self.head(log)?;
        // What a user's log counts are the conversations the user is a member of.
        match kind {
            EventKind::Added { .. } => head.ordinal += 1,
            EventKind::Removed { .. } => head.ordinal = head.ordinal.saturating_sub(1),
            _ => {}
        }
        let event = self.append(&mut head, log, actor, kind, None);
        self.user_events.push(event);
        Ok(())
    }
}
