//! One moment of the database.

use std::sync::atomic::{AtomicBool, Ordering};

use chat_core::rules::{EventRow, Row, RowKey};
use chat_core::snapshot::Snapshot;
use chat_core::{ConversationId, Error, Head, LogId, Member, Seq, UserId};
use futures_util::FutureExt;

use crate::columns::{self, Cells, int};
use crate::executor::{Found, Param, Statement};
use crate::pool::Lease;
use crate::rows::Lookup;

macro_rules! member_columns {
    () => {
        "m.role, m.ranges, m.read, m.read_ordinal, m.delivered, m.hidden, m.muted_until, m.archived, m.mentions"
    };
}

macro_rules! event_columns {
    () => {
        "at, actor, ordinal, kind, revision, text, data, edited_at, reply_to, mentions, reactions, changed"
    };
}

const BEGIN: &[&str] = &["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"];

const EVENTS: &str = concat!(
    "SELECT seq, ",
    event_columns!(),
    " FROM chat_event WHERE log = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4"
);

const EVENTS_NEWEST_FIRST: &str = concat!(
    "SELECT seq, ",
    event_columns!(),
    " FROM chat_event WHERE log = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq DESC LIMIT $4"
);

const MEMBERS: &str = concat!(
    "SELECT m.user_id, ",
    member_columns!(),
    " FROM chat_member m WHERE m.conversation = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3"
);

const MEMBERSHIPS: &str = concat!(
    "SELECT m.conversation, ",
    member_columns!(),
    ", h.seq, h.floor, h.ordinal, h.message, h.at",
    " FROM chat_member m LEFT JOIN chat_head h ON h.log = m.conversation",
    " WHERE m.user_id = $1 ORDER BY m.conversation"
);

const SUFFIXES: &str = "SELECT suffix, user_id FROM chat_suffix \
    WHERE (suffix, user_id) > ($1, $2) AND suffix < $3 ORDER BY suffix, user_id LIMIT $4";

const SUFFIXES_TO_THE_END: &str = "SELECT suffix, user_id FROM chat_suffix \
    WHERE (suffix, user_id) > ($1, $2) ORDER BY suffix, user_id LIMIT $3";

const FEED: &str = concat!(
    "SELECT place, log, seq, ",
    event_columns!(),
    " FROM chat_event WHERE place > $1 AND place < $2 ORDER BY place LIMIT $3"
);

/// All entries, while nobody writes.
pub(crate) const EVENTS_BY_PLACE: &str = concat!(
    "SELECT place, log, seq, ",
    event_columns!(),
    " FROM chat_event WHERE place > $1 ORDER BY place LIMIT $2"
);

/// What one transaction sees, which as a rule only reads.
pub(crate) struct View {
    lease: Lease,
    begin: &'static [&'static str],
    begun: AtomicBool,
    /// The feed tells of what stands before this place.
    pub(crate) feed_end: u64,
}

impl View {
    pub(crate) fn new(lease: Lease) -> Self {
        Self::begun_by(BEGIN, lease)
    }

    /// A transaction that begins with these statements. Dropped, it is rolled back.
    pub(crate) fn begun_by(begin: &'static [&'static str], lease: Lease) -> Self {
        Self {
            lease,
            begin,
            begun: AtomicBool::new(false),
            feed_end: 0,
        }
    }

    /// Ends the transaction. Nobody waits for that: the next statement on the connection comes after it.
    pub(crate) fn end(self) {
        if self.begun.load(Ordering::Relaxed)
            && let Ok(session) = self.lease.session()
        {
            // Polled once, it is sent.
            drop(session.client.batch_execute("COMMIT").now_or_never());
        }
        self.lease.give_back();
    }

    /// Ends a transaction that wrote, and waits until it has ended.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let commit = Statement {
            sql: "COMMIT",
            params: Vec::new(),
        };
        self.run(vec![commit]).await?;
        self.lease.give_back();
        Ok(())
    }

    /// Runs statements, the first ones together with the transaction's beginning.
    pub(crate) async fn run(&self, mut batch: Vec<Statement>) -> Result<Vec<Found>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let first = !self.begun.swap(true, Ordering::Relaxed);
        let begin = if first { self.begin } else { &[] };
        let before = begin.iter().map(|sql| Statement {
            sql,
            params: Vec::new(),
        });
        batch.splice(..0, before);
        let mut found = self.lease.session()?.run(&batch).await?;
        Ok(found.split_off(begin.len()))
    }

    /// Statements of their own, before the transaction begins.
    pub(crate) async fn before(&self, batch: &[Statement]) -> Result<Vec<Found>, Error> {
        Ok(self.lease.session()?.run(batch).await?)
    }

    pub(crate) async fn list<T>(
        &self,
        sql: &'static str,
        params: Vec<Param>,
        mut read: impl FnMut(&mut Cells) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let found = self.run(vec![Statement { sql, params }]).await?;
        let rows = found.into_iter().flatten();
        rows.map(|row| read(&mut Cells::new(row))).collect()
    }
}

