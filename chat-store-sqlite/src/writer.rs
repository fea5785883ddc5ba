//! The one connection that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chat_core::rules::RowCache;
use chat_core::{Committed, Error, Prepared};
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::fault::Fault;
use crate::open::{self, CHECKPOINT, Lock};
use crate::readers::Readers;
use crate::{commit, search};

/// What each writer of a group came to.
pub(crate) type Results = Vec<Result<Committed, Error>>;

/// The writing connection, and the lock that keeps others from being a second one.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` once closed. The connection is closed before the lock is let go.
    pub(crate) held: Option<(Connection, Lock)>,
    /// What the last commit left, and of which version of the database.
    cache: RowCache,
    version: i64,
    /// A commit failed so that nobody knows whether it is on disk.
    failed: bool,
    /// How many pages the log had after the last commit.
    log: Arc<AtomicI64>,
    /// How many it may have before they are copied into the database.
    pub(crate) due: i64,
}

impl Writer {
    /// A writer over a connection whose log is empty.
    pub(crate) fn new(mut db: Connection, lock: Lock) -> rusqlite::Result<Self> {
        let log = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&log);
        db.wal_hook(Some(move |_: &mut Wal, pages| {
            told.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            held: Some((db, lock)),
            cache: RowCache::default(),
            version: 0,
            failed: false,
            log,
            due: CHECKPOINT,
        })
    }

    /// Decides and commits a group.
    pub(crate) fn commit(&mut self, group: Vec<Prepared>) -> Result<Results, Error> {
        // Back in its place only when it is right.
        let (mut cache, known) = (std::mem::take(&mut self.cache), self.version);
        let (results, cache, version) = self.transact(|tx| {
            // Changes with what others commit, such as a host in a transaction of its own, but not with commits of this one.
            let version = tx
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))?;
            if version != known {
                cache = RowCache::default();
            }
            let results = commit::decide(tx, &mut cache, group)?;
            Ok((results, cache, version))
        })?;
        (self.cache, self.version) = (cache, version);
        Ok(results)
    }

    /// Puts rows past the rules.
    pub(crate) fn adopt(
        &mut self,
        put: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>,
    ) -> Result<(), Error> {
        self.cache = RowCache::default();
        self.transact(put)
    }

    /// Takes the index further: see [`chat_core::Search::index`].
    ///
    /// Without a sync of its own, which the next commit brings with it: a power cut before takes index and position back.
    pub(crate) fn index(&mut self, limit: usize) -> Result<usize, Error> {
        if let Some((db, _)) = &self.held {
            let full: i64 = db
                .pragma_query_value(None, "synchronous", |row| row.get(0))
                .map_err(Fault::Sql)?;
            db.pragma_update(None, "synchronous", "NORMAL")
                .map_err(Fault::Sql)?;
            let taken = self.transact(|tx| search::advance(tx, limit));
            self.synchronous(full)?;
            return taken;
        }
        Err(closed())
    }

    /// What commits wait for from now on. If that cannot be had, there are none: they would not be what they claim.
    fn synchronous(&mut self, value: i64) -> Result<(), Error> {
        let Some((db, _)) = &self.held else {
            return Err(closed());
        };
        let set = db
            .pragma_update(None, "synchronous", value)
            .and_then(|()| db.pragma_query_value(None, "synchronous", |row| row.get(0)));
        if set.as_ref().ok() == Some(&value) {
            return Ok(());
        }
        self.failed = true;
        Err(Error::unavailable(
            "the database does not sync as it did: reopen the store",
        ))
    }

    /// Does some work in a transaction of its own, and commits it durably.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let Some((db, _)) = &mut self.held else {
            return Err(closed());
        };
        if self.failed {
            return Err(Error::unavailable(
                "an earlier commit failed and may or may not be on disk: reopen the store",
            ));
        }
        let tx = Transaction::new(db, TransactionBehavior::Immediate).map_err(Fault::Sql)?;
        // What fails before the transaction's end is rolled back as it is dropped.
        let done = work(&tx)?;
        tx.commit().map_err(|error| {
            let fault = Fault::Sql(error);
            self.failed = !fault.passes();
            let error = Error::from(fault);
            if self.failed {
                tracing::error!(error = ?error, "a commit failed: no more of them until the store is opened again");
            }
            error
        })?;
        Ok(done)
    }

    /// Whether it is time for a [`Writer::checkpoint`].
    pub(crate) fn is_due(&self) -> bool {
        !self.failed && self.log.load(Ordering::Relaxed) >= self.due
    }

    /// Copies the log into the database, so that the next commit begins it anew. Whoever reads an older snapshot keeps the
    /// pages since then from being copied: where reads never cease, the log would grow for good. So what is left after a
    /// first pass beside the reads, which is little, is copied between them.
    pub(crate) fn checkpoint(&mut self, readers: &Readers) {
        let Some((db, _)) = &self.held else {
            return;
        };
        let began = Instant::now();
        let mut result = copy(db);
        if result.as_ref().is_ok_and(|(log, copied)| copied < log) {
            let _paused = readers.pause();
            result = copy(db);
        }
        if let Ok((log, copied)) = result {
            let took = began.elapsed();
            tracing::debug!(
                log,
                copied,
                ?took,
                "commits waited for the log to be copied into the database"
            );
        }
        self.due = match result {
            Ok((log, copied)) if copied >= log => CHECKPOINT,
            // Another program reads. Not again with every commit meanwhile.
            Ok((log, _)) => log + CHECKPOINT,
            Err(error) => {
                tracing::warn!(%error, "the log cannot be copied into the database: it grows until it can");
                self.due + CHECKPOINT
            }
        };
    }

    /// Copies the log into the database and lets go of everything.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        let Some((db, lock)) = self.held.take() else {
            return Ok(());
        };
        if let Err(error) = open::settle(&db) {
            // Nothing is lost: the log is on disk and is read when the database is opened next.
            tracing::warn!(%error, "the log could not be copied into the database at the end");
        }
        let ended = db.close().map_err(|(_, error)| Fault::Sql(error));
        drop(lock);
        Ok(ended?)
    }
}

/// What a closed store answers.
pub(crate) fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// Copies what of the log no reader hinders: its pages, and how many of them are in the database now.
pub(crate) fn copy(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get(1)?, row.get(2)?))
    })
}
