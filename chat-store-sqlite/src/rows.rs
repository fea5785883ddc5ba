//! Where each kind of row lives: the one mapping from [`RowKey`] to SQL.
//!
//! Key parts are typed columns. What is written with every message or read by the page (events, heads, members, keys done)
//! is typed columns too: it halves the bytes of a message and spares a page its parsing. The rest is the row's JSON. A log
//! is named by one integer: a conversation's id, or a user's id negated.

use chat_core::rules::{Counter, Row, RowCache, RowKey};
use rusqlite::{CachedStatement, Connection};

use crate::columns::{self, Binder, actor_to_int, event_columns, log_to_int};
use crate::fault::Fault;
use crate::places::{self, Appended};

/// The statements of one kind of row.
pub(crate) struct Table {
    get: &'static str,
    /// Takes the values first, then the key, as `insert` does. `None` where the key is all there is.
    update: Option<&'static str>,
    insert: &'static str,
    delete: &'static str,
    /// All rows in the order of their keys, values first …
    pub(crate) first: &'static str,
    /// … and those after a key.
    pub(crate) after: &'static str,
    /// How many columns the key has.
    pub(crate) key: usize,
}

/// A parameter for each name.
macro_rules! parameter {
    ($name:literal) => {
        ",?"
    };
}

/// The statements for `table (key columns) => (value columns)`.
macro_rules! table {
    ($table:literal ($k:literal $(, $ks:literal)*) => ($v:literal $(, $vs:literal)*)) => {
        Table {
            get: concat!(
                "SELECT ", $v $(, ",", $vs)*, " FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*
            ),
            update: Some(concat!(
                "UPDATE ", $table, " SET ", $v, "=?" $(, ",", $vs, "=?")*,
                " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*
            )),
            insert: concat!(
                "INSERT INTO ", $table, "(", $v $(, ",", $vs)*, ",", $k $(, ",", $ks)*, ") VALUES(?"
                $(, parameter!($vs))*, parameter!($k) $(, parameter!($ks))*, ")"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
            first: concat!(
                "SELECT ", $v $(, ",", $vs)*, ",", $k $(, ",", $ks)*, " FROM ", $table,
                " ORDER BY ", $k $(, ",", $ks)*
            ),
            after: concat!(
                "SELECT ", $v $(, ",", $vs)*, ",", $k $(, ",", $ks)*, " FROM ", $table,
                " WHERE (", $k $(, ",", $ks)*, ")>(?" $(, parameter!($ks))*, ") ORDER BY ", $k $(, ",", $ks)*
            ),
            key: [$k $(, $ks)*].len(),
        }
    };
    ($table:literal ($k:literal $(, $ks:literal)*)) => {
        Table {
            get: concat!("SELECT 1 FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
            update: None,
            insert: concat!(
                "INSERT INTO ", $table, "(", $k $(, ",", $ks)*, ") VALUES(?" $(, parameter!($ks))*,
                ") ON CONFLICT DO NOTHING"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
            first: concat!(
                "SELECT ", $k $(, ",", $ks)*, " FROM ", $table, " ORDER BY ", $k $(, ",", $ks)*
            ),
            after: concat!(
                "SELECT ", $k $(, ",", $ks)*, " FROM ", $table,
                " WHERE (", $k $(, ",", $ks)*, ")>(?" $(, parameter!($ks))*, ") ORDER BY ", $k $(, ",", $ks)*
            ),
            key: [$k $(, $ks)*].len(),
        }
    };
}

pub(crate) static META: Table = table!("chat_meta" ("name") => ("value"));
pub(crate) static USER: Table = table!("chat_user" ("user") => ("body"));
pub(crate) static SUBJECT: Table = table!("chat_subject" ("provider", "subject") => ("user"));
pub(crate) static SUFFIX: Table = table!("chat_suffix"("suffix", "user"));
pub(crate) static CREDENTIAL: Table = table!("chat_credential" ("user") => ("hash"));
pub(crate) static LOGIN: Table = table!("chat_login" ("login") => ("body"));
pub(crate) static BLOCK: Table = table!("chat_block"("by", "user"));
pub(crate) static CONVERSATION: Table = table!("chat_conversation" ("conversation") => ("body"));
pub(crate) static DIRECT: Table = table!("chat_direct" ("a", "b") => ("conversation"));
pub(crate) static NAMED: Table = table!("chat_named" ("name") => ("conversation"));
pub(crate) static MEMBER: Table = table!("chat_member" ("conversation", "user")
    => ("role", "ranges", "read", "read_ordinal", "delivered", "hidden", "muted_until", "archived", "mentions"));
pub(crate) static PARTED: Table = table!("chat_parted" ("conversation", "user") => ("body"));
pub(crate) static MARKS: Table = table!("chat_marks" ("conversation") => ("count"));
pub(crate) static HEAD: Table =
    table!("chat_head" ("log") => ("seq", "floor", "ordinal", "message", "at"));
/// Entries are found by [`places`].
static EVENT: Table = table!("chat_event" ("position")
    => ("at", "actor", "ordinal", "kind", "revision", "text", "data", "edited_at", "reply_to", "mentions", "reactions",
        "changed"));
const NEW_EVENT: &str = concat!(
    "INSERT INTO chat_event(",
    event_columns!(),
    ", log, seq) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
);
pub(crate) static REACTIONS: Table =
    table!("chat_reaction" ("conversation", "message", "user") => ("body"));
pub(crate) static DONE: Table = table!("chat_done" ("key", "author")
    => ("digest", "at", "conversation", "user", "login", "first", "count"));

fn table(key: &RowKey) -> Result<&'static Table, Fault> {
    Ok(match key {
        RowKey::User(..) => &USER,
        RowKey::Subject(..) => &SUBJECT,
        RowKey::Suffix(..) => &SUFFIX,
        RowKey::Credential(..) => &CREDENTIAL,
        RowKey::Login(..) => &LOGIN,
        RowKey::Block(..) => &BLOCK,
        RowKey::Conversation(..) => &CONVERSATION,
        RowKey::Direct(..) => &DIRECT,
        RowKey::Named(..) => &NAMED,
        RowKey::Member(..) => &MEMBER,
        RowKey::Parted(..) => &PARTED,
        RowKey::Marks(..) => &MARKS,
        RowKey::Head(..) => &HEAD,
        RowKey::Event(..) => &EVENT,
        RowKey::Reactions(..) => &REACTIONS,
        RowKey::Done(..) => &DONE,
        RowKey::Counter(..) | RowKey::Secret() | RowKey::Moving() => &META,
        _ => return Err(columns::unknown()),
    })
}

/// The row of a key.
pub(crate) fn get(db: &Connection, key: &RowKey) -> Result<Option<Row>, Fault> {
    get_with(db, &mut None, key)
}

/// The rows of keys, each handed over with its key: out of the cache, or else out of the database and into the cache. While
/// those of a kind stand together, their statement is looked up once.
pub(crate) fn get_all(
    db: &Connection,
    cache: &mut RowCache,
    keys: impl IntoIterator<Item = RowKey>,
    mut supply: impl FnMut(RowKey, Option<Row>),
) -> Result<(), Fault> {
    let mut last = None;
    for key in keys {
        let mut row = cache.get(&key);
        if row.is_none() {
            row = get_with(db, &mut last, &key)?;
            cache.put(&key, row.as_ref());
        }
        supply(key, row);
    }
    Ok(())
}

fn get_with<'d>(
    db: &'d Connection,
    last: &mut Last<'d>,
    key: &RowKey,
) -> Result<Option<Row>, Fault> {
    let statement = statement(db, last, table(key)?.get)?;
    if !bind_place(db, &mut Binder::new(statement), key)? {
        return Ok(None);
    }
    let mut rows = statement.raw_query();
    rows.next()?.map(|row| columns::read(key, row)).transpose()
}

/// The statement used last.
type Last<'d> = Option<(&'static str, CachedStatement<'d>)>;

/// The statement used last, if it is the same again.
fn statement<'a, 'd>(
    db: &'d Connection,
    last: &'a mut Last<'d>,
    sql: &'static str,
) -> Result<&'a mut CachedStatement<'d>, Fault> {
    match last {
        Some((same, _)) if std::ptr::eq(*same, sql) => {}
        _ => *last = Some((sql, db.prepare_cached(sql)?)),
    }
    let (_, statement) = last.as_mut().ok_or_else(columns::unknown)?;
    Ok(statement)
}

/// Puts (`Some`) and takes away (`None`) rows; the last of the three says whether it is known that no row stands there. One
/// that may be there is updated, and inserted if it was not: an upsert would copy each page aside before it changes it.
/// While the rows of a kind stand together, their statements are looked up once.
pub(crate) fn apply<'a>(
    db: &Connection,
    changes: impl IntoIterator<Item = (&'a RowKey, Option<&'a Row>, bool)>,
) -> Result<(), Fault> {
    let mut last = None;
    let mut appended = Appended::default();
    for (key, row, is_new) in changes {
        let table = table(key)?;
        let Some(row) = row else {
            let delete = statement(db, &mut last, table.delete)?;
            if bind_place(db, &mut Binder::new(delete), key)? {
                delete.raw_execute()?;
            }
            continue;
        };
        if let (RowKey::Head(log), Row::Head(head)) = (key, row)
            && appended.write_head(db, *log, head)?
        {
            continue;
        }
        if let Some(update) = table.update.filter(|_| !is_new) {
            let update = statement(db, &mut last, update)?;
            let mut to = Binder::new(update);
            columns::bind(&mut to, key, row)?;
            if bind_place(db, &mut to, key)? && update.raw_execute()? > 0 {
                continue;
            }
        }
        let insert = match key {
            RowKey::Event(..) => NEW_EVENT,
            _ => table.insert,
        };
        let insert = statement(db, &mut last, insert)?;
        let mut to = Binder::new(insert);
        columns::bind(&mut to, key, row)?;
        bind_key(&mut to, key)?;
        insert.raw_execute()?;
        if let RowKey::Event(log, seq) = key {
            appended.push(*log, *seq, db.last_insert_rowid())?;
            if !is_new {
                places::found(db, *log)?;
            }
        }
    }
    appended.settle(db)
}

