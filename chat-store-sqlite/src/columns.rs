//! How values stand in columns: rows into parameters, and columns back into rows.

use chat_core::rules::{Done, EventRow, Row, RowKey};
use chat_core::{
    Actor, Content, ConversationId, Data, Error, EventKind, Head, LogId, LoginId, Member, Message,
    Role, Seq, Timestamp, UserId,
};
use rusqlite::CachedStatement;
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// The columns of a `chat_member m`, as [`member`] reads them.
macro_rules! member_columns {
    () => {
        "m.role, m.ranges, m.read, m.read_ordinal, m.delivered, m.hidden, m.muted_until, m.archived, m.mentions"
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

/// The columns of a `chat_event`, as [`event`] reads them.
macro_rules! event_columns {
    () => {
        "at, actor, ordinal, kind, revision, text, data, edited_at, reply_to, mentions, reactions, changed"
    };
}
pub(crate) use event_columns;

/// Binds parameters one after another.
pub(crate) struct Binder<'a, 's> {
    statement: &'a mut CachedStatement<'s>,
    next: usize,
}

impl<'a, 's> Binder<'a, 's> {
    pub(crate) fn new(statement: &'a mut CachedStatement<'s>) -> Self {
        Self { statement, next: 1 }
    }

    pub(crate) fn value(&mut self, value: ValueRef<'_>) -> Result<(), Fault> {
        self.statement
            .raw_bind_parameter(self.next, ToSqlOutput::Borrowed(value))?;
        self.next += 1;
        Ok(())
    }

    pub(crate) fn int(&mut self, value: i64) -> Result<(), Fault> {
        self.value(ValueRef::Integer(value))
    }

    pub(crate) fn id(&mut self, value: impl Into<u64>) -> Result<(), Fault> {
        self.int(int(value.into()))
    }

    pub(crate) fn optional(&mut self, value: Option<i64>) -> Result<(), Fault> {
        self.value(value.map_or(ValueRef::Null, ValueRef::Integer))
    }

    pub(crate) fn text(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.value(ValueRef::Text(value))
    }

    fn nulls(&mut self, count: usize) -> Result<(), Fault> {
        (0..count).try_for_each(|_| self.value(ValueRef::Null))
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), Fault> {
        let json = serde_json::to_vec(value)
            .map_err(|e| Error::internal("a row cannot be encoded").with_source(e))?;
        self.text(&json)
    }

    /// JSON, or null for an empty list.
    fn list(&mut self, list: &[impl Serialize]) -> Result<(), Fault> {
        if list.is_empty() {
            self.value(ValueRef::Null)
        } else {
            self.json(&list)
        }
    }

    fn optional_text(&mut self, value: Option<&str>) -> Result<(), Fault> {
        self.value(value.map_or(ValueRef::Null, ValueRef::from))
    }

    pub(crate) fn blob(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.value(ValueRef::Blob(value))
    }
}

/// Binds a row's values, in the order of its table's columns.
pub(crate) fn bind(to: &mut Binder<'_, '_>, key: &RowKey, row: &Row) -> Result<(), Fault> {
    match row {
        Row::Event(event) => match key {
            RowKey::Event(log, seq) => bind_event(to, *log, *seq, event),
            _ => Err(unknown()),
        },
        Row::Subject(user) => to.id(*user),
        Row::Suffix(()) | Row::Block(()) => Ok(()),
        Row::Credential(hash) => to.text(hash.as_bytes()),
        Row::Direct(conversation) | Row::Named(conversation) => to.id(*conversation),
        Row::Member(member) => {
            to.optional(member.role.map(role_to_int))?;
            to.json(&member.ranges)?;
            to.id(member.read)?;
            to.id(member.read_ordinal)?;
            to.id(member.delivered)?;
            to.id(member.hidden)?;
            to.optional(member.muted_until.map(Timestamp::millis))?;
            to.int(member.archived.into())?;
            if member.mentions.is_empty() {
                to.value(ValueRef::Null)
            } else {
                to.json(&member.mentions)
            }
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
        Row::Counter(last) | Row::Marks(last) => to.id(*last),
        Row::Secret(secret) => to.blob(secret),
        Row::User(_)
        | Row::Login(_)
        | Row::Conversation(_)
        | Row::Parted(_)
        | Row::Reactions(_)
        | Row::Moving(_) => to.text(&row.encode()?),
        _ => Err(unknown()),
    }
}

/// An event that posted a message has no `kind`, and one without a message has no `revision`. What a message has in common
/// with the event that created it is stored once.
fn bind_event(
    to: &mut Binder<'_, '_>,
    log: LogId,
    seq: Seq,
    event: &EventRow,
) -> Result<(), Fault> {
    to.int(event.at.millis())?;
    to.int(actor_to_int(event.actor))?;
    to.id(event.ordinal)?;
    match event.kind {
        EventKind::Posted => to.value(ValueRef::Null)?,
        ref kind => to.json(kind)?,
    }
    let Some(message) = &event.message else {
        return to.nulls(8);
    };
    if LogId::from(message.conversation) != log
        || message.seq != seq
        || message.ordinal != event.ordinal
        || message.sender != event.actor
        || message.at != event.at
    {
        return Err(unknown());
    }
    to.int(message.revision.into())?;
    let content = message.content.as_ref();
    to.optional_text(content.map(|content| content.text.as_str()))?;
    let data = content.and_then(|content| content.data.as_ref());
    to.optional_text(data.map(Data::json))?;
    to.optional(message.edited_at.map(Timestamp::millis))?;
    to.optional(message.reply_to.map(int))?;
    to.list(&message.mentions)?;
    to.list(&message.reactions)?;
    let changed = Some(message.changed).filter(|changed| *changed > 0);
    to.optional(changed.map(int))
}

/// The row of a key from all its table's value columns.
pub(crate) fn read(key: &RowKey, row: &rusqlite::Row<'_>) -> Result<Row, Fault> {
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
        RowKey::Event(log, seq) => Row::Event(event(row, 0, *log, *seq)?),
        RowKey::Counter(..) => Row::Counter(number(row, 0)?),
        RowKey::Marks(..) => Row::Marks(number(row, 0)?),
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
    Ok(Member {
        conversation,
        user,
        role: row.get::<_, Option<i64>>(at)?.map(role).transpose()?,
        ranges: json(row, at + 1)?.ok_or_else(damaged)?,
        read: number(row, at + 2)?,
        read_ordinal: number(row, at + 3)?,
        delivered: number(row, at + 4)?,
        hidden: number(row, at + 5)?,
        muted_until: row
            .get::<_, Option<i64>>(at + 6)?
            .map(Timestamp::from_millis),
        archived: row.get(at + 7)?,
        mentions: json(row, at + 8)?.unwrap_or_default(),
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

/// An entry of a log from the [`event_columns`] that begin at a column.
pub(crate) fn event(
    row: &rusqlite::Row<'_>,
    at: usize,
    log: LogId,
    seq: Seq,
) -> Result<EventRow, Fault> {
    let time = Timestamp::from_millis(row.get(at)?);
    let actor = actor(row, at + 1)?;
    let ordinal = number(row, at + 2)?;
    let kind = json(row, at + 3)?.unwrap_or(EventKind::Posted);
    let message = match (row.get(at + 4)?, log) {
        (None, _) => None,
        (Some(revision), LogId::Conversation(conversation)) => Some(Message {
            conversation,
            seq,
            ordinal,
            sender: actor,
            at: time,
            content: content(row, at + 5)?,
            revision,
            edited_at: row
                .get::<_, Option<i64>>(at + 7)?
                .map(Timestamp::from_millis),
            reply_to: optional_number(row, at + 8)?,
            mentions: json(row, at + 9)?.unwrap_or_default(),
            reactions: json(row, at + 10)?.unwrap_or_default(),
            changed: optional_number(row, at + 11)?.unwrap_or(0),
        }),
        (Some(_), LogId::User(_)) => return Err(damaged().into()),
    };
    Ok(EventRow {
        at: time,
        actor,
        kind,
        ordinal,
        message,
    })
}

fn content(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Content>, Fault> {
    let Some(text) = row.get(at)? else {
        return Ok(None);
    };
    let data: Option<String> = row.get(at + 1)?;
    let data = data.map(Data::from_json).transpose();
    Ok(Some(Content {
        text,
        data: data.map_err(|_| damaged())?,
    }))
}

/// What a column's JSON says, if there is any.
fn json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<T>, Fault> {
    let json = row.get_ref(at)?.as_bytes_or_null().map_err(conversion)?;
    json.map(serde_json::from_slice)
        .transpose()
        .map_err(|e| damaged().with_source(e).into())
}

/// An actor from a column.
pub(crate) fn actor(row: &rusqlite::Row<'_>, at: usize) -> Result<Actor, Fault> {
    Ok(match number(row, at)? {
        0 => Actor::Host,
        id => Actor::User(UserId::new(id).map_err(|_| damaged())?),
    })
}

/// An actor in SQL: the host is 0.
pub(crate) fn actor_to_int(actor: Actor) -> i64 {
    match actor {
        Actor::Host => 0,
        Actor::User(user) => int(user.get()),
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

fn optional_number(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<u64>, Fault> {
    row.get::<_, Option<i64>>(at)?
        .map(|number| u64::try_from(number).map_err(|_| damaged().into()))
        .transpose()
}

fn optional_id<T>(
    row: &rusqlite::Row<'_>,
    at: usize,
    new: impl FnOnce(u64) -> Result<T, Error>,
) -> Result<Option<T>, Fault> {
    optional_number(row, at)?
        .map(|id| new(id).map_err(|_| damaged().into()))
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

/// What a value of another type is answered with.
pub(crate) fn conversion(error: rusqlite::types::FromSqlError) -> Fault {
    Fault::Sql(rusqlite::Error::FromSqlConversionFailure(
        0,
        Type::Text,
        Box::new(error),
    ))
}

/// What a value that cannot be is answered with.
pub(crate) fn damaged() -> Error {
    Error::internal("a stored row cannot be read: restore the database from a backup")
}

/// What is answered by a store that a copy into is not finished.
pub(crate) fn half_copied() -> Error {
    Error::unavailable("a copy into this store is not finished: finish it, or use another store")
}

/// What is answered for rows that have no place here.
pub(crate) fn unknown() -> Fault {
    Fault::Domain(Error::internal(
        "the rules know a kind of row that this store does not: use the same version of both",
    ))
}