impl Snapshot for View {
    async fn row(&self, key: &RowKey) -> Result<Option<Row>, Error> {
        let mut rows = self.rows(std::slice::from_ref(key)).await?;
        Ok(rows.pop().flatten())
    }

    async fn rows(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, Error> {
        let (lookup, statements) = Lookup::new(keys.iter().cloned())?;
        let found = self.run(statements).await?;
        let mut rows = std::collections::HashMap::with_capacity(keys.len());
        lookup.read(found, |key, row| {
            // A user's log that has no entries yet is there to be locked only.
            let row = row.filter(|row| !matches!(row, Row::Head(head) if head.seq == 0));
            rows.insert(key, row);
        })?;
        Ok(keys
            .iter()
            .map(|key| rows.get(key).cloned().flatten())
            .collect())
    }

    async fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(Seq, EventRow)>, Error> {
        let sql = if newest_first {
            EVENTS_NEWEST_FIRST
        } else {
            EVENTS
        };
        let params = [
            columns::log_to_int(log),
            int(first),
            int(last),
            int(limit as u64),
        ];
        self.list(sql, params.map(Param::Int).to_vec(), |row| {
            let seq = row.number()?;
            Ok((seq, row.event(log, seq)?))
        })
        .await
    }

    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let after = after.map_or(0, UserId::get);
        let params = [conversation.get(), after, limit as u64];
        let params = params.map(int).map(Param::Int).to_vec();
        self.list(MEMBERS, params, |row| {
            let user = row.user()?;
            row.member(conversation, user)
        })
        .await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Member, Head)>, Error> {
        let params = vec![Param::Int(int(user.get()))];
        self.list(MEMBERSHIPS, params, |row| {
            let conversation = row.conversation()?;
            Ok((row.member(conversation, user)?, row.head()?))
        })
        .await
    }

    async fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> Result<Vec<(String, UserId)>, Error> {
        let part = columns::escaped(part);
        let (suffix, user) = match after {
            Some((suffix, user)) => (columns::escaped(suffix), user.get()),
            None => (part.clone(), 0),
        };
        let mut params = vec![Param::Text(suffix.into_owned()), Param::Int(int(user))];
        let sql = match end_of(&part) {
            Some(end) => {
                params.push(Param::Text(end));
                SUFFIXES
            }
            None => SUFFIXES_TO_THE_END,
        };
        params.push(Param::Int(int(limit as u64)));
        self.list(sql, params, |row| Ok((row.text()?, row.user()?)))
            .await
    }

    async fn feed(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, LogId, Seq, EventRow)>, Error> {
        let params = [after, self.feed_end, limit as u64];
        let params = params.map(int).map(Param::Int).to_vec();
        self.list(FEED, params, |row| {
            let place = row.number()?;
            let (log, seq) = (row.log()?, row.number()?);
            Ok((place, log, seq, row.event(log, seq)?))
        })
        .await
    }
}

/// Where texts that begin with a part end, in the order of their bytes, which is that of their characters: the part with its
/// last character raised. `None` where nothing comes after them.
fn end_of(part: &str) -> Option<String> {
    let mut end: Vec<char> = part.chars().collect();
    while let Some(last) = end.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}
