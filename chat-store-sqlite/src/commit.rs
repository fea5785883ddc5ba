//! Writing: in a transaction that somebody else begins and commits.

use chat_core::rules::{Changed, Group, Outcome, RowCache, RowKey, Step};
use chat_core::{Committed, Error, Prepared, Timestamp};
use rusqlite::{Connection, MAIN_DB, Transaction, TransactionState};

use crate::fault::Fault;
use crate::schema::{self, Found};
use crate::{columns, rows};

/// Writes to the store inside a host's own transaction, so that the host's rows and the chat's are there together or not at
/// all. [`chat_core::Chat::prepare`] checks limits and policy first; once the transaction is committed,
/// [`chat_core::Chat::announce`] tells those who are connected. Without that, as after a crash in between, they hear of it
/// within seconds.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use chat_core::{Chat, Target, Write};
/// use chat_store_sqlite::rusqlite::{Connection, TransactionBehavior};
/// use chat_store_sqlite::{SqliteStore, commit_in};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("shop.db");
/// let chat = Chat::builder(SqliteStore::open(&file)?).build();
/// let ann = chat.enroll("shop", "17", "Ann").await?;
/// let bob = chat.enroll("shop", "42", "Bob").await?;
/// let mut shop = Connection::open(&file)?;
/// shop.execute("CREATE TABLE orders(item TEXT NOT NULL)", [])?;
///
/// let hello = Write::post(ann, Target::Direct(ann, bob), "I ordered a chair");
/// let prepared = chat.prepare(hello).await?;
/// let tx = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
/// tx.execute("INSERT INTO orders VALUES('chair')", [])?;
/// let committed = commit_in(&tx, prepared)?;
/// tx.commit()?;
/// chat.announce(&committed);
/// # Ok(())
/// # }
/// ```
///
/// # What must hold
/// - The connection has the **store's file** as its main database, while the store is open somewhere. The host's tables
///   stand in the same file, under names that do not begin with `chat_`: a commit over several attached files is not atomic.
/// - `PRAGMA synchronous` is `FULL` (SQLite's default) or `EXTRA`, so that what can be read is on disk here, too.
/// - The transaction is `IMMEDIATE`, or has written already: what the rules read is then still so when it is committed.
///
/// All but whether the store is open is checked. `PRAGMA secure_delete` is turned on for the connection, so that erased
/// texts are overwritten.
///
/// Other writers, the store's own among them, wait until the transaction ends, and are refused with `Busy` after 5 s. So
/// begin it late, end it soon, and wait for nothing else inside.
///
/// # Errors
/// - Those of the rules, as of [`chat_core::Chat::commit`]. Nothing was changed, and the transaction can go on.
/// - `Invalid` when one of the above does not hold: the sentence says what to do.
/// - `Busy`, `Unavailable` or `Internal` when the database fails. Nothing of this write is in the transaction: roll it back.
///
/// After a `commit` of the transaction that failed, do the same once more with the same key.
pub fn commit_in(tx: &Transaction<'_>, write: Prepared) -> Result<Committed, Error> {
    fit(tx)?;
    // Half of a write must not be there, even if the host commits in spite of an error.
    let step = |sql| tx.execute_batch(sql).map_err(Fault::Sql);
    step("SAVEPOINT chat_commit_in")?;
    // What others keep of the rows they find out to be old by the database's version.
    let done = decide(tx, &mut RowCache::default(), vec![write]);
    if done.is_err() {
        step("ROLLBACK TO chat_commit_in")?;
    }
    step("RELEASE chat_commit_in")?;
    let none = || Err(Error::internal("a write came to nothing"));
    done?.pop().unwrap_or_else(none)
}

/// Refuses a connection or transaction that would break what the store promises.
fn fit(tx: &Transaction<'_>) -> Result<(), Error> {
    let wrong = |what| Err(Error::invalid(what));
    let state = tx.transaction_state(Some(MAIN_DB)).map_err(Fault::Sql)?;
    if state != TransactionState::Write {
        return wrong("begin the transaction with TransactionBehavior::Immediate");
    }
    if schema::find(tx).map_err(Fault::Sql)? != Found::Version(schema::VERSION) {
        return wrong("this is not the file of a store of this version: open the store's file");
    }
    if pragma::<String>(tx, "journal_mode")? != "wal" {
        return wrong("open the store before, so that the file has a write-ahead log");
    }
    if pragma::<i64>(tx, "synchronous")? < 2 {
        return wrong("set `PRAGMA synchronous = FULL` on this connection, before the transaction");
    }
    if rows::get(tx, &RowKey::Moving())?.is_some() {
        return Err(columns::half_copied());
    }
    let on = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    tx.pragma_update_and_check(Some("main"), "secure_delete", true, on)
        .map_err(Fault::Sql)?;
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<T, Fault> {
    Ok(db.pragma_query_value(Some("main"), name, |row| row.get(0))?)
}

/// Decides a group in a transaction and applies there what it changes. The outcomes hold once the transaction is
/// committed, and only then may anybody be told.
///
/// The transaction must be `IMMEDIATE`: what the rules read must still be so when their changes are written. The cache is
/// right once it is committed.
pub(crate) fn decide(
    tx: &Transaction<'_>,
    cache: &mut RowCache,
    group: Vec<Prepared>,
) -> Result<Vec<Result<Committed, Error>>, Fault> {
    let mut group = Group::new(group, Timestamp::now());
    let Outcome { changes, results } = loop {
        match group.step() {
            Step::Need(keys) => {
                rows::get_all(tx, cache, keys, |key, row| group.supply(key, row))?;
            }
            Step::Done(outcome) => break outcome,
        }
    };
    // What is new in logs in the order in which it happened: its positions are the feed's order. The rest by kind and place.
    let is_appended =
        |changed: &&Changed| changed.is_new && matches!(changed.key, RowKey::Event(..));
    let (appended, mut rest): (Vec<_>, Vec<_>) = changes.iter().partition(is_appended);
    rest.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let rows = || appended.iter().chain(&rest).copied();
    rows::apply(
        tx,
        rows().map(|changed| (&changed.key, changed.row.as_ref(), changed.is_new)),
    )?;
    for changed in rows() {
        cache.put(&changed.key, changed.row.as_ref());
    }
    Ok(results)
}
