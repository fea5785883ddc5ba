//! sled as an engine whose changes are durable, and readable only then.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Bound, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use chat_core::Error;
use chat_core::kv::{Batch, Engine, Pairs};
use sled::transaction::{TransactionError, Transactional as _};
use sled::{Db, IVec};

use crate::open::{Lock, Opened, finish};

/// How often a wait for sled is broken off to see whether sled has failed.
const LOOK: Duration = Duration::from_millis(50);

/// An opened database. Reads may go on while a batch is written: they see what was there before.
pub(crate) struct Sled {
    /// `None` only while it is dropped.
    db: Option<Db>,
    /// The file into which sled writes everything, opened before sled wrote to it: so this one is told of all its errors.
    pub(crate) file: Arc<File>,
    folder: PathBuf,
    /// The batch that is being applied, or the one that failed: what stood under its keys before. Reads see this instead.
    before: BTreeMap<Vec<u8>, Option<IVec>>,
    /// Whether it is being made: until the first batch is durable.
    new: bool,
    /// Whether something beside it is perhaps not on disk.
    distrusted: bool,
    // Last: fields are dropped in this order.
    lock: Lock,
}

/// Not what it holds.
impl fmt::Debug for Sled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sled")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Sled {
    pub(crate) fn open(folder: &Path) -> Result<Self, crate::OpenError> {
        let Opened {
            folder,
            db,
            file,
            new,
            lock,
        } = crate::open::open(folder)?;
        Ok(Self {
            db: Some(db),
            file: Arc::new(file),
            folder,
            before: BTreeMap::new(),
            new,
            distrusted: false,
            lock,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether nothing was ever committed to it.
    pub(crate) fn is_new(&self) -> bool {
        self.new
    }

    /// The next opening is not to believe what is on disk.
    pub(crate) fn distrust(&mut self) {
        self.distrusted = true;
    }

    fn db(&self) -> Result<&Db, Error> {
        self.db
            .as_ref()
            .ok_or_else(|| Error::unavailable("the store is closed"))
    }

    /// Bytes that sled has still to write. It writes them.
    #[cfg(test)]
    pub(crate) fn unwritten(&self) -> Result<usize, Error> {
        self.db()?.flush().map_err(failed)
    }

    /// The last key up to this one, with its value, not copied.
    pub(crate) fn last_to(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, Error> {
        let mut pairs = self.db()?.range(..=key).rev();
        let found = pairs.find(|pair| self.is_unchanged(pair));
        let before = self
            .before
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let mut before = before
            .rev()
            .filter_map(|(key, value)| Some((IVec::from(&key[..]), value.clone()?)));
        Ok(found.transpose().map_err(failed)?.max(before.next()))
    }

    /// Whether no batch that is not readable changes it.
    fn is_unchanged(&self, pair: &sled::Result<(IVec, IVec)>) -> bool {
        match pair {
            Ok((key, _)) => self.before.is_empty() || !self.before.contains_key(&key[..]),
            Err(_) => true,
        }
    }

    /// Begins to apply a batch. Reads do not see it before [`end`](Sled::end).
    pub(crate) fn begin(&mut self, batch: Batch) -> Result<Writing, Error> {
        if !self.before.is_empty() {
            return Err(Error::unavailable("a batch failed: open the store again"));
        }
        let db = self.db()?.clone();
        let mut before = BTreeMap::new();
        for key in batch.keys() {
            before.insert(key.clone(), db.get(key).map_err(failed)?);
        }
        // It stays when anything fails, a panic included: sled goes on showing what it did not write.
        self.before = before;
        let file = Arc::clone(&self.file);
        Ok(Writing { db, file, batch })
    }

    /// Shows a batch that is on disk now, if it is.
    pub(crate) fn end(&mut self, written: Result<(), Error>) -> Result<(), Error> {
        written?;
        self.before.clear();
        if self.new {
            finish(&self.lock, &self.folder).map_err(unsynced)?;
            self.new = false;
        }
        Ok(())
    }

    /// Lets go of sled, and whether all that can be read is on disk then.
    fn release(&mut self) -> Result<(), Error> {
        let Some(db) = self.db.take() else {
            return Ok(());
        };
        let sound = db.context.global_error();
        // When its last sync fails, sled panics while it is dropped. Nothing of ours waits for that sync.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(db)));
        sound.map_err(failed)?;
        dropped.map_err(|_| Error::unavailable("sled could not write its last pages"))?;
        if self.new || self.distrusted || !self.before.is_empty() {
            return Err(Error::unavailable("a batch failed"));
        }
        self.file
            .sync_all()
            .and_then(|()| self.lock.closed())
            .map_err(unsynced)
    }
}

impl Engine for Sled {
    /// A page of up to 18 values must stay far below what sled would keep in a file of its own; see the crate's docs.
    const MAX_VALUE: usize = 64 << 10;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = match self.before.get(key) {
            Some(before) => before.clone(),
            None => self.db()?.get(key).map_err(failed)?,
        };
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        let pairs = self.db()?.range(range.clone());
        let pairs = pairs.filter(|pair| self.is_unchanged(pair));
        let owned = |pair: sled::Result<(IVec, IVec)>| {
            pair.map(|(key, value)| (key.to_vec(), value.to_vec()))
        };
        let pairs: sled::Result<Pairs> = if backward {
            pairs.rev().take(limit).map(owned).collect()
        } else {
            pairs.take(limit).map(owned).collect()
        };
        let mut pairs = pairs.map_err(failed)?;
        if !self.before.is_empty() {
            let range = (Bound::Included(range.start), Bound::Excluded(range.end));
            let before = self.before.range::<[u8], _>(range);
            pairs.extend(
                before.filter_map(|(key, value)| Some((key.clone(), value.as_ref()?.to_vec()))),
            );
            pairs.sort_unstable();
            if backward {
                pairs.reverse();
            }
            pairs.truncate(limit);
        }
        Ok(pairs)
    }

    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        let writing = self.begin(batch)?;
        self.end(writing.run())
    }
}

/// A batch on its way to the disk.
pub(crate) struct Writing {
    db: Db,
    file: Arc<File>,
    batch: Batch,
}

impl Writing {
    /// Applies the batch as a whole, and returns when it is on disk. While pages change, sled keeps readers out itself.
    pub(crate) fn run(self) -> Result<(), Error> {
        let mut changes = sled::Batch::default();
        for (key, value) in self.batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        // sled splits a page that has become too full, or merges one, when it next comes by, be it to read. Let it do that
        // within the batch, which it begins to write as soon as that is whole: the second time nothing is changed, only
        // visited. So reads write nothing, and they go on should that write fail.
        let tree: &sled::Tree = &self.db;
        let twice = (tree, tree).transaction(|(first, second)| {
            first.apply_batch(&changes)?;
            second.apply_batch(&changes)?;
            Ok(())
        });
        twice.map_err(|error| match error {
            TransactionError::Storage(error) => failed(error),
            TransactionError::Abort(never) => never,
        })?;
        flush(&self.db).map_err(failed)?;
        self.file.sync_data().map_err(unsynced)
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::warn!(folder = %self.folder.display(), %error, "not closed well: the next opening takes longer");
        }
    }
}

