//! Where each kind of row lives: the one mapping from [`RowKey`] to SQL.
//!
//! Key parts are typed columns. What is written with every message or read by the thousand (heads, members, keys done) is
//! typed columns too; the rest is the row's JSON. A log is named by one integer: a conversation's id, or a user's id
//! negated.

use chat_core::rules::{Counter, Done, EventRow, Row, RowKey};
use chat_core::{
    Actor, ConversationId, Error, Head, LogId, LoginId, Member, Ranges, Role, Seq, Timestamp,
    UserId,
};
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::fault::Fault;

/// The statements of one kind of row.
struct Table {
    get: &'static str,
    put: &'static str,
    delete: &'static str,
}

/// A parameter for each name.
macro_rules! parameter {
    ($name:literal) => {
        ",?"
    };
}

/// The statements for `table (key columns) => (value columns)`. Putting is an upsert: unlike `REPLACE`, it leaves alone
/// the indexes of columns that stay the same.
macro_rules! table {
    ($table:literal ($k:literal $(, $ks:literal)*) => ($v:literal $(, $vs:literal)*)) => {
        Table {
            get: concat!(
                "SELECT ", $v $(, ",", $vs)*, " FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*
            ),
            put: concat!(
                "INSERT INTO ", $table, "(", $k $(, ",", $ks)*, ",", $v $(, ",", $vs)*, ") VALUES(?"
                $(, parameter!($ks))*, parameter!($v) $(, parameter!($vs))*,
                ") ON CONFLICT(", $k $(, ",", $ks)*, ") DO UPDATE SET ",
                $v, "=excluded.", $v $(, ",", $vs, "=excluded.", $vs)*
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
        }
    };
    ($table:literal ($k:literal $(, $ks:literal)*)) => {
        Table {
            get: concat!("SELECT 1 FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
            put: concat!(
                "INSERT INTO ", $table, "(", $k $(, ",", $ks)*, ") VALUES(?" $(, parameter!($ks))*,
                ") ON CONFLICT DO NOTHING"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $k, "=?" $(, " AND ", $ks, "=?")*),
        }
    };
}

static META: Table = table!("chat_meta" ("name") => ("value"));
static USER: Table = table!("chat_user" ("user") => ("body"));
static SUBJECT: Table = table!("chat_subject" ("provider", "subject") => ("user"));
static SUFFIX: Table = table!("chat_suffix"("suffix", "user"));
static CREDENTIAL: Table = table!("chat_credential" ("user") => ("hash"));
static LOGIN: Table = table!("chat_login" ("login") => ("body"));
static BLOCK: Table = table!("chat_block"("by", "user"));
static CONVERSATION: Table = table!("chat_conversation" ("conversation") => ("body"));
static DIRECT: Table = table!("chat_direct" ("a", "b") => ("conversation"));
static NAMED: Table = table!("chat_named" ("name") => ("conversation"));
static MEMBER: Table = table!("chat_member" ("conversation", "user")
    => ("role", "ranges", "read", "read_ordinal", "delivered", "hidden", "muted_until", "archived"));
static HEAD: Table = table!("chat_head" ("log") => ("seq", "floor", "ordinal", "message", "at"));
static EVENT: Table = table!("chat_event" ("log", "seq") => ("body"));
static REACTIONS: Table = table!("chat_reaction" ("conversation", "message", "user") => ("body"));
static DONE: Table = table!("chat_done" ("key", "author")
    => ("digest", "at", "conversation", "user", "login", "first", "count"));

/// The columns of a `chat_member m`, as [`member`] reads them.
macro_rules! member_columns {
    () => {
        "m.role, m.ranges, m.read, m.read_ordinal, m.delivered, m.hidden, m.muted_until, m.archived"
    };
}
pub(crate) use member_columns;

/// The columns of a `chat_head h`, as [`head`] reads them.
macro_rules! head_columns {
    () => {
        "h.seq, h.floor, h.ordinal, h.message, h.at"
    };
}
pub(crate) use head_columns;

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
        RowKey::Head(..) => &HEAD,
        RowKey::Event(..) => &EVENT,
        RowKey::Reactions(..) => &REACTIONS,
        RowKey::Done(..) => &DONE,
        RowKey::Counter(..) | RowKey::Secret() => &META,
        _ => return Err(unknown()),
    })
}

/// The row of a key.
pub(crate) fn get(db: &Connection, key: &RowKey) -> Result<Option<Row>, Fault> {
    let mut statement = db.prepare_cached(table(key)?.get)?;
    bind_key(&mut Binder::new(&mut statement), key)?;
    let mut rows = statement.raw_query();
    rows.next()?.map(|row| read(key, row)).transpose()
}

