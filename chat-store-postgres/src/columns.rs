//! How values stand in columns: rows into parameters, and columns back into rows.
//!
//! Three types of columns only, so that any library of a host can carry them: integers, texts, bytes.

use std::borrow::Cow;

use chat_core::rules::{Counter, Done, EventRow, Row, RowKey};
use chat_core::{
    Actor, Content, ConversationId, Data, Error, EventKind, Head, Key, LogId, LoginId, Member,
    Message, Role, Seq, Timestamp, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::executor::Value;

/// The columns of one row, taken one after another.
pub(crate) struct Cells(std::vec::IntoIter<Value>);

impl Cells {
    pub(crate) fn new(row: Vec<Value>) -> Self {
        Self(row.into_iter())
    }

    fn optional_int(&mut self) -> Result<Option<i64>, Error> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(damaged()),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        self.optional_int()?.ok_or_else(damaged)
    }

    /// A number that is never negative.
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        u64::try_from(self.int()?).map_err(|_| damaged())
    }

    fn optional_number(&mut self) -> Result<Option<u64>, Error> {
        let number = self.optional_int()?.map(u64::try_from);
        number.transpose().map_err(|_| damaged())
    }

    fn optional_id<T>(
        &mut self,
        new: impl FnOnce(u64) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let id = self.optional_number()?.map(new);
        id.transpose().map_err(|_| damaged())
    }

    fn optional_text(&mut self) -> Result<Option<String>, Error> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(damaged()),
        }
    }

    /// A text that may hold any character.
    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let text = self.optional_text()?.ok_or_else(damaged)?;
        unescaped(text)
    }

    fn json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let json = self.optional_text()?;
        json.map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|e| damaged().with_source(e))
    }

    fn some_bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(damaged()),
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.some_bytes()?.try_into().map_err(|_| damaged())
    }

    pub(crate) fn user(&mut self) -> Result<UserId, Error> {
        UserId::new(self.number()?).map_err(|_| damaged())
    }

    pub(crate) fn conversation(&mut self) -> Result<ConversationId, Error> {
        ConversationId::new(self.number()?).map_err(|_| damaged())
    }

    pub(crate) fn login(&mut self) -> Result<LoginId, Error> {
        LoginId::new(self.number()?).map_err(|_| damaged())
    }

    pub(crate) fn key(&mut self) -> Result<Key, Error> {
        self.bytes().map(Key::new)
    }

    pub(crate) fn log(&mut self) -> Result<LogId, Error> {
        int_to_log(self.int()?)
    }

    pub(crate) fn actor(&mut self) -> Result<Actor, Error> {
        Ok(match self.number()? {
            0 => Actor::Host,
            id => Actor::User(UserId::new(id).map_err(|_| damaged())?),
        })
    }

    fn optional_time(&mut self) -> Result<Option<Timestamp>, Error> {
        Ok(self.optional_int()?.map(Timestamp::from_millis))
    }

    fn time(&mut self) -> Result<Timestamp, Error> {
        self.int().map(Timestamp::from_millis)
    }

    /// The value columns of a `chat_member`.
    pub(crate) fn member(
        &mut self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Member, Error> {
        Ok(Member {
            conversation,
            user,
            role: self.optional_int()?.map(int_to_role).transpose()?,
            ranges: self.json()?.ok_or_else(damaged)?,
            read: self.number()?,
            read_ordinal: self.number()?,
            delivered: self.number()?,
            hidden: self.number()?,
            muted_until: self.optional_time()?,
            archived: self.int()? != 0,
            mentions: self.json()?.unwrap_or_default(),
        })
    }

    /// The value columns of a `chat_head`; nulls (an outer join without a head) are a log without entries.
    pub(crate) fn head(&mut self) -> Result<Head, Error> {
        let Some(seq) = self.optional_number()? else {
            return Ok(Head::default());
        };
        Ok(Head {
            seq,
            floor: self.number()?,
            ordinal: self.number()?,
            message: self.number()?,
            at: self.time()?,
        })
    }

    /// The value columns of a `chat_event`.
    pub(crate) fn event(&mut self, log: LogId, seq: Seq) -> Result<EventRow, Error> {
        let (at, actor) = (self.time()?, self.actor()?);
        let ordinal = self.number()?;
        let kind = self.json()?.unwrap_or(EventKind::Posted);
        let message = match (self.optional_number()?, log) {
            (None, _) => None,
            (Some(revision), LogId::Conversation(conversation)) => Some(Message {
                conversation,
                seq,
                ordinal,
                sender: actor,
                at,
                content: self.content()?,
                revision: u32::try_from(revision).map_err(|_| damaged())?,
                edited_at: self.optional_time()?,
                reply_to: self.optional_number()?,
                mentions: self.json()?.unwrap_or_default(),
                reactions: self.json()?.unwrap_or_default(),
                changed: self.optional_number()?.unwrap_or(0),
            }),
            (Some(_), LogId::User(_)) => return Err(damaged()),
        };
        Ok(EventRow {
            at,
            actor,
            kind,
            ordinal,
            message,
        })
    }

    fn content(&mut self) -> Result<Option<Content>, Error> {
        let (text, data) = (self.optional_text()?, self.optional_text()?);
        let Some(text) = text else {
            return Ok(None);
        };
        let data = data.map(Data::from_json).transpose();
        Ok(Some(Content {
            text: unescaped(text)?,
            data: data.map_err(|_| damaged())?,
        }))
    }

    /// The row of a key from all its table's value columns.
    pub(crate) fn row(&mut self, key: &RowKey) -> Result<Row, Error> {
        Ok(match key {
            RowKey::Subject(..) => Row::Subject(self.user()?),
            RowKey::Suffix(..) => Row::Suffix(()),
            RowKey::Block(..) => Row::Block(()),
            RowKey::Credential(..) => Row::Credential(self.text()?),
            RowKey::Direct(..) => Row::Direct(self.conversation()?),
            RowKey::Named(..) => Row::Named(self.conversation()?),
            RowKey::Member(conversation, user) => Row::Member(self.member(*conversation, *user)?),
            RowKey::Head(..) => Row::Head(self.head()?),
            RowKey::Done(..) => Row::Done(Done {
                digest: self.bytes()?,
                at: self.time()?,
                conversation: self.optional_id(ConversationId::new)?,
                user: self.optional_id(UserId::new)?,
                login: self.optional_id(LoginId::new)?,
                first: self.number()?,
                count: u32::try_from(self.number()?).map_err(|_| damaged())?,
            }),
            RowKey::Event(log, seq) => Row::Event(self.event(*log, *seq)?),
            RowKey::Counter(..) => Row::Counter(self.number()?),
            RowKey::Marks(..) => Row::Marks(self.number()?),
            RowKey::Secret() => Row::Secret(self.bytes()?),
            RowKey::Moving() => Row::decode(key, &self.some_bytes()?)?,
            _ => {
                let body = self.optional_text()?.ok_or_else(damaged)?;
                Row::decode(key, body.as_bytes())?
            }
        })
    }
}

