//! One moment of the database.

use chat_core::rules::{EventRow, Row, RowKey};
use chat_core::snapshot::{Pages, Snapshot};
use chat_core::{ConversationId, Error, Head, LogId, Member, Seq, UserId};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params};

use crate::columns::{self, event_columns, head_columns, int, member_columns};
use crate::fault::Fault;
use crate::{places, rows};

/// What a connection inside a transaction sees.
#[derive(Debug)]
pub(crate) struct View<'a> {
    db: &'a Connection,
    pages: &'a Pages,
}

impl<'a> View<'a> {
    /// `db` must be inside a transaction, else each read sees another moment.
    pub(crate) fn new(db: &'a Connection, pages: &'a Pages) -> Self {
        Self { db, pages }
    }

    /// The connection.
    pub(crate) fn db(&self) -> &'a Connection {
        self.db
    }

    fn list<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Error> {
        let list = || {
            let mut statement = self.db.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                list.push(read(row)?);
            }
            Ok(list)
        };
        list().map_err(|fault: Fault| fault.into())
    }
}

impl Snapshot for View<'_> {
    async fn row(&self, key: &RowKey) -> Result<Option<Row>, Error> {
        Ok(rows::get(self.db, key)?)
    }

    fn pages(&self) -> Option<&Pages> {
        Some(self.pages)
    }

    async fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(Seq, EventRow)>, Error> {
        let events = || {
            let places = places::within(self.db, log, first, last, newest_first, limit)?;
            let mut event = self.db.prepare_cached(concat!(
                "SELECT ",
                event_columns!(),
                " FROM chat_event WHERE position = ?"
            ))?;
            let mut events = Vec::with_capacity(places.len());
            for (seq, place) in places {
                let mut rows = event.query([place])?;
                let row = rows.next()?.ok_or_else(columns::damaged)?;
                events.push((seq, columns::event(row, 0, log, seq)?));
            }
            Ok(events)
        };
        events().map_err(|fault: Fault| fault.into())
    }

    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let sql = concat!(
            "SELECT m.user, ",
            member_columns!(),
            " FROM chat_member m WHERE m.conversation = ? AND m.user > ? ORDER BY m.user LIMIT ?"
        );
        let after = after.map_or(0, UserId::get);
        let params = (int(conversation.get()), int(after), int(limit as u64));
        self.list(sql, params, |row| {
            columns::member(row, 1, conversation, columns::user(row, 0)?)
        })
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Member, Head)>, Error> {
        let sql = concat!(
            "SELECT m.conversation, ",
            member_columns!(),
            ", ",
            head_columns!(),
            " FROM chat_member m LEFT JOIN chat_head h ON h.log = m.conversation",
            " WHERE m.user = ? ORDER BY m.conversation"
        );
        self.list(sql, [int(user.get())], |row| {
            let conversation = columns::conversation(row, 0)?;
            Ok((
                columns::member(row, 1, conversation, user)?,
                columns::head(row, 10)?,
            ))
        })
    }

    async fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> Result<Vec<(String, UserId)>, Error> {
        // Texts are ordered as their bytes are: those that begin with `part` end before `part` with its last byte raised,
        // which no byte of UTF-8 is too high for.
        let mut end = part.as_bytes().to_vec();
        match end.last_mut() {
            Some(byte) => *byte += 1,
            None => end.push(u8::MAX),
        }
        let (suffix, user) = after.map_or((part, 0), |(suffix, user)| (suffix, user.get()));
        let sql = "SELECT suffix, user FROM chat_suffix
                   WHERE (suffix, user) > (?, ?) AND suffix < ? ORDER BY suffix, user LIMIT ?";
        let end = ToSqlOutput::Borrowed(ValueRef::Text(&end));
        let params = (suffix, int(user), end, int(limit as u64));
        self.list(sql, params, |row| Ok((row.get(0)?, columns::user(row, 1)?)))
    }

    async fn feed(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, LogId, Seq, EventRow)>, Error> {
        let sql = concat!(
            "SELECT position, log, seq, ",
            event_columns!(),
            " FROM chat_event WHERE position > ? ORDER BY position LIMIT ?"
        );
        self.list(sql, [int(after), int(limit as u64)], |row| {
            let (log, seq) = (columns::log(row, 1)?, columns::number(row, 2)?);
            let position = columns::number(row, 0)?;
            Ok((position, log, seq, columns::event(row, 3, log, seq)?))
        })
    }
}