/// Hands all that sled has in memory to the system.
///
/// `Db::flush` waits to be told, but sled does not tell everybody that waits when the write of a batch's first bytes fails
/// (`Log::exit_reservation`): it would wait for ever. So another thread of sled's waits, while this one looks for failures.
pub(crate) fn flush(db: &Db) -> sled::Result<()> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut flushed = pin!(db.flush_async());
    loop {
        if let Poll::Ready(done) = flushed.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done.map(drop);
        }
        thread::park_timeout(LOOK);
        if let Err(error) = db.context.global_error() {
            // Does not wait any more, and tells those that do.
            drop(db.flush());
            return Err(error);
        }
    }
}

pub(crate) fn unsynced(error: io::Error) -> Error {
    failed(sled::Error::Io(error))
}

pub(crate) fn damaged() -> Error {
    Error::internal("the database is damaged: restore it from a backup")
}

/// sled's own errors name files and places in them, never keys or values: they may be logged.
fn failed(error: sled::Error) -> Error {
    match &error {
        sled::Error::Corruption { .. } => damaged(),
        sled::Error::Io(e) if e.kind() == io::ErrorKind::StorageFull => {
            Error::unavailable("the disk is full: free some space, then open the store again")
        }
        sled::Error::Io(_) => Error::unavailable("the database cannot be read or written now"),
        _ => Error::internal("the database does not answer as it should"),
    }
    .with_source(error)
}
