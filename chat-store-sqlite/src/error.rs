//! Why a store does not open.

use std::path::PathBuf;

/// Why a store does not open, with the file and what to mend.
///
/// ```
/// use chat_store_sqlite::{OpenError, SqliteStore};
///
/// let error = SqliteStore::open("/nowhere/chat.db").err();
/// assert!(matches!(error, Some(OpenError::Folder { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder is missing or cannot be written: SQLite keeps its log beside the database.
    #[error(
        "{}: its folder is missing or cannot be written; make the folder and let this program's user write there",
        file.display()
    )]
    Folder {
        /// The database.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file itself may not be read and written.
    #[error("{}: this program's user may not read and write it; mend its owner or mode", file.display())]
    Denied {
        /// The database.
        file: PathBuf,
    },
    /// Another store, in this process or another, has it open.
    #[error(
        "{}: it is open already (whoever holds {} has it); close that one first, or open another file",
        file.display(),
        lock.display()
    )]
    Locked {
        /// The database.
        file: PathBuf,
        /// The lock file. Removing it helps nothing: the lock ends with the process that holds it.
        lock: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error(
        "{}: a newer version wrote it (schema {found}, known here up to {known}); run that version or a later one",
        file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// The schema's version there.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{}: it is no SQLite database or a damaged one; name another file, or restore a backup", file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What SQLite says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table of another program has a name of ours. Tables whose names do not begin with `chat_` are no hindrance.
    #[error(
        "{}: its table `{table}` belongs to another program; name another file, or rename that table",
        file.display()
    )]
    Foreign {
        /// The database.
        file: PathBuf,
        /// The table.
        table: String,
    },
    /// Another program keeps the database busy.
    #[error("{}: another program is using it; close that program, then try again", file.display())]
    Busy {
        /// The database.
        file: PathBuf,
    },
    /// Something else.
    #[error("{}: it cannot be opened: {source}", file.display())]
    Other {
        /// The database.
        file: PathBuf,
        /// What SQLite or the system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
