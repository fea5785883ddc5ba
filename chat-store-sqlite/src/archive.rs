//! All that a database holds, page by page, and rows of another store put into one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chat_core::rules::{Counter, Row, RowKey};
use chat_core::snapshot::{self, Pages, Snapshot};
use chat_core::{Archive, Error, Key, LoginId};
use rusqlite::{Connection, Transaction};

use crate::columns::{self, Binder};
use crate::fault::Fault;
use crate::view::View;
use crate::{SqliteStore, rows};

#[async_trait]
impl Archive for SqliteStore {
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
        self.read(move |view| events(view, after, limit)).await
    }

    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error> {
        self.read(move |view| Ok(rest(view.db(), after.as_ref(), limit)?))
            .await
    }

    async fn put(&self, rows: Vec<(RowKey, Option<Row>)>) -> Result<(), Error> {
        let put = move |tx: &Transaction<'_>| {
            let rows = rows.iter().map(|(key, row)| (key, row.as_ref(), false));
            rows::apply(tx, rows)
        };
        self.with_writer(|writer| writer.adopt(put)).await
    }
}

fn events(view: &View<'_>, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
    let page = snapshot::now(view.feed(after, limit))?.into_iter();
    Ok(page
        .map(|(position, log, seq, event)| (position, RowKey::Event(log, seq), Row::Event(event)))
        .collect())
}

/// The kinds of rows that are no events, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Meta,
    User,
    Subject,
    Suffix,
    Credential,
    Login,
    Block,
    Conversation,
    Direct,
    Named,
    Member,
    Parted,
    Marks,
    Head,
    Reactions,
    Done,
}

const KINDS: [Kind; 16] = [
    Kind::Meta,
    Kind::User,
    Kind::Subject,
    Kind::Suffix,
    Kind::Credential,
    Kind::Login,
    Kind::Block,
    Kind::Conversation,
    Kind::Direct,
    Kind::Named,
    Kind::Member,
    Kind::Parted,
    Kind::Marks,
    Kind::Head,
    Kind::Reactions,
    Kind::Done,
];

impl Kind {
    fn of(key: &RowKey) -> Result<Self, Fault> {
        Ok(match key {
            RowKey::Counter(..) | RowKey::Secret() | RowKey::Moving() => Self::Meta,
            RowKey::User(..) => Self::User,
            RowKey::Subject(..) => Self::Subject,
            RowKey::Suffix(..) => Self::Suffix,
            RowKey::Credential(..) => Self::Credential,
            RowKey::Login(..) => Self::Login,
            RowKey::Block(..) => Self::Block,
            RowKey::Conversation(..) => Self::Conversation,
            RowKey::Direct(..) => Self::Direct,
            RowKey::Named(..) => Self::Named,
            RowKey::Member(..) => Self::Member,
            RowKey::Parted(..) => Self::Parted,
            RowKey::Marks(..) => Self::Marks,
            RowKey::Head(..) => Self::Head,
            RowKey::Reactions(..) => Self::Reactions,
            RowKey::Done(..) => Self::Done,
            _ => return Err(columns::unknown()),
        })
    }

