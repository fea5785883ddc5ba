//! The default store of chat-core: SQLite with full durability.
//!
//! [`SqliteStore`] keeps everything in one file. One connection writes, a few read, all beside the caller's own threads;
//! a store that nobody uses has none.
//!
//! # Durable before readable
//! Commits go to a write-ahead log with `synchronous=FULL`. SQLite then writes a transaction's pages to the log, syncs the
//! log, and only after that publishes the transaction's end in the index of the log (`walFrames` in SQLite's `wal.c`:
//! `sqlite3OsSync` stands before `walIndexWriteHdr`, and an error of the sync returns before it). A reader looks for pages
//! no further than the end that its snapshot found in that index. So what can be read is on disk, and what failed to be
//! synced is seen by no one. What a killed process left in the log is written there again and synced when the store is opened,
//! before anything is read: after a sync that failed, the system shows pages that no further sync would write.
//!
//! After a commit that failed at its end, every further one answers `Unavailable` until the store is opened again, while
//! reads go on: whether it is on disk nobody knows, and a sync that failed once may claim success the next time. A full
//! disk or a database that another program keeps busy is no such failure: the commit is rolled back and the next may
//! succeed.
//!
//! # Files
//! Beside the database stand `-wal` and `-shm` (SQLite's own, to be kept and copied together with it) and `.lock`, all for
//! this program's user only, mode 0600. All tables begin with `chat_`: a host's own may stand beside them, and [`commit_in`]
//! writes in the host's transaction over both. [`backup()`] makes a copy while the store is in use.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use chat_core::Chat;
//! use chat_store_sqlite::SqliteStore;
//!
//! let folder = tempfile::tempdir()?;
//! let store = SqliteStore::open(folder.path().join("chat.db"))?;
//! let chat = Chat::builder(store);
//! # Ok(())
//! # }
//! ```

mod archive;
mod backup;
mod columns;
mod commit;
mod error;
mod fault;
mod open;
mod places;
mod readers;
mod rows;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
pub use backup::{BackupError, BackupStep, backup};
use chat_core::rules::{Row, RowKey};
use chat_core::snapshot::{self, Snapshot};
use chat_core::{
    Archive, Committed, ConversationId, Error, FeedEntry, InboxCursor, InboxEntry, LogId, LogPage,
    Member, Memberships, Message, Prepared, Search, Seq, Span, Store, User, UserId, Viewer,
};
pub use commit::commit_in;
pub use error::OpenError;
use readers::Readers;
/// The SQLite of this crate: a host's own connections to the same file must be of the same version.
pub use rusqlite;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use writer::Writer;

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What a commit waits for.
    pub durability: Durability,
}

/// What a commit waits for before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// That it is on disk: it outlives a power cut.
    #[default]
    Full,
    /// That the system has it: it outlives the end of the process, but **a power cut or a crash of the system takes the
    /// last seconds' acknowledged writes away** (`synchronous=NORMAL`). For tests, and for data that can be had again.
    LosesRecentOnPowerCut,
}

/// A store in one SQLite file. See the [crate's docs](crate) for what it guarantees.
///
/// It must be used on a tokio runtime, whose blocking threads it borrows: one for commits, up to four for reads. Commits
/// are done in the order in which they were asked for. Its caches hold up to 64 MiB for writing and 4 MiB a reader.
///
/// To open the same file again in the same process, [`close`](Store::close) the store first: dropping it does not wait for
/// what is under way.
#[derive(Debug)]
pub struct SqliteStore {
    // Before the writer, which holds the lock: fields are dropped in this order.
    readers: Arc<Readers>,
    writer: Arc<Mutex<Writer>>,
}

impl SqliteStore {
    /// Opens the store in a file, makes it when there is none, and brings an older one to this version's schema. Blocks
    /// while it does, for some seconds after a crash with a long log.
    ///
    /// Whether the whole file is sound is not checked: damage inside is found when it is read, and answered `Internal`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, Options::default())
    }

    /// Like [`SqliteStore::open`], with other options.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let opened = open::open(path.as_ref(), &options)?;
        Ok(Self {
            readers: Arc::new(Readers::new(opened.file)),
            writer: Arc::new(Mutex::new(opened.writer)),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&view::View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.read(work).await
    }

    /// Works with the writer, in the order of the calls.
    async fn with_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let done = blocking(move || {
            let result = work(&mut writer);
            let due = writer.is_due().then_some(writer);
            (result, due)
        });
        let (result, due) = done.await?;
        if let Some(mut writer) = due {
            // The next group waits for it, this one need not.
            let readers = Arc::clone(&self.readers);
            tokio::task::spawn_blocking(move || writer.checkpoint(&readers));
        }
        result
    }
}

/// Runs what blocks where it may. What has begun is finished, even if the future is dropped.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    runtime()?.spawn_blocking(work).await.map_err(broke_off)
}

fn runtime() -> Result<Handle, Error> {
    Handle::try_current()
        .map_err(|e| Error::unavailable("this store needs a tokio runtime").with_source(e))
}

fn broke_off(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the store's work broke off").with_source(error)
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        let count = group.len();
        match self.with_writer(move |writer| writer.commit(group)).await {
            Ok(results) => results,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        self.read(move |view| snapshot::now(view.rows(&keys))).await
    }

    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.read(move |view| snapshot::now(snapshot::log(view, viewer, log, after, limit)))
            .await
    }

    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.read(move |view| {
            snapshot::now(snapshot::history(view, viewer, conversation, span, limit))
        })
        .await
    }

    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.read(move |view| snapshot::now(snapshot::inbox(view, user, after, limit)))
            .await
    }

    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        self.read(move |view| snapshot::now(snapshot::entry(view, user, conversation)))
            .await
    }

    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        self.read(move |view| snapshot::now(snapshot::memberships(view, user)))
            .await
    }

    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        self.read(move |view| {
            snapshot::now(snapshot::members(view, viewer, conversation, after, limit))
        })
        .await
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        let part = part.to_owned();
        self.read(move |view| snapshot::now(snapshot::find_users(view, &part, limit)))
            .await
    }

    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.read(move |view| snapshot::now(snapshot::feed(view, after, limit)))
            .await
    }

    fn archive(&self) -> Option<&dyn Archive> {
        Some(self)
    }

    fn search(&self) -> Option<&dyn Search> {
        Some(self)
    }

    async fn close(&self) -> Result<(), Error> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        self.readers.close().await?;
        blocking(move || writer.close()).await?
    }
}

/// The program in the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
