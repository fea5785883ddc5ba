//! The tables, and how an older database becomes a newer one.
//!
//! All names begin with `chat_`, so that a host's own tables can stand in the same database.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

/// What each version added, in order; the version of a database is how many of them it went through. Steps that were
/// released are never changed, only followed by others.
///
/// What each index costs with every message:
/// - `chat_event` grows at its end and so does `chat_done`, whose keys begin with a clock. An index by (log, seq) would not:
///   it was the dearest part of a message when many logs are written at once. `places.rs` tells what stands for it.
///   Clustering the events by (log, seq) instead makes pages faster and writes a third slower.
/// - `chat_member_user` is touched only when somebody becomes a member: cursors are no part of it.
///
/// `chat_event.position` is the place in the feed. SQLite gives out the highest one plus one, so no position is used twice
/// as long as the youngest event stays: retention must leave it.
///
/// `chat_search` is described in `search.rs`.
const STEPS: [&str; 5] = [
    "
    CREATE TABLE chat_meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_user(user INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE chat_subject(
        provider TEXT NOT NULL, subject TEXT NOT NULL, user INTEGER NOT NULL,
        PRIMARY KEY(provider, subject)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_suffix(
        suffix TEXT NOT NULL, user INTEGER NOT NULL, PRIMARY KEY(suffix, user)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_credential(user INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
    CREATE TABLE chat_login(login INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE chat_block(
        by INTEGER NOT NULL, user INTEGER NOT NULL, PRIMARY KEY(by, user)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_conversation(conversation INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE chat_direct(
        a INTEGER NOT NULL, b INTEGER NOT NULL, conversation INTEGER NOT NULL,
        PRIMARY KEY(a, b)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_named(
        name TEXT NOT NULL PRIMARY KEY, conversation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_member(
        conversation INTEGER NOT NULL, user INTEGER NOT NULL,
        role INTEGER, ranges TEXT NOT NULL, read INTEGER NOT NULL, read_ordinal INTEGER NOT NULL,
        delivered INTEGER NOT NULL, hidden INTEGER NOT NULL, muted_until INTEGER, archived INTEGER NOT NULL,
        PRIMARY KEY(conversation, user)) STRICT, WITHOUT ROWID;
    CREATE INDEX chat_member_user ON chat_member(user);
    CREATE TABLE chat_head(
        log INTEGER PRIMARY KEY, seq INTEGER NOT NULL, floor INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        message INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE chat_event(
        position INTEGER PRIMARY KEY, log INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        actor INTEGER NOT NULL, ordinal INTEGER NOT NULL, kind TEXT, revision INTEGER, text TEXT, data TEXT,
        edited_at INTEGER, reply_to INTEGER, mentions TEXT, reactions TEXT) STRICT;
    CREATE UNIQUE INDEX chat_event_seq ON chat_event(log, seq);
    CREATE TABLE chat_reaction(
        conversation INTEGER NOT NULL, message INTEGER NOT NULL, user INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(conversation, message, user)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_done(
        key BLOB NOT NULL, author INTEGER NOT NULL,
        digest BLOB NOT NULL, at INTEGER NOT NULL, conversation INTEGER, user INTEGER, login INTEGER,
        first INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY(key, author)) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE chat_member ADD COLUMN mentions TEXT;
",
    "
    CREATE VIRTUAL TABLE chat_search USING fts5(words, content='', columnsize=0, tokenize='ascii');
    INSERT INTO chat_search(chat_search, rank) VALUES('secure-delete', 1);
    CREATE TABLE chat_reworded(position INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
    CREATE TRIGGER chat_event_reworded AFTER UPDATE OF text ON chat_event
        WHEN old.text IS NOT NULL AND old.text IS NOT new.text
            AND old.position <= (SELECT value FROM chat_meta WHERE name = 'indexed')
        BEGIN
            INSERT INTO chat_reworded(position, text) SELECT old.position, old.text
                WHERE NOT EXISTS(SELECT 1 FROM chat_reworded WHERE position = old.position);
        END;
",
    "
    ALTER TABLE chat_head ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE chat_head ADD COLUMN tail BLOB NOT NULL DEFAULT x'';
    CREATE TABLE chat_segment(
        log INTEGER NOT NULL, segment INTEGER NOT NULL, places BLOB NOT NULL,
        PRIMARY KEY(log, segment)) STRICT, WITHOUT ROWID;
    INSERT INTO chat_segment(log, segment, places)
        SELECT log, (seq - 1) / 64, unhex(group_concat(printf('%010x', position), '' ORDER BY seq))
        FROM chat_event GROUP BY 1, 2;
    INSERT INTO chat_head(log, seq, floor, ordinal, message, at)
        SELECT DISTINCT log, 0, 0, 0, 0, 0 FROM chat_segment WHERE true ON CONFLICT DO NOTHING;
    UPDATE chat_head SET placed =
        coalesce((SELECT max(seq) FROM chat_event WHERE chat_event.log = chat_head.log), 0);
    UPDATE chat_head SET tail = coalesce(
        (SELECT places FROM chat_segment WHERE chat_segment.log = chat_head.log AND segment = placed / 64), x'');
    DELETE FROM chat_segment
        WHERE segment = (SELECT placed / 64 FROM chat_head WHERE chat_head.log = chat_segment.log);
    DROP INDEX chat_event_seq;
",
    "
    ALTER TABLE chat_event ADD COLUMN changed INTEGER;
    CREATE TABLE chat_parted(
        conversation INTEGER NOT NULL, user INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(conversation, user)) STRICT, WITHOUT ROWID;
    CREATE TABLE chat_marks(conversation INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
",
];

/// The version that this program writes.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// What a database was found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Tables of this version; 0 for none yet.
    Version(i64),
    /// A table with a name of ours that is not ours.
    Foreign(String),
}

/// Looks without changing anything.
pub(crate) fn find(db: &Connection) -> rusqlite::Result<Found> {
    let mut ours = db.prepare(
        "SELECT name FROM sqlite_schema WHERE name LIKE 'chat\\_%' ESCAPE '\\' ORDER BY name <> 'chat_meta'",
    )?;
    let first: Option<String> = ours.query_row([], |row| row.get(0)).optional()?;
    match first {
        None => Ok(Found::Version(0)),
        Some(table) if table == "chat_meta" => {
            let version = db
                .prepare("SELECT value FROM chat_meta WHERE name = 'schema'")
                .and_then(|mut meta| meta.query_row([], |row| row.get(0)).optional());
            match version {
                Ok(Some(version)) if version > 0 => Ok(Found::Version(version)),
                Ok(_) => Ok(Found::Foreign(table)),
                // No such column, or no number there: somebody else's table.
                Err(
                    rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::SqlInputError { .. },
                ) => Ok(Found::Foreign(table)),
                Err(error) => Err(error),
            }
        }
        Some(table) => Ok(Found::Foreign(table)),
    }
}

/// Brings a database from a version to [`VERSION`], all or nothing, and gives a new one its secret.
pub(crate) fn migrate(db: &mut Connection, from: i64, secret: &[u8; 32]) -> rusqlite::Result<()> {
    let tx = Transaction::new(db, TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        tx.execute_batch(step)?;
    }
    tx.execute(
        "INSERT INTO chat_meta(name, value) VALUES('schema', ?1)
         ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        [VERSION],
    )?;
    tx.execute(
        "INSERT INTO chat_meta(name, value) VALUES('secret', ?1) ON CONFLICT(name) DO NOTHING",
        [&secret[..]],
    )?;
    tx.commit()
}