/// A row's key, in the order of its table's key columns.
pub(crate) fn key(key: &RowKey) -> Result<Vec<Value>, Error> {
    Ok(match key {
        RowKey::User(user) | RowKey::Credential(user) => vec![id(*user)],
        RowKey::Subject(provider, subject) => vec![text(provider), text(subject)],
        RowKey::Suffix(suffix, user) => vec![text(suffix), id(*user)],
        RowKey::Login(login) => vec![id(*login)],
        RowKey::Block(a, b) | RowKey::Direct(a, b) => vec![id(*a), id(*b)],
        RowKey::Conversation(conversation) | RowKey::Marks(conversation) => {
            vec![id(*conversation)]
        }
        RowKey::Named(name) => vec![text(name)],
        RowKey::Member(conversation, user) | RowKey::Parted(conversation, user) => {
            vec![id(*conversation), id(*user)]
        }
        RowKey::Head(log) => vec![Value::Int(log_to_int(*log))],
        RowKey::Event(log, seq) => vec![Value::Int(log_to_int(*log)), id(*seq)],
        RowKey::Reactions(conversation, message, user) => {
            vec![id(*conversation), id(*message), id(*user)]
        }
        RowKey::Done(key, author) => vec![
            Value::Bytes(key.bytes().to_vec()),
            Value::Int(actor_to_int(*author)),
        ],
        RowKey::Counter(counter) => vec![text(counter_name(*counter))],
        RowKey::Secret() => vec![text("secret")],
        RowKey::Moving() => vec![text("moving")],
        _ => return Err(unknown()),
    })
}

