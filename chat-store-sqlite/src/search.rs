//! The index of words: FTS5, in the same file.
//!
//! A row of `chat_search` stands for the message whose event has its rowid as position. The table keeps no texts, only where
//! which word stands. What is handed to it is made of [`chat_core::search::words`], each word behind its conversation's id,
//! so that words of different conversations are different terms: its tokenizer only splits at the spaces.
//!
//! To take a message out again FTS5 must be told what was put in. That is the text in `chat_event`, unless it was changed
//! since: then a trigger has kept what it was, in `chat_reworded`, until the index has caught up. `chat_meta` holds how far the
//! index has come (`indexed`) and what made its words (`words`).
//!
//! Erased for good: `secure-delete` of FTS5 takes the words out of the index's own pages when the index catches up, and the
//! `secure_delete` of SQLite overwrites what is freed. As for all that is erased, the log holds older pages until it is written
//! anew.

use async_trait::async_trait;
use chat_core::search::{self, Candidate, Document, Index, Query, Stretch, words};
use chat_core::snapshot::Pages;
use chat_core::{ConversationId, Error, Search, SearchCursor, SearchPage, Seq, Viewer, snapshot};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::SqliteStore;
use crate::columns::int;
use crate::fault::Fault;
use crate::places;
use crate::view::View;

/// Stands between a conversation and a word. FTS5's `ascii` tokenizer takes it for a letter, and no word has it.
const OF: char = '\u{80}';

/// Makes the index anew when another version made its words.
pub(crate) fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    let version = search::version();
    let made: Option<String> = db
        .query_row(
            "SELECT value FROM chat_meta WHERE name = 'words'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if made.as_deref() == Some(&version) {
        return Ok(());
    }
    let tx = Transaction::new(db, TransactionBehavior::Immediate)?;
    tx.execute(
        "INSERT INTO chat_search(chat_search) VALUES('delete-all')",
        [],
    )?;
    tx.execute("DELETE FROM chat_reworded", [])?;
    tx.execute(
        "INSERT INTO chat_meta(name, value) VALUES('words', ?1), ('indexed', 0)
         ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        [version],
    )?;
    tx.commit()
}

/// Takes the index further: see [`Search::index`].
pub(crate) fn advance(tx: &Transaction<'_>, limit: usize) -> Result<usize, Fault> {
    let after: i64 = tx
        .prepare_cached("SELECT value FROM chat_meta WHERE name = 'indexed'")?
        .query_row([], |row| row.get(0))?;
    let after = u64::try_from(after).unwrap_or(0);
    let Some(next) = snapshot::now(search::following(
        &View::new(tx, &Pages::default()),
        after,
        limit,
    ))?
    else {
        return Ok(0);
    };
    for document in next.documents {
        put(tx, &document)?;
    }
    tx.prepare_cached("UPDATE chat_meta SET value = ? WHERE name = 'indexed'")?
        .execute([int(next.position)])?;
    Ok(next.entries)
}

fn put(tx: &Transaction<'_>, document: &Document) -> Result<(), Fault> {
    let id = document.conversation;
    let position = match document.position {
        Some(position) => int(position),
        None => {
            let Some(position) = places::of(tx, id.into(), document.seq)? else {
                return Ok(());
            };
            let old: Option<String> = tx
                .prepare_cached("DELETE FROM chat_reworded WHERE position = ? RETURNING text")?
                .query_row([position], |row| row.get(0))
                .optional()?;
            let Some(old) = old else {
                // Taken in after it was changed.
                return Ok(());
            };
            let sql = "INSERT INTO chat_search(chat_search, rowid, words) VALUES('delete', ?, ?)";
            write(tx, sql, position, id, &words(&old))?;
            position
        }
    };
    let sql = "INSERT INTO chat_search(rowid, words) VALUES(?, ?)";
    write(tx, sql, position, id, &document.words)
}

fn write(
    tx: &Transaction<'_>,
    sql: &str,
    position: i64,
    id: ConversationId,
    words: &[String],
) -> Result<(), Fault> {
    if !words.is_empty() {
        let text = of_conversation(id, words);
        tx.prepare_cached(sql)?.execute(params![position, text])?;
    }
    Ok(())
}

/// Words as they stand in the index.
fn of_conversation(id: ConversationId, words: &[String]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("{:x}{OF}{word}", id.get()));
    }
    text
}

/// A query in FTS5's language. Words hold none of its characters, nor quotes.
fn expression(id: ConversationId, query: &Query) -> String {
    let phrases = query.phrases().iter().map(|phrase| {
        let star = if phrase.prefix { "*" } else { "" };
        format!("\"{}\"{star}", of_conversation(id, &phrase.words))
    });
    phrases.collect::<Vec<_>>().join(" AND ")
}

/// The highest positions below `before` in stretches, each with its conversation, descending.
fn candidates(
    db: &Connection,
    query: &Query,
    within: &[Stretch],
    before: i64,
    limit: usize,
) -> Result<Vec<Candidate>, Fault> {
    let mut matching = db.prepare_cached(
        "SELECT rowid FROM chat_search WHERE chat_search MATCH ? AND rowid >= ? AND rowid <= ?
         ORDER BY rowid DESC LIMIT ?",
    )?;
    let mut found: Vec<(i64, ConversationId)> = Vec::new();
    let mut lowest = 0;
    for stretch in within {
        let id = stretch.conversation;
        let end = places::last_up_to(db, id.into(), stretch.last)?;
        let high = end.unwrap_or(0).min(before.saturating_sub(1));
        // What is older than all of a full page does not count.
        let mut low = lowest;
        if low <= high && stretch.first > 1 {
            let start = places::of(db, id.into(), stretch.first)?;
            low = low.max(start.unwrap_or(i64::MAX));
        }
        if low > high {
            continue;
        }
        let rows = params![expression(id, query), low, high, int(limit as u64)];
        let mut rows = matching.query(rows)?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, id));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(limit);
        if found.len() == limit {
            lowest = found.last().map_or(lowest, |(position, _)| position + 1);
        }
    }
    let mut candidates = Vec::with_capacity(found.len());
    for (position, conversation) in found {
        if let Some(seq) = places::seq_at(db, position)? {
            candidates.push(Candidate {
                position: position.unsigned_abs(),
                conversation,
                seq,
            });
        }
    }
    Ok(candidates)
}

impl Index for View<'_> {
    async fn position(&self, conversation: ConversationId, seq: Seq) -> Result<Option<u64>, Error> {
        let position = places::of(self.db(), conversation.into(), seq)?;
        Ok(position.map(i64::unsigned_abs))
    }

    async fn candidates(
        &self,
        query: &Query,
        within: &[Stretch],
        before: u64,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        Ok(candidates(self.db(), query, within, int(before), limit)?)
    }
}

#[async_trait]
impl Search for SqliteStore {
    async fn index(&self, limit: usize) -> Result<usize, Error> {
        self.with_writer(move |writer| writer.index(limit)).await
    }

    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        self.read(move |view| {
            snapshot::now(search::find(
                view,
                viewer,
                &query,
                conversation,
                before,
                limit,
            ))
        })
        .await
    }
}
