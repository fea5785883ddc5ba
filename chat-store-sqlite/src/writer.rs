//! The one connection that writes.

use std::fs::File;

use chat_core::{Committed, Error, Prepared, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::commit::commit_in;
use crate::fault::Fault;
use crate::open::{self, CHECKPOINT};
use crate::readers::Readers;

/// The writing connection, and the lock that keeps others from being a second one.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` once closed. The connection is closed before the lock is let go.
    pub(crate) held: Option<(Connection, File)>,
    /// A commit failed so that nobody knows whether it is on disk.
    failed: bool,
    /// How many pages the log may have before they are copied into the database.
    due: i64,
}

impl Writer {
    pub(crate) fn new(db: Connection, lock: File) -> Self {
        Self {
            held: Some((db, lock)),
            failed: false,
            due: CHECKPOINT,
        }
    }

    /// Commits a group: see [`chat_core::Store::commit`].
    pub(crate) fn commit(&mut self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        let count = group.len();
        self.transact(group).unwrap_or_else(|error| {
            let every = std::iter::repeat_n(error, count);
            every.map(Err).collect()
        })
    }

    fn transact(&mut self, group: Vec<Prepared>) -> Result<Vec<Result<Committed, Error>>, Error> {
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
        let results = commit_in(&tx, group, Timestamp::now())?;
        tx.commit().map_err(|error| {
            let fault = Fault::Sql(error);
            self.failed = !fault.passes();
            let error = Error::from(fault);
            if self.failed {
                tracing::error!(error = ?error, "a commit failed: no more of them until the store is opened again");
            }
            error
        })?;
        Ok(results)
    }

    /// Whether it is time for a [`Writer::checkpoint`].
    pub(crate) fn is_due(&self) -> bool {
        match &self.held {
            Some((db, _)) if !self.failed => {
                log_and_copied(db, NOOP).is_ok_and(|(log, _)| log >= self.due)
            }
            _ => false,
        }
    }

    /// Copies the log into the database, so that the next commit begins it anew. Whoever reads an older snapshot keeps the
    /// pages since then from being copied: where reads never cease, the log would grow for good. So what is left after a
    /// first pass beside the reads, which is little, is copied between them.
    pub(crate) fn checkpoint(&mut self, readers: &Readers) {
        let Some((db, _)) = &self.held else {
            return;
        };
        let mut result = log_and_copied(db, PASSIVE);
        if result.as_ref().is_ok_and(|(log, copied)| copied < log) {
            let _paused = readers.pause();
            result = log_and_copied(db, PASSIVE);
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

pub(crate) const NOOP: &str = "PRAGMA wal_checkpoint(NOOP)";
pub(crate) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The log's pages and how many of them are copied into the database, after a checkpoint of a kind.
pub(crate) fn log_and_copied(db: &Connection, checkpoint: &str) -> rusqlite::Result<(i64, i64)> {
    db.prepare_cached(checkpoint)?
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