/// A row's values, in the order of its table's value columns.
pub(crate) fn values(key: &RowKey, row: &Row) -> Result<Vec<Value>, Error> {
    Ok(match row {
        Row::Event(event) => match key {
            RowKey::Event(log, seq) => event_values(*log, *seq, event)?,
            _ => return Err(unknown()),
        },
        Row::Subject(user) => vec![id(*user)],
        Row::Suffix(()) | Row::Block(()) => Vec::new(),
        Row::Credential(hash) => vec![text(hash)],
        Row::Direct(conversation) | Row::Named(conversation) => vec![id(*conversation)],
        Row::Member(member) => vec![
            optional(member.role.map(role_to_int)),
            json(&member.ranges)?,
            id(member.read),
            id(member.read_ordinal),
            id(member.delivered),
            id(member.hidden),
            optional(member.muted_until.map(Timestamp::millis)),
            Value::Int(member.archived.into()),
            list(&member.mentions)?,
        ],
        Row::Head(head) => vec![
            id(head.seq),
            id(head.floor),
            id(head.ordinal),
            id(head.message),
            Value::Int(head.at.millis()),
        ],
        Row::Done(done) => vec![
            Value::Bytes(done.digest.to_vec()),
            Value::Int(done.at.millis()),
            optional(done.conversation.map(|id| int(id.get()))),
            optional(done.user.map(|id| int(id.get()))),
            optional(done.login.map(|id| int(id.get()))),
            id(done.first),
            Value::Int(done.count.into()),
        ],
        Row::Counter(last) | Row::Marks(last) => vec![id(*last)],
        Row::Secret(secret) => vec![Value::Bytes(secret.to_vec())],
        Row::Moving(_) => vec![Value::Bytes(row.encode()?)],
        Row::User(_)
        | Row::Login(_)
        | Row::Conversation(_)
        | Row::Parted(_)
        | Row::Reactions(_) => {
            let body = String::from_utf8(row.encode()?).map_err(|_| unknown())?;
            vec![Value::Text(body)]
        }
        _ => return Err(unknown()),
    })
}

/// An event that posted a message has no `kind`, and one without a message has no `revision`. What a message has in common
/// with the event that created it is stored once.
fn event_values(log: LogId, seq: Seq, event: &EventRow) -> Result<Vec<Value>, Error> {
    let mut cells = vec![
        Value::Int(event.at.millis()),
        Value::Int(actor_to_int(event.actor)),
        id(event.ordinal),
        match event.kind {
            EventKind::Posted => Value::Null,
            ref kind => json(kind)?,
        },
    ];
    let Some(message) = &event.message else {
        cells.extend(std::iter::repeat_n(Value::Null, 8));
        return Ok(cells);
    };
    if LogId::from(message.conversation) != log
        || message.seq != seq
        || message.ordinal != event.ordinal
        || message.sender != event.actor
        || message.at != event.at
    {
        return Err(unknown());
    }
    let content = message.content.as_ref();
    let data = content.and_then(|content| content.data.as_ref());
    cells.extend([
        Value::Int(message.revision.into()),
        content.map_or(Value::Null, |content| text(&content.text)),
        data.map_or(Value::Null, |data| Value::Text(data.json().to_owned())),
        optional(message.edited_at.map(Timestamp::millis)),
        optional(message.reply_to.map(int)),
        list(&message.mentions)?,
        list(&message.reactions)?,
        optional(
            Some(message.changed)
                .filter(|changed| *changed > 0)
                .map(int),
        ),
    ]);
    Ok(cells)
}

