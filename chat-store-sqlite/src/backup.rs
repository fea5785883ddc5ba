//! A copy of a database's file, made while the store is in use.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chat_core::{Error, Fingerprint, snapshot};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::archive::Still;
use crate::open;
use crate::schema::{self, Found};

/// Pages copied between two words about progress.
const PAGES: i32 = 1000;

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupStep {
    /// Pages of the file are being copied.
    Copied {
        /// So many …
        pages: u64,
        /// … of so many.
        of: u64,
    },
    /// The copy is read again beside the original: so many rows of both.
    Compared {
        /// So many.
        rows: u64,
    },
}

/// Why there is no backup; nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file of that name.
    #[error("{}: it is there already; name a new file", to.display())]
    Exists {
        /// Where the backup was to be.
        to: PathBuf,
    },
    /// The original is missing, unreadable, or no store of this version.
    #[error("{}: {what}", from.display())]
    Source {
        /// The original.
        from: PathBuf,
        /// What to mend.
        what: &'static str,
        /// What SQLite or the system says.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The new file cannot be written.
    #[error("{}: it cannot be written: {source}; name a file in a folder with enough space", to.display())]
    Target {
        /// Where the backup was to be.
        to: PathBuf,
        /// What SQLite or the system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The copy is damaged or differs from the original.
    #[error("{}: the backup is not the same as the store, which may be damaged; keep older backups", from.display())]
    Differs {
        /// The original.
        from: PathBuf,
    },
}

/// Copies the store in a file, which may be open and in use, into a new file that opens as a store: one moment of it, whole.
/// It blocks for as long as that takes, during which the store's log grows instead of being copied into the database.
///
/// The new file is for this program's user only (mode 0600). It is written beside its place under a name that ends in
/// `.part`, checked (SQLite's `quick_check`, and every row compared by [`Fingerprint`]), synced, and only then given its
/// name.
///
/// # Errors
/// See [`BackupError`].
pub fn backup(
    from: &Path,
    to: &Path,
    mut told: impl FnMut(BackupStep),
) -> Result<Fingerprint, BackupError> {
    let exists = || BackupError::Exists { to: to.to_owned() };
    let target = |source: Box<dyn std::error::Error + Send + Sync>| BackupError::Target {
        to: to.to_owned(),
        source,
    };
    if fs::symlink_metadata(to).is_ok() {
        return Err(exists());
    }
    let original = original(from)?;
    let part = Part::new(to).map_err(|error| target(error.into()))?;
    let copy = copy(&original, &part.0, &mut told).map_err(|error| target(error.into()))?;

    let unsound = |_| BackupError::Differs {
        from: from.to_owned(),
    };
    let sound: String = copy
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| target(error.into()))?;
    let (original, copy) = (Still::new(original), Still::new(copy));
    let of = |still, before, told: &mut dyn FnMut(BackupStep)| {
        let rows = |rows| {
            told(BackupStep::Compared {
                rows: before + rows,
            })
        };
        snapshot::now(Fingerprint::of(still, rows)).map_err(unsound)
    };
    let known = of(&original, 0, &mut told)?;
    let found = of(&copy, known.events + known.rows, &mut told)?;
    if sound != "ok" || found != known {
        return Err(unsound(Error::internal("the two differ")));
    }
    let closed = copy.into_inner().close();
    closed.map_err(|(_, error)| target(error.into()))?;
    part.finish(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => target(error.into()),
    })?;
    Ok(found)
}

/// A connection to the original that sees one moment of it.
fn original(from: &Path) -> Result<Connection, BackupError> {
    let wrong = |what| BackupError::Source {
        from: from.to_owned(),
        what,
        source: None,
    };
    let failed = |source: rusqlite::Error| BackupError::Source {
        from: from.to_owned(),
        what: "it cannot be read; name the file of a store that this program's user may read",
        source: Some(source.into()),
    };
    if !from.is_file() {
        return Err(wrong("there is no such file; name the file of a store"));
    }
    let db = open::reader(from).map_err(failed)?;
    // Ended by closing the connection. Without it each commit of the store would begin the copy anew.
    db.execute_batch("BEGIN").map_err(failed)?;
    match schema::find(&db).map_err(failed)? {
        Found::Version(schema::VERSION) => Ok(db),
        _ => Err(wrong(
            "it is no store of this version; name the file of a store, or open it once with this version",
        )),
    }
}

fn copy(
    original: &Connection,
    part: &Path,
    told: &mut impl FnMut(BackupStep),
) -> rusqlite::Result<Connection> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(part, access)?;
    {
        let backup = Backup::new(original, &mut copy)?;
        loop {
            let step = backup.step(PAGES)?;
            let progress = backup.progress();
            let count = |pages| u64::try_from(pages).unwrap_or_default();
            told(BackupStep::Copied {
                pages: count(progress.pagecount - progress.remaining),
                of: count(progress.pagecount),
            });
            match step {
                StepResult::Done => break,
                // Nobody else has the copy, and reading the original waits for nobody: for a moment at most.
                StepResult::Busy | StepResult::Locked => std::thread::yield_now(),
                _ => {}
            }
        }
    }
    // One file, without a log beside it; opening it as a store brings the log back.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
        row.get::<_, String>(0)
    })?;
    copy.execute_batch("BEGIN")?;
    Ok(copy)
}

/// An unfinished file; gone when dropped.
struct Part(PathBuf);

impl Part {
    fn new(to: &Path) -> io::Result<Self> {
        let mut name = OsString::from(to);
        name.push(".part");
        let path = PathBuf::from(name);
        // What a backup that was killed left.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        open::private().create_new(true).open(&path)?;
        Ok(Self(path))
    }

    /// Makes it durable under its name.
    fn finish(&self, to: &Path) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        if fs::symlink_metadata(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.0, to)?;
        open::sync_folder(to)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
