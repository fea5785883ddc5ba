//! A store of chat-core in PostgreSQL, for several server processes over one database.
//!
//! [`PostgresStore`] is opened by a `postgres://` URL, makes its tables or brings them up to date, and may be opened by any
//! number of processes at once. With [`commit_in`] a host writes to conversations inside its own transaction.
//!
//! ```no_run
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! use chat_core::Chat;
//! use chat_store_postgres::PostgresStore;
//!
//! let store = PostgresStore::open("postgres://chat:secret@db.example/chat?sslmode=verify-full").await?;
//! let chat = Chat::builder(store);
//! # Ok(())
//! # }
//! ```
//!
//! # The URL
//! As libpq has it: user, password, hosts and ports, database, `options`, `application_name`, `connect_timeout`, keepalives,
//! `target_session_attrs`. `sslmode` is one of `disable`, `prefer` (the default), `require` (encrypted, to whomever),
//! `verify-ca` and `verify-full`, which across a network is the one to take; `sslrootcert` names a file of certificates to
//! trust instead of the system's. Neither errors nor logs hold any of it.
//!
//! Tables are made in the first schema of the `search_path`; all begin with `chat_`. The database's encoding must be UTF-8.
//! A pooler between must keep sessions apart (PgBouncer: `pool_mode = session`), since statements are kept prepared.
//!
//! # What is guaranteed
//! - A commit is durable before it is acknowledged or readable: PostgreSQL flushes its log before others see a transaction.
//!   `synchronous_commit = off` is overridden, `fsync = off` is warned of. A failed flush ends PostgreSQL itself, which
//!   recovers what was flushed; connections are made anew meanwhile.
//! - A connection that is lost before the end of a transaction costs nothing: the group is begun again, for some seconds.
//!   One that is lost while committing leaves the outcome open: `Unavailable`, and a retry with the same key settles it.
//! - A group of messages waits for the server twice: once to begin, lock and read, once to write and commit. Groups that
//!   write to different conversations go on beside each other, within a process and between processes; those that write to
//!   the same wait for one another. New users and conversations get their ids one group after the other.
//! - [`feed`](Store::feed) tells of a commit once nothing can come before it any more: once all transactions of the server,
//!   of any database, that wrote when it was made have ended. A call waits for that up to five seconds, and then tells
//!   of what was settled before. Positions outlive `pg_dump`.
//!
//! # Sharded databases
//! Every primary key begins with what its rows can be spread by, mostly the log's id; nothing refers to other tables. Not
//! tried on any of them. To be expected: Citus wants each unique key to contain the distribution column (they do), but
//! refuses `FOR UPDATE` and `unnest` joins across shards, which a group over several conversations needs; YugabyteDB and
//! CockroachDB have no `pg_current_snapshot` that is true of all nodes, so `feed` must not be used there, and CockroachDB's
//! advisory locks do not keep two processes from making the tables at once.

mod archive;
mod columns;
mod commit;
mod error;
mod executor;
mod fault;
mod feed;
mod pool;
mod rows;
mod schema;
mod search;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod view;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use chat_core::rules::{Row, RowKey};
use chat_core::snapshot::{self, Snapshot};
use chat_core::{
    Archive, Committed, ConversationId, Error, FeedEntry, InboxCursor, InboxEntry, LogId, LogPage,
    Member, Memberships, Message, Prepared, Search, Seq, Span, Store, User, UserId, Viewer,
};
use commit::{Results, SAVEPOINT, Stop, TRANSACTION};
pub use error::OpenError;
pub use executor::{Executor, Failure, Found, Param, Statement, Value};
use pool::{Lease, Pool};
use view::View;

/// A store in a PostgreSQL database. See the [crate's docs](crate) for what it guarantees.
///
/// A handle is cheap to clone; it must be used on a tokio runtime. It holds up to 16 connections, made when they are needed.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    /// Before this place the feed is settled for good.
    settled: Arc<AtomicU64>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store in a database and brings its tables to this version, or makes them.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let pool = Arc::new(Pool::new(url)?);
        let session = pool.connect().await?;
        schema::check(&session.client).await?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| OpenError::Other {
            source: error.to_string().into(),
        })?;
        schema::migrate(&session.client, &secret).await?;
        Ok(Self {
            pool,
            settled: Arc::default(),
        })
    }

    async fn view(&self) -> Result<View, Error> {
        Ok(View::new(self.pool.get().await?))
    }
}