fn id(value: impl Into<u64>) -> Value {
    Value::Int(int(value.into()))
}

fn optional(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Int)
}

fn json(value: &impl Serialize) -> Result<Value, Error> {
    let json = serde_json::to_string(value)
        .map_err(|e| Error::internal("a row cannot be encoded").with_source(e))?;
    Ok(Value::Text(json))
}

/// JSON, or null for an empty list.
fn list(list: &[impl Serialize]) -> Result<Value, Error> {
    if list.is_empty() {
        Ok(Value::Null)
    } else {
        json(&list)
    }
}

/// PostgreSQL's texts hold no NUL: it stands there as this character and a `0`, and the character itself as itself and a
/// `1`. JSON writes both as escapes of its own.
const ESCAPE: char = '\u{1a}';

fn text(text: &str) -> Value {
    Value::Text(escaped(text).into_owned())
}

/// A text as it stands in a column.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains([ESCAPE, '\0']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace(ESCAPE, "\u{1a}1").replace('\0', "\u{1a}0");
    Cow::Owned(text)
}

fn unescaped(text: String) -> Result<String, Error> {
    if !text.contains(ESCAPE) {
        return Ok(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        plain.push(match character {
            ESCAPE => match rest.next() {
                Some('0') => '\0',
                Some('1') => ESCAPE,
                _ => return Err(damaged()),
            },
            plain => plain,
        });
    }
    Ok(plain)
}

/// An actor in SQL: the host is 0.
fn actor_to_int(actor: Actor) -> i64 {
    match actor {
        Actor::Host => 0,
        Actor::User(user) => int(user.get()),
    }
}

/// A log's name in SQL: a conversation's id, or a user's id negated.
pub(crate) fn log_to_int(log: LogId) -> i64 {
    match log {
        LogId::Conversation(id) => int(id.get()),
        LogId::User(id) => -int(id.get()),
    }
}

/// The log of a name in SQL.
pub(crate) fn int_to_log(name: i64) -> Result<LogId, Error> {
    let id = name.unsigned_abs();
    if name < 0 {
        UserId::new(id).map(LogId::User)
    } else {
        ConversationId::new(id).map(LogId::Conversation)
    }
    .map_err(|_| damaged())
}

/// A counter's name in SQL.
fn counter_name(counter: Counter) -> &'static str {
    match counter {
        Counter::User => "user",
        Counter::Conversation => "conversation",
        Counter::Login => "login",
    }
}

/// The counter of a name in SQL.
pub(crate) fn counter(name: &str) -> Option<Counter> {
    let all = [Counter::User, Counter::Conversation, Counter::Login];
    all.into_iter()
        .find(|counter| counter_name(*counter) == name)
}

/// The name in SQL of the counter of a key.
pub(crate) fn counter_of(key: &RowKey) -> Option<&'static str> {
    match key {
        RowKey::Counter(counter) => Some(counter_name(*counter)),
        _ => None,
    }
}

/// Integers are signed in SQL; whatever is larger lies beyond everything stored.
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

fn int_to_role(value: i64) -> Result<Role, Error> {
    match value {
        1 => Ok(Role::Member),
        2 => Ok(Role::Admin),
        3 => Ok(Role::Owner),
        _ => Err(damaged()),
    }
}

pub(crate) fn damaged() -> Error {
    Error::internal("a stored row cannot be read: restore the database from a backup")
}

/// What is answered for rows that have no place here.
pub(crate) fn unknown() -> Error {
    Error::internal(
        "the rules know a kind of row that this store does not: use the same version of both",
    )
}