    fn table(self) -> &'static rows::Table {
        match self {
            Self::Meta => &rows::META,
            Self::User => &rows::USER,
            Self::Subject => &rows::SUBJECT,
            Self::Suffix => &rows::SUFFIX,
            Self::Credential => &rows::CREDENTIAL,
            Self::Login => &rows::LOGIN,
            Self::Block => &rows::BLOCK,
            Self::Conversation => &rows::CONVERSATION,
            Self::Direct => &rows::DIRECT,
            Self::Named => &rows::NAMED,
            Self::Member => &rows::MEMBER,
            Self::Parted => &rows::PARTED,
            Self::Marks => &rows::MARKS,
            Self::Head => &rows::HEAD,
            Self::Reactions => &rows::REACTIONS,
            Self::Done => &rows::DONE,
        }
    }

    /// A row's key from its columns, which begin at `at`; `None` for the schema's version, which is no row.
    fn key(self, row: &rusqlite::Row<'_>, at: usize) -> Result<Option<RowKey>, Fault> {
        let user = |at| columns::user(row, at);
        let conversation = |at| columns::conversation(row, at);
        Ok(Some(match self {
            Self::Meta => match row.get_ref(at)?.as_str().map_err(columns::conversion)? {
                "secret" => RowKey::Secret(),
                "moving" => RowKey::Moving(),
                "last user" => RowKey::Counter(Counter::User),
                "last conversation" => RowKey::Counter(Counter::Conversation),
                "last login" => RowKey::Counter(Counter::Login),
                _ => return Ok(None),
            },
            Self::User => RowKey::User(user(at)?),
            Self::Subject => RowKey::Subject(row.get(at)?, row.get(at + 1)?),
            Self::Suffix => RowKey::Suffix(row.get(at)?, user(at + 1)?),
            Self::Credential => RowKey::Credential(user(at)?),
            Self::Login => RowKey::Login(
                LoginId::new(columns::number(row, at)?).map_err(|_| columns::damaged())?,
            ),
            Self::Block => RowKey::Block(user(at)?, user(at + 1)?),
            Self::Conversation => RowKey::Conversation(conversation(at)?),
            Self::Direct => RowKey::Direct(user(at)?, user(at + 1)?),
            Self::Named => RowKey::Named(row.get(at)?),
            Self::Member => RowKey::Member(conversation(at)?, user(at + 1)?),
            Self::Parted => RowKey::Parted(conversation(at)?, user(at + 1)?),
            Self::Marks => RowKey::Marks(conversation(at)?),
            Self::Head => RowKey::Head(columns::log(row, at)?),
            Self::Reactions => RowKey::Reactions(
                conversation(at)?,
                columns::number(row, at + 1)?,
                user(at + 2)?,
            ),
            Self::Done => RowKey::Done(Key::new(row.get(at)?), columns::actor(row, at + 1)?),
        }))
    }
}

/// Rows that are no events: table after table, each in the order of its key.
fn rest(
    db: &Connection,
    after: Option<&RowKey>,
    limit: usize,
) -> Result<Vec<(RowKey, Row)>, Fault> {
    let mut page = Vec::new();
    let begun = after.map(Kind::of).transpose()?;
    for kind in KINDS.into_iter().filter(|kind| Some(*kind) >= begun) {
        let within = after.filter(|_| begun == Some(kind));
        list(db, kind, within, limit, &mut page)?;
        if page.len() >= limit {
            break;
        }
    }
    Ok(page)
}

/// Fills a page up with rows of one table.
fn list(
    db: &Connection,
    kind: Kind,
    after: Option<&RowKey>,
    limit: usize,
    page: &mut Vec<(RowKey, Row)>,
) -> Result<(), Fault> {
    let table = kind.table();
    let sql = if after.is_some() {
        table.after
    } else {
        table.first
    };
    let mut statement = db.prepare_cached(sql)?;
    let width = statement.column_count();
    if let Some(key) = after {
        rows::bind_key(&mut Binder::new(&mut statement), key)?;
    }
    // The key stands behind the values, which so stand where `columns::read` looks for them.
    let at = width - table.key;
    let mut rows = statement.raw_query();
    while page.len() < limit {
        let Some(row) = rows.next()? else { break };
        if let Some(key) = kind.key(row, at)? {
            let row = columns::read(&key, row)?;
            page.push((key, row));
        }
    }
    Ok(())
}

/// A database as it was when its connection's transaction began, for [`chat_core::Fingerprint::of`].
pub(crate) struct Still(Mutex<Connection>);

impl Still {
    /// `db` is inside a transaction.
    pub(crate) fn new(db: Connection) -> Self {
        Self(Mutex::new(db))
    }

    /// The connection back.
    pub(crate) fn into_inner(self) -> Connection {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Archive for Still {
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
        events(&View::new(&self.db(), &Pages::default()), after, limit)
    }

    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error> {
        Ok(rest(&self.db(), after.as_ref(), limit)?)
    }

    async fn put(&self, _: Vec<(RowKey, Option<Row>)>) -> Result<(), Error> {
        Err(Error::forbidden("this is only read"))
    }
}
