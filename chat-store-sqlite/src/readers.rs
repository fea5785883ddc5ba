//! The connections that only read: few, opened when first needed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use chat_core::Error;
use chat_core::snapshot::Pages;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::view::View;
use crate::writer::closed;
use crate::{blocking, open};

/// How many reads go on at once. Pages come from memory or a local disk: more would only wait for the processors.
const READERS: u32 = 4;

/// Connections that nobody reads through now, and who may take one.
#[derive(Debug)]
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    /// Held by every read; whoever wants none takes it for writing.
    pause: RwLock<()>,
    pages: Pages,
}

impl Readers {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(READERS as usize)),
            pause: RwLock::new(()),
            pages: Pages::default(),
        }
    }

    /// Runs a read over one snapshot, waiting for its turn first. Dropping the future lets a read that has begun end.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        blocking(move || {
            // Given back last, when the connection is back.
            let _permit = permit;
            readers.over_snapshot(work)
        })
        .await?
    }

    fn over_snapshot<T>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _reading = self.pause.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.idle().pop();
        let db = idle
            .map_or_else(|| open::reader(&self.file), Ok)
            .map_err(Fault::Sql)?;
        // The snapshot begins with the first read in the transaction and ends with it.
        let tx = db.unchecked_transaction().map_err(Fault::Sql)?;
        let result = work(&View::new(&tx, &self.pages));
        let ended = tx.rollback();
        if ended.is_ok() && db.is_autocommit() {
            self.idle().push(db);
        }
        result
    }

    /// Waits for the reads that go on, refuses those to come, closes the connections.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(READERS).await;
        self.permits.close();
        drop(all);
        self.idle().clear();
    }

    /// Waits for the reads that go on and holds up those to come. Blocks.
    pub(crate) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.pause.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a read could begin now.
    #[cfg(test)]
    pub(crate) fn try_read(&self) -> bool {
        self.pause.try_read().is_ok()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // A list of connections is whole whatever panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