/// A read in one snapshot.
macro_rules! read {
    ($store:ident, $read:ident($($argument:expr),*)) => {{
        let view = $store.view().await?;
        let outcome = snapshot::$read(&view, $($argument),*).await;
        view.end();
        outcome
    }};
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        let count = group.len();
        let pool = Arc::clone(&self.pool);
        // What was begun is finished, even if the future is dropped.
        let done = tokio::spawn(async move { commit_own(&pool, &group).await });
        let outcome = match done.await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::unavailable("the store's work broke off").with_source(error)),
        };
        outcome.unwrap_or_else(|error| {
            let every = std::iter::repeat_n(error, count);
            every.map(Err).collect()
        })
    }

    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        let view = self.view().await?;
        let rows = view.rows(&keys).await;
        view.end();
        rows
    }

    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        read!(self, log(viewer, log, after, limit))
    }

    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        read!(self, history(viewer, conversation, span, limit))
    }

    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        read!(self, inbox(user, after, limit))
    }

    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        read!(self, entry(user, conversation))
    }

    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        read!(self, memberships(user))
    }

    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        read!(self, members(viewer, conversation, after, limit))
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        read!(self, find_users(part, limit))
    }

    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        feed::feed(self, after, limit).await
    }

    fn archive(&self) -> Option<&dyn Archive> {
        Some(self)
    }

    fn search(&self) -> Option<&dyn Search> {
        Some(self)
    }

    async fn close(&self) -> Result<(), Error> {
        self.pool.close().await;
        Ok(())
    }
}

/// How often a group is begun again on another connection, when one is lost before the transaction's end.
const CONNECTIONS: usize = 3;

/// Commits a group in a transaction of its own.
async fn commit_own(pool: &Arc<Pool>, group: &[Prepared]) -> Result<Results, Error> {
    if group.is_empty() {
        return Ok(Vec::new());
    }
    let mut attempt = 1;
    loop {
        let mut lease = pool.get().await?;
        match commit::commit_between(&mut lease, &TRANSACTION, group).await {
            Ok(results) => {
                lease.give_back();
                return Ok(results);
            }
            // Certainly not done.
            Err(Stop::Failed {
                failure,
                ending: false,
            }) if fault::is_lost(&failure) && attempt < CONNECTIONS => {
                attempt += 1;
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

impl Executor for Lease {
    async fn run(&mut self, batch: Vec<Statement>) -> Result<Vec<Found>, Failure> {
        let session = self.session().map_err(|error| Failure {
            at: 0,
            code: None,
            source: error.into(),
        })?;
        session.run(&batch).await
    }
}

/// Decides writes and puts what they change into a transaction that the host began: an order and the first message about
/// it are there together, or not at all.
///
/// The outcomes are final once the host's transaction is committed, and nobody is told of anything before: afterwards the
/// host hands each [`Committed`] to [`chat_core::Chat::announce`]. If it dies in between, the other devices are told by the
/// sweep within seconds. What the host commits must have been prepared by [`chat_core::Chat::prepare`], which checks limits
/// and policy.
///
/// - The transaction must be `READ COMMITTED`, PostgreSQL's default.
/// - Until it ends it holds the conversations written to: other writes to them wait, and fail with `Busy` after five
///   seconds. So this is called last, and the transaction committed at once. A long one also keeps
///   [`feed`](Store::feed) from telling of what others commit meanwhile.
/// - Two transactions that each hold what the other needs next (rows of the host's among it) block each other: PostgreSQL
///   ends one of them, and the host begins that one again. Whoever calls this once, last, and for all writes does not come
///   to that by this.
/// - A refused write fails alone, as always. This may be called several times in one transaction.
///
/// # Errors
/// `Busy` when others are in the way for too long, `Invalid` for another isolation, else as
/// [`commit`](Store::commit). After an error the host rolls its transaction back.
pub async fn commit_in<E: Executor>(
    executor: &mut E,
    writes: Vec<Prepared>,
) -> Result<Vec<Result<Committed, Error>>, Error> {
    Ok(commit::commit_between(executor, &SAVEPOINT, &writes).await?)
}
