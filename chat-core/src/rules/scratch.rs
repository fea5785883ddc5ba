//! What one write sees and changes while it is being decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// The rows of a group as one write sees them; its own changes stay here until it is accepted.
pub(super) struct Scratch<'a> {
    rows: &'a HashMap<RowKey, Option<Row>>,
    before: &'a BTreeMap<RowKey, Option<Row>>,
    pub(super) changes: BTreeMap<RowKey, Option<Row>>,
    pub(super) missing: BTreeSet<RowKey>,
    pub(super) now: Timestamp,
    /// Entries of users' logs made so far.
    pub(super) user_events: Vec<Event>,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(
        rows: &'a HashMap<RowKey, Option<Row>>,
        before: &'a BTreeMap<RowKey, Option<Row>>,
        now: Timestamp,
    ) -> Self {
        let (changes, missing) = (BTreeMap::new(), BTreeSet::new());
        Self {
            rows,
            before,
            changes,
            missing,
            now,
            user_events: Vec::new(),
        }
    }

    fn find(&self, key: &RowKey) -> Option<Option<&Row>> {
        let row = self
            .changes
            .get(key)
            .or_else(|| self.before.get(key))
            .or_else(|| self.rows.get(key));
        row.map(Option::as_ref)
    }

    /// Asks for rows at once, so that they come in one round.
    pub(super) fn need(&mut self, keys: impl IntoIterator<Item = RowKey>) -> Result<(), Stop> {
        for key in keys {
            if self.find(&key).is_none() {
                self.missing.insert(key);
            }
        }
        if self.missing.is_empty() {
            Ok(())
        } else {
            Err(Stop::Need)
        }
    }

    /// A row's value by its kind.
    pub(super) fn get<T: Table>(&mut self, key: RowKey) -> Result<Option<T::Value>, Stop> {
        match self.find(&key) {
            Some(row) => Ok(row.and_then(T::unwrap).cloned()),
            None => {
                self.missing.insert(key);
                Err(Stop::Need)
            }
        }
    }

    /// Whether a row is there.
    pub(super) fn has(&mut self, key: RowKey) -> Result<bool, Stop> {
        self.need([key.clone()])?;
        Ok(self.find(&key).flatten().is_some())
    }

    pub(super) fn put(&mut self, key: RowKey, row: Row) {
        self.changes.insert(key, Some(row));
    }

    pub(super) fn take_away(&mut self, key: RowKey) {
        self.changes.insert(key, None);
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
        self.put(RowKey::Event(log, head.seq), Row::Event(row));
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
