//! A whole [`Store`] over any engine that gets, scans and durably applies bytes.
//!
//! [`Engine`] is all that there is to implement; its docs hold a complete one. [`Memory`] is the engine that is a map, and
//! [`MemoryStore`] over it the store against which all others are measured.
//!
//! ```
//! use chat_core::Chat;
//! use chat_core::kv::MemoryStore;
//!
//! let chat = Chat::builder(MemoryStore::new());
//! ```

mod archive;
mod codec;
mod engine;
mod group;
mod memory;
mod parts;
mod search;
#[cfg(test)]
mod tests;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use self::codec::{FORMAT, Place};
use self::group::Changes;
use self::view::View;
pub use engine::{Batch, Engine, Pairs};
pub use memory::{Memory, MemoryStore};

use crate::rules::{Row, RowCache, RowKey};
use crate::{
    Archive, Committed, ConversationId, Error, ErrorKind, FeedEntry, InboxCursor, InboxEntry,
    LogId, LogPage, Member, Memberships, Message, Prepared, Search, Seq, Span, Store, User, UserId,
    Viewer,
    snapshot::{self, Pages, Snapshot},
};

/// A store over an engine.
///
/// Reads go on side by side; a group is decided beside them and applied while nobody reads. So every read is one snapshot,
/// and what is not durable yet is readable to nobody.
///
/// Over a [blocking](Engine::BLOCKING) engine it must be used on a tokio runtime. To open the same database again in the same
/// process, [`close`](Store::close) it first: dropping it does not wait for what is under way.
#[derive(Debug)]
pub struct KvStore<E> {
    shared: Arc<Shared<E>>,
}

#[derive(Debug)]
struct Shared<E> {
    /// Held by whoever commits, from the first read to the last change. Taken before `engine`.
    writer: Mutex<Writer>,
    /// `None` once closed. Written to only while a batch is applied, and to close.
    engine: RwLock<Option<E>>,
    pages: Pages,
}

#[derive(Debug)]
struct Writer {
    /// The last position of the feed.
    position: u64,
    /// What keeps the store from committing anything more.
    stopped: Option<Error>,
    cache: RowCache,
}

impl<E: Engine> KvStore<E> {
    /// The store in an engine's database; a new one when it is empty. Blocks if the engine does.
    ///
    /// # Errors
    /// What the engine says, and `Invalid` when the database holds something else or another version's layout.
    pub fn open(mut engine: E) -> Result<Self, Error> {
        let writer = Writer::start(&mut engine)?;
        Ok(Self::over(engine, writer))
    }

    /// Like [`KvStore::open`], but failing later: at every commit.
    fn started(mut engine: E) -> Self {
        let writer = Writer::start(&mut engine).unwrap_or_else(|error| Writer {
            position: 0,
            stopped: Some(error),
            cache: RowCache::default(),
        });
        Self::over(engine, writer)
    }

    fn over(engine: E, writer: Writer) -> Self {
        const { assert!(E::MAX_VALUE >= 64) };
        Self {
            shared: Arc::new(Shared {
                writer: Mutex::new(writer),
                engine: RwLock::new(Some(engine)),
                pages: Pages::default(),
            }),
        }
    }

    /// Works where the engine may.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared<E>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if !E::BLOCKING {
            return work(&self.shared);
        }
        let shared = Arc::clone(&self.shared);
        tokio::runtime::Handle::try_current()
            .map_err(|e| Error::unavailable("this store needs a tokio runtime").with_source(e))?
            .spawn_blocking(move || work(&shared))
            .await
            .map_err(|e| Error::unavailable("the store's work broke off").with_source(e))?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_, E>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(|shared| match shared.readable().as_ref() {
            Some(engine) => read(&View::with_pages(engine, &shared.pages)),
            None => Err(closed()),
        })
        .await
    }
}

impl Writer {
    fn start<E: Engine>(engine: &mut E) -> Result<Self, Error> {
        match engine.get(&Place::Format.encode())? {
            Some(format) if format == FORMAT => {}
            Some(_) => {
                return Err(Error::invalid(
                    "the database was written by a version with another layout",
                ));
            }
            None => {
                let batch = group::first(engine)?;
                engine.apply(batch)?;
            }
        }
        let last = View::new(&*engine).scan(codec::feed(0), true, 1)?.pop();
        let position = match last.map(|(at, _)| Place::decode(&at)).transpose()? {
            Some(Place::Feed(position)) => position,
            _ => 0,
        };
        Ok(Self {
            position,
            stopped: None,
            cache: RowCache::default(),
        })
    }
}

// The locks guard nothing that a panic could leave half done: a batch that breaks off leaves the writer stopped.
impl<E: Engine> Shared<E> {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self) -> RwLockReadGuard<'_, Option<E>> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changeable(&self) -> RwLockWriteGuard<'_, Option<E>> {
        self.engine.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies what is decided over the engine and the feed's last position, and gives what came of it.
    fn change<T>(
        &self,
        decide: impl FnOnce(&E, &mut RowCache, u64) -> Result<(Changes, T), Error>,
    ) -> Result<T, Error> {
        let mut writer = self.writer();
        // Back in its place only when it is right.
        let mut cache = std::mem::take(&mut writer.cache);
        let (changes, outcome) = match self.readable().as_ref() {
            None => return Err(closed()),
            Some(_) if writer.stopped.is_some() => return Err(writer.refusal()),
            Some(engine) => decide(engine, &mut cache, writer.position)?,
        };
        let Changes { batch, position } = changes;
        if batch.is_empty() {
            writer.cache = cache;
            return Ok(outcome);
        }
        // Should `apply` panic, this is what stays.
        writer.stopped = Some(Error::internal("the engine broke off while it applied"));
        match self.changeable().as_mut().ok_or_else(closed)?.apply(batch) {
            Ok(()) => {
                writer.stopped = None;
                writer.position = position;
                writer.cache = cache;
                Ok(outcome)
            }
            Err(error) if error.kind() == ErrorKind::Busy => {
                writer.stopped = None;
                Err(error)
            }
            Err(error) => {
                tracing::error!(%error, "a group was not applied: no commits until the store is opened again");
                writer.stopped = Some(error);
                Err(writer.refusal())
            }
        }
    }

    fn close(&self) {
        let _writer = self.writer();
        let engine = self.changeable().take();
        drop(engine);
    }
}

impl Writer {
    fn refusal(&self) -> Error {
        let error = Error::unavailable("the store failed and must be opened again");
        match &self.stopped {
            Some(cause) => error.with_source(cause.clone()),
            None => error,
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

#[async_trait]
impl<E: Engine> Store for KvStore<E> {
    async fn commit(&self, writes: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        let count = writes.len();
        let commit = |shared: &Shared<E>| {
            shared.change(|engine, cache, position| group::decide(engine, cache, writes, position))
        };
        match self.run(commit).await {
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
        self.run(|shared| {
            shared.close();
            Ok(())
        })
        .await
    }
}