/// Binds what a row is found by in its table. An entry is found by its position: `false` if there is none.
fn bind_place(db: &Connection, to: &mut Binder<'_, '_>, key: &RowKey) -> Result<bool, Fault> {
    let RowKey::Event(log, seq) = key else {
        return bind_key(to, key).map(|()| true);
    };
    let place = places::of(db, *log, *seq)?;
    place.map(|place| to.int(place)).transpose()?;
    Ok(place.is_some())
}

pub(crate) fn bind_key(to: &mut Binder<'_, '_>, key: &RowKey) -> Result<(), Fault> {
    match key {
        RowKey::User(user) | RowKey::Credential(user) => to.id(*user),
        RowKey::Subject(provider, subject) => {
            to.text(provider.as_bytes())?;
            to.text(subject.as_bytes())
        }
        RowKey::Suffix(suffix, user) => {
            to.text(suffix.as_bytes())?;
            to.id(*user)
        }
        RowKey::Login(login) => to.id(*login),
        RowKey::Block(a, b) | RowKey::Direct(a, b) => {
            to.id(*a)?;
            to.id(*b)
        }
        RowKey::Conversation(conversation) | RowKey::Marks(conversation) => to.id(*conversation),
        RowKey::Named(name) => to.text(name.as_bytes()),
        RowKey::Member(conversation, user) | RowKey::Parted(conversation, user) => {
            to.id(*conversation)?;
            to.id(*user)
        }
        RowKey::Head(log) => to.int(log_to_int(*log)),
        RowKey::Event(log, seq) => {
            to.int(log_to_int(*log))?;
            to.id(*seq)
        }
        RowKey::Reactions(conversation, message, user) => {
            to.id(*conversation)?;
            to.id(*message)?;
            to.id(*user)
        }
        RowKey::Done(key, author) => {
            to.blob(&key.bytes())?;
            to.int(actor_to_int(*author))
        }
        RowKey::Counter(counter) => to.text(match counter {
            Counter::User => b"last user",
            Counter::Conversation => b"last conversation",
            Counter::Login => b"last login",
        }),
        RowKey::Secret() => to.text(b"secret"),
        RowKey::Moving() => to.text(b"moving"),
        _ => Err(columns::unknown()),
    }
}