/// Puts (`Some`) and takes away (`None`) rows. While those of a kind stand together, its statement is looked up once.
pub(crate) fn apply<'a>(
    db: &Connection,
    changes: impl IntoIterator<Item = (&'a RowKey, &'a Option<Row>)>,
) -> Result<(), Fault> {
    let mut last: Option<(&'static str, CachedStatement<'_>)> = None;
    for (key, row) in changes {
        let table = table(key)?;
        let sql = if row.is_some() {
            table.put
        } else {
            table.delete
        };
        let statement = match &mut last {
            Some((same, statement)) if std::ptr::eq(*same, sql) => statement,
            _ => &mut last.insert((sql, db.prepare_cached(sql)?)).1,
        };
        let mut to = Binder::new(statement);
        bind_key(&mut to, key)?;
        if let Some(row) = row {
            bind_row(&mut to, row)?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}

/// Binds parameters one after another.
struct Binder<'a, 's> {
    statement: &'a mut CachedStatement<'s>,
    next: usize,
}

impl<'a, 's> Binder<'a, 's> {
    fn new(statement: &'a mut CachedStatement<'s>) -> Self {
        Self { statement, next: 1 }
    }

    fn value(&mut self, value: ValueRef<'_>) -> Result<(), Fault> {
        self.statement
            .raw_bind_parameter(self.next, ToSqlOutput::Borrowed(value))?;
        self.next += 1;
        Ok(())
    }

    fn int(&mut self, value: i64) -> Result<(), Fault> {
        self.value(ValueRef::Integer(value))
    }

    fn id(&mut self, value: impl Into<u64>) -> Result<(), Fault> {
        self.int(int(value.into()))
    }

    fn optional(&mut self, value: Option<i64>) -> Result<(), Fault> {
        self.value(value.map_or(ValueRef::Null, ValueRef::Integer))
    }

    fn text(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.value(ValueRef::Text(value))
    }

    fn blob(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.value(ValueRef::Blob(value))
    }
}

fn bind_key(to: &mut Binder<'_, '_>, key: &RowKey) -> Result<(), Fault> {
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
        RowKey::Conversation(conversation) => to.id(*conversation),
        RowKey::Named(name) => to.text(name.as_bytes()),
        RowKey::Member(conversation, user) => {
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
            to.int(match author {
                Actor::Host => 0,
                Actor::User(user) => int(user.get()),
            })
        }
        RowKey::Counter(counter) => to.text(match counter {
            Counter::User => b"last user",
            Counter::Conversation => b"last conversation",
            Counter::Login => b"last login",
        }),
        RowKey::Secret() => to.text(b"secret"),
        _ => Err(unknown()),
    }
}

fn bind_row(to: &mut Binder<'_, '_>, row: &Row) -> Result<(), Fault> {
    match row {
        Row::Subject(user) => to.id(*user),
        Row::Suffix(()) | Row::Block(()) => Ok(()),
        Row::Credential(hash) => to.text(hash.as_bytes()),
        Row::Direct(conversation) | Row::Named(conversation) => to.id(*conversation),
        Row::Member(member) => {
            to.optional(member.role.map(role_to_int))?;
            let ranges = serde_json::to_vec(&member.ranges).map_err(|_| unknown())?;
            to.text(&ranges)?;
            to.id(member.read)?;
            to.id(member.read_ordinal)?;
            to.id(member.delivered)?;
            to.id(member.hidden)?;
            to.optional(member.muted_until.map(Timestamp::millis))?;
            to.int(member.archived.into())
        }
        Row::Head(head) => {
            to.id(head.seq)?;
            to.id(head.floor)?;
            to.id(head.ordinal)?;
            to.id(head.message)?;
            to.int(head.at.millis())
        }
        Row::Done(done) => {
            to.blob(&done.digest)?;
            to.int(done.at.millis())?;
            to.optional(done.conversation.map(|id| int(id.get())))?;
            to.optional(done.user.map(|id| int(id.get())))?;
            to.optional(done.login.map(|id| int(id.get())))?;
            to.id(done.first)?;
            to.int(done.count.into())
        }
        Row::Counter(last) => to.id(*last),
        Row::Secret(secret) => to.blob(secret),
        Row::User(_) | Row::Login(_) | Row::Conversation(_) | Row::Event(_) | Row::Reactions(_) => {
            to.text(&row.encode()?)
        }
        _ => Err(unknown()),
    }
}

fn read(key: &RowKey, row: &rusqlite::Row<'_>) -> Result<Row, Fault> {
    Ok(match key {
        RowKey::Subject(..) => Row::Subject(user(row, 0)?),
        RowKey::Suffix(..) => Row::Suffix(()),
        RowKey::Block(..) => Row::Block(()),
        RowKey::Credential(..) => Row::Credential(row.get(0)?),
        RowKey::Direct(..) => Row::Direct(conversation(row, 0)?),
        RowKey::Named(..) => Row::Named(conversation(row, 0)?),
        RowKey::Member(conversation, user) => Row::Member(member(row, 0, *conversation, *user)?),
        RowKey::Head(..) => Row::Head(head(row, 0)?),
        RowKey::Done(..) => Row::Done(Done {
            digest: row.get(0)?,
            at: Timestamp::from_millis(row.get(1)?),
            conversation: optional_id(row, 2, ConversationId::new)?,
            user: optional_id(row, 3, UserId::new)?,
            login: optional_id(row, 4, LoginId::new)?,
            first: number(row, 5)?,
            count: row.get(6)?,
        }),
        RowKey::Counter(..) => Row::Counter(number(row, 0)?),
        RowKey::Secret() => Row::Secret(row.get(0)?),
        _ => Row::decode(key, row.get_ref(0)?.as_bytes().map_err(conversion)?)?,
    })
}

/// A member from the [`member_columns`] that begin at a column.
pub(crate) fn member(
    row: &rusqlite::Row<'_>,
    at: usize,
    conversation: ConversationId,
    user: UserId,
) -> Result<Member, Fault> {
    let ranges: Ranges =
        serde_json::from_slice(row.get_ref(at + 1)?.as_bytes().map_err(conversion)?)
            .map_err(|e| damaged().with_source(e))?;
    Ok(Member {
        conversation,
        user,
        role: row.get::<_, Option<i64>>(at)?.map(role).transpose()?,
        ranges,
        read: number(row, at + 2)?,
        read_ordinal: number(row, at + 3)?,
        delivered: number(row, at + 4)?,
        hidden: number(row, at + 5)?,
        muted_until: row
            .get::<_, Option<i64>>(at + 6)?
            .map(Timestamp::from_millis),
        archived: row.get(at + 7)?,
    })
}

/// A head from the [`head_columns`] that begin at a column; nulls (an outer join without a head) are a log without events.
pub(crate) fn head(row: &rusqlite::Row<'_>, at: usize) -> Result<Head, Fault> {
    if row.get_ref(at)? == ValueRef::Null {
        return Ok(Head::default());
    }
    Ok(Head {
        seq: number(row, at)?,
        floor: number(row, at + 1)?,
        ordinal: number(row, at + 2)?,
        message: number(row, at + 3)?,
        at: Timestamp::from_millis(row.get(at + 4)?),
    })
}

/// An entry of a log from its body's column.
pub(crate) fn event(
    row: &rusqlite::Row<'_>,
    at: usize,
    log: LogId,
    seq: Seq,
) -> Result<EventRow, Fault> {
    let body = row.get_ref(at)?.as_bytes().map_err(conversion)?;
    match Row::decode(&RowKey::Event(log, seq), body)? {
        Row::Event(event) => Ok(event),
        _ => Err(damaged().into()),
    }
}

/// A user's id from a column.
pub(crate) fn user(row: &rusqlite::Row<'_>, at: usize) -> Result<UserId, Fault> {
    UserId::new(number(row, at)?).map_err(|_| damaged().into())
}

/// A conversation's id from a column.
pub(crate) fn conversation(row: &rusqlite::Row<'_>, at: usize) -> Result<ConversationId, Fault> {
    ConversationId::new(number(row, at)?).map_err(|_| damaged().into())
}

/// A number that is never negative from a column.
pub(crate) fn number(row: &rusqlite::Row<'_>, at: usize) -> Result<u64, Fault> {
    u64::try_from(row.get::<_, i64>(at)?).map_err(|_| damaged().into())
}

fn optional_id<T>(
    row: &rusqlite::Row<'_>,
    at: usize,
    new: impl FnOnce(u64) -> Result<T, Error>,
) -> Result<Option<T>, Fault> {
    row.get::<_, Option<i64>>(at)?
        .map(|id| new(u64::try_from(id).unwrap_or(0)).map_err(|_| damaged().into()))
        .transpose()
}

/// A log's name in SQL.
pub(crate) fn log_to_int(log: LogId) -> i64 {
    match log {
        LogId::Conversation(id) => int(id.get()),
        LogId::User(id) => -int(id.get()),
    }
}

/// The log of a column.
pub(crate) fn log(row: &rusqlite::Row<'_>, at: usize) -> Result<LogId, Fault> {
    let name: i64 = row.get(at)?;
    let id = name.unsigned_abs();
    if name < 0 {
        UserId::new(id).map(LogId::User)
    } else {
        ConversationId::new(id).map(LogId::Conversation)
    }
    .map_err(|_| damaged().into())
}

/// SQLite's integers are signed; whatever is larger lies beyond everything stored.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn role_to_int(role: Role) -> i64 {
    match role {
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

fn role(value: i64) -> Result<Role, Fault> {
    match value {
        1 => Ok(Role::Member),
        2 => Ok(Role::Admin),
        3 => Ok(Role::Owner),
        _ => Err(damaged().into()),
    }
}

fn conversion(error: rusqlite::types::FromSqlError) -> Fault {
    Fault::Sql(rusqlite::Error::FromSqlConversionFailure(
        0,
        Type::Text,
        Box::new(error),
    ))
}

fn damaged() -> Error {
    Error::internal("a stored row cannot be read: restore the database from a backup")
}

fn unknown() -> Fault {
    Fault::Domain(Error::internal(
        "the rules know a kind of row that this store does not: use the same version of both",
    ))
}
