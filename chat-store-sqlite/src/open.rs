//! Opening: the files, the lock, the settings of connections.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::schema::{self, Found};
use crate::search;
use crate::writer::Writer;
use crate::{Durability, OpenError, Options};

/// How long SQLite waits for another program's lock before it gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept prepared by a connection; there are about 40 in all.
const STATEMENTS: usize = 64;
/// KiB of pages that the writer keeps: enough for the upper levels of the indexes and the logs in use.
const WRITER_CACHE: i64 = 64 << 10;
/// KiB of pages that a reader keeps. Any commit empties it, so more helps only where nobody writes.
const READER_CACHE: i64 = 4 << 10;
/// Pages of log after which they are copied into the database: 40 MiB. Against 1,000 (SQLite's default) it halves the
/// slowest commits, since a page that many messages changed is copied once.
pub(crate) const CHECKPOINT: i64 = 10_000;
/// Bytes to which a log that grew beyond them is cut back.
const LOG_SIZE: i64 = 64 << 20;

/// An opened database.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where it really is.
    pub(crate) file: PathBuf,
    /// The only connection that writes, and the lock.
    pub(crate) writer: Writer,
}

/// The lock file, locked.
#[derive(Debug)]
pub(crate) struct Lock(File);

#[cfg(test)]
impl Lock {
    pub(crate) fn try_clone(&self) -> File {
        self.0.try_clone().unwrap()
    }
}

/// Closing the file is not enough: a process that the host is just starting holds a copy of it for a moment, and the lock
/// with it.
impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a store's lock cannot be let go before this process ends");
        }
    }
}

/// Opens a database, making or migrating it first.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let file = place(path)?;
    let lock = lock(&file)?;
    let mut writer =
        connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| explain(&file, error))?;
    let version = match schema::find(&writer).map_err(|error| explain(&file, error))? {
        Found::Version(found) if found > schema::VERSION => {
            let known = schema::VERSION;
            return Err(OpenError::Newer { file, found, known });
        }
        Found::Foreign(table) => return Err(OpenError::Foreign { file, table }),
        Found::Version(version) => version,
    };
    if writer.is_readonly("main").map_err(|e| explain(&file, e))? {
        return Err(OpenError::Denied { file });
    }
    prepare(&writer, options).map_err(|error| explain(&file, error))?;
    renew_log(&writer, &file)?;
    match settle(&writer) {
        Ok(true) => {}
        Ok(false) => return Err(OpenError::Busy { file }),
        // Found out while copying, and the log was synced before that: what is there can be read.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            tracing::warn!("the disk is full: no commit will succeed until there is space");
        }
        Err(error) => return Err(explain(&file, error)),
    }
    if version < schema::VERSION {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| OpenError::Other {
            file: file.clone(),
            source: Box::new(error),
        })?;
        schema::migrate(&mut writer, version, &secret).map_err(|e| explain(&file, e))?;
    }
    search::prepare(&mut writer).map_err(|e| explain(&file, e))?;
    // The names of SQLite's own files: it syncs the folder too, but does not look whether that failed. The log stays as long
    // as the writer's connection.
    sync_folder(&file).map_err(|source| OpenError::Folder {
        file: file.clone(),
        source,
    })?;
    let writer = Writer::new(writer, lock).map_err(|error| explain(&file, error))?;
    Ok(Opened { file, writer })
}

/// A connection that only reads.
pub(crate) fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let reader = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // No memory map, though it would save a third of a page's time: there a failing disk is a signal that ends the host's
    // process, not an error.
    reader.pragma_update(None, "cache_size", -READER_CACHE)?;
    Ok(reader)
}

/// Makes the file if need be and finds out where it really is, whatever links lead there, since the lock and SQLite's own
/// files stand beside it. An existing file is not touched: to close it would drop the locks that SQLite holds on it in
/// this process.
fn place(path: &Path) -> Result<PathBuf, OpenError> {
    match private().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => path.canonicalize(),
    }
    .map_err(|source| OpenError::Folder {
        file: path.to_owned(),
        source,
    })
}

/// Makes the names of a file and of those beside it durable.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// For files that only this program's user may read. SQLite gives its own files the mode of the database.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The file that stands beside the database under the same name and more.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    PathBuf::from(name)
}

/// Keeps other stores out, of this process too: two would each believe that theirs is the only writer.
fn lock(file: &Path) -> Result<Lock, OpenError> {
    let path = beside(file, ".lock");
    let folder = |source| OpenError::Folder {
        file: file.to_owned(),
        source,
    };
    // The file stays when the store closes: removed, it could be locked by one and made anew by another.
    let lock = private()
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            file: file.to_owned(),
            lock: path,
        }),
        Err(TryLockError::Error(error)) => Err(folder(error)),
    }
}

/// A connection with what readers and the writer have in common.
fn connect(file: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread at a time has it: that is what the types say, so SQLite need not check that.
    let db = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // Plans do not depend on what is bound: else ranges are planned anew each time.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Asks for a write-ahead log, and returns what kind it is now. The first time that is a commit, which SQLite makes after it
/// gave out the answer: whether it failed is known only at the end of the rows.
fn switch(db: &Connection) -> rusqlite::Result<String> {
    let mut pragma = db.prepare("PRAGMA journal_mode = WAL")?;
    let modes = pragma.query_map([], |row| row.get(0))?;
    let modes: Vec<String> = modes.collect::<rusqlite::Result<_>>()?;
    Ok(modes.concat())
}

/// The writer's own settings.
fn prepare(db: &Connection, options: &Options) -> rusqlite::Result<()> {
    if switch(db)? != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some("the file system does not allow a write-ahead log".to_owned()),
        ));
    }
    db.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "FULL",
            Durability::LosesRecentOnPowerCut => "NORMAL",
        },
    )?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    // The writer does it itself, beside the commits, and is told when it fails.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", LOG_SIZE)?;
    // What was erased is overwritten, not only forgotten.
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "foreign_keys", false)
}

/// Writes what a crash left in the log there once more. After a sync that failed, the system shows pages that are on no disk,
/// and that no later sync will write: copied into the database from there and cut off half-way, they would damage it.
fn renew_log(db: &Connection, file: &Path) -> Result<(), OpenError> {
    // Nobody else writes meanwhile.
    let alone = Transaction::new_unchecked(db, TransactionBehavior::Immediate);
    let _alone = alone.map_err(|error| explain(file, error))?;
    let renew = || -> io::Result<()> {
        let mut log = match OpenOptions::new()
            .read(true)
            .write(true)
            .open(beside(file, "-wal"))
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            log => log?,
        };
        let mut part = vec![0; 1 << 16];
        let mut at = 0;
        loop {
            let read = log.read(&mut part)?;
            if read == 0 {
                return if at > 0 { log.sync_data() } else { Ok(()) };
            }
            log.seek(SeekFrom::Start(at))?;
            log.write_all(&part[..read])?;
            at += read as u64;
        }
    };
    renew().map_err(|error| OpenError::Other {
        file: file.to_owned(),
        source: Box::new(error),
    })
}

/// Copies what a crash left in the log into the database and syncs it; whether all of it could be copied.
///
/// Without this a killed process's last group, written but not synced, would be readable now, and a retry would be told
/// that it was committed long ago: a lie if the power then fails.
pub(crate) fn settle(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        let (pages, copied): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(pages == copied)
    })
}

fn explain(file: &Path, error: rusqlite::Error) -> OpenError {
    let file = file.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            file,
            source: Box::new(error),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Busy { file },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::Denied { file },
        _ => OpenError::Other {
            file,
            source: Box::new(error),
        },
    }
}
