//! The database of the original Python app, only read.

use std::path::Path;

use chat_store_sqlite::rusqlite::types::ValueRef;
use chat_store_sqlite::rusqlite::{self, Connection, OpenFlags};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A user as the original kept them.
#[derive(Debug)]
pub(super) struct OldUser {
    pub(super) id: i64,
    pub(super) name: Option<String>,
    pub(super) hash: Option<String>,
}

/// A conversation's id and its two users.
pub(super) type OldConversation = (i64, Option<i64>, Option<i64>);

/// See [`Original::times`].
pub(super) type Times = (Vec<(i64, i64)>, Vec<i64>);

/// A message as the original kept it, but for its time.
pub(super) struct OldMessage {
    pub(super) conversation: Option<i64>,
    pub(super) sender: Option<i64>,
    pub(super) text: String,
    /// The text was not stored as it is here.
    pub(super) mended: bool,
}

/// One moment of the database.
pub(super) struct Original(Connection);

const TABLES: [&str; 3] = [
    "SELECT id, username, password_hash FROM \"user\" LIMIT 0",
    "SELECT id, user_a, user_b FROM conversation LIMIT 0",
    "SELECT id, conversation_id, sender_id, content, timestamp FROM message LIMIT 0",
];

impl Original {
    /// Opens it, and finds out whether it is one.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let name = file.display();
        if !file.is_file() {
            return Err(format!(
                "{name}: there is no such file; name the original app's database"
            ));
        }
        let failed = |error: rusqlite::Error| {
            format!("{name}: it is no database of the original app, or cannot be read: {error}")
        };
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(file, access).map_err(failed)?;
        db.execute_batch("BEGIN").map_err(failed)?;
        for sql in TABLES {
            db.prepare(sql).map_err(failed)?;
        }
        Ok(Self(db))
    }

    /// All users, by id.
    pub(super) fn users(&self) -> rusqlite::Result<Vec<OldUser>> {
        let sql =
            "SELECT id, username, password_hash FROM \"user\" WHERE id IS NOT NULL ORDER BY id";
        let mut users = self.0.prepare(sql)?;
        let users = users.query_map([], |row| {
            Ok(OldUser {
                id: row.get(0)?,
                name: text(row.get_ref(1)?).map(|(text, _)| text),
                hash: text(row.get_ref(2)?).map(|(text, _)| text),
            })
        })?;
        users.collect()
    }

    /// All conversations, by id: the two users of each.
    pub(super) fn conversations(&self) -> rusqlite::Result<Vec<OldConversation>> {
        let sql = "SELECT id, user_a, user_b FROM conversation WHERE id IS NOT NULL ORDER BY id";
        let mut conversations = self.0.prepare(sql)?;
        let all = conversations.query_map([], |row| {
            Ok((row.get(0)?, int(row.get_ref(1)?), int(row.get_ref(2)?)))
        })?;
        all.collect()
    }

    /// When each message was sent, in microseconds since 1970, with its id; and the ids of those that do not say: they have
    /// the time of the one before. 16 bytes a message are all that is kept of the original at once.
    pub(super) fn times(&self) -> rusqlite::Result<Times> {
        let sql = "SELECT id, timestamp FROM message WHERE id IS NOT NULL ORDER BY id";
        let mut messages = self.0.prepare(sql)?;
        let mut rows = messages.query([])?;
        let (mut times, mut unknown) = (Vec::new(), Vec::new());
        let mut before = None;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let said = micros(row.get_ref(1)?);
            if said.is_none() {
                unknown.push(id);
            }
            before = said.or(before);
            times.push((before, id));
        }
        // What comes before the first that says: with it.
        let first = times.iter().find_map(|(at, _)| *at).unwrap_or_default();
        let times = times.into_iter();
        let times = times.map(|(at, id)| (at.unwrap_or(first), id)).collect();
        Ok((times, unknown))
    }

    /// One message.
    pub(super) fn message(&self, id: i64) -> rusqlite::Result<OldMessage> {
        let sql = "SELECT conversation_id, sender_id, content FROM message WHERE id = ?";
        self.0.prepare_cached(sql)?.query_row([id], |row| {
            let (mut said, mut mended) = text(row.get_ref(2)?).unwrap_or_default();
            if said.contains('\0') {
                said = said.replace('\0', "\u{fffd}");
                mended = true;
            }
            Ok(OldMessage {
                conversation: int(row.get_ref(0)?),
                sender: int(row.get_ref(1)?),
                text: said,
                mended,
            })
        })
    }
}

fn int(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(int) => Some(int),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// A text, and whether it had to be made one.
fn text(value: ValueRef<'_>) -> Option<(String, bool)> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), matches!(value, ValueRef::Blob(_))),
            Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
        }),
        ValueRef::Integer(int) => Some((int.to_string(), true)),
        ValueRef::Real(real) => Some((real.to_string(), true)),
    }
}

/// A time in microseconds since 1970: what SQLAlchemy and SQLite write. Without a zone it is UTC.
fn micros(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(since) => epoch(since as f64),
        ValueRef::Real(since) => epoch(since),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?.trim();
            if let Ok(since) = text.parse() {
                return epoch(since);
            }
            if let Ok(at) = text.parse::<jiff::Timestamp>() {
                return Some(at.as_microsecond());
            }
            let local: DateTime = text.parse().ok()?;
            let at = local.to_zoned(TimeZone::UTC).ok()?;
            Some(at.timestamp().as_microsecond())
        }
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// Seconds since 1970, or milli- or microseconds, whichever gives a year below 5000.
fn epoch(since: f64) -> Option<i64> {
    const YEAR_5000: f64 = 95_617_584_000.0;
    let size = since.abs();
    let micros = if size < YEAR_5000 {
        since * 1e6
    } else if size < YEAR_5000 * 1e3 {
        since * 1e3
    } else {
        since
    };
    let known = micros.abs() < YEAR_5000 * 1e6;
    #[allow(clippy::cast_possible_truncation)]
    known.then_some(micros.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::{ValueRef, micros};

    #[test]
    fn times_are_read_in_every_form_they_are_written_in() {
        let at = 1_718_810_565_000_000;
        for text in [
            "2024-06-19 15:22:45",
            "2024-06-19T15:22:45",
            "2024-06-19 15:22:45.000000",
            "2024-06-19T15:22:45Z",
            "2024-06-19 17:22:45+02:00",
            "1718810565",
            " 1718810565.0 ",
        ] {
            assert_eq!(micros(ValueRef::Text(text.as_bytes())), Some(at), "{text}");
        }
        let text = b"2024-06-19 15:22:45.123456";
        assert_eq!(micros(ValueRef::Text(text)), Some(at + 123_456));
        for int in [1_718_810_565, 1_718_810_565_000, at] {
            assert_eq!(micros(ValueRef::Integer(int)), Some(at));
        }
        assert_eq!(micros(ValueRef::Real(1_718_810_565.25)), Some(at + 250_000));
        for bad in ["", "yesterday", "2024-13-01 00:00:00", "inf", "NaN"] {
            assert_eq!(micros(ValueRef::Text(bad.as_bytes())), None, "{bad}");
        }
        assert_eq!(micros(ValueRef::Null), None);
    }
}
