//! Why a store does not open.

use std::path::PathBuf;

/// Why a store does not open, with the folder and what to mend.
///
/// ```
/// use chat_store_sled::{OpenError, SledStore};
///
/// let error = SledStore::open("/nowhere/chat").err();
/// assert!(matches!(error, Some(OpenError::Folder { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made or used. Only its last part is made, never its parents.
    #[error(
        "{}: the folder cannot be made or used; make the one above it, and let this program's user write there",
        folder.display()
    )]
    Folder {
        /// The store's folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another store, in this process or another, has it open.
    #[error(
        "{}: it is open already (whoever holds {} has it); close that one first, or open another folder",
        folder.display(),
        lock.display()
    )]
    Locked {
        /// The store's folder.
        folder: PathBuf,
        /// The file that is locked. Removing it helps nothing: the lock ends with the process that holds it.
        lock: PathBuf,
    },
    /// Another program has opened the database with sled itself.
    #[error("{}: another program is using its database; close that program, then try again", folder.display())]
    Busy {
        /// The store's folder.
        folder: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error(
        "{}: a newer version wrote it (layout {found}, known here up to {known}); run that version or a later one",
        folder.display()
    )]
    Newer {
        /// The store's folder.
        folder: PathBuf,
        /// The layout's number there.
        found: u32,
        /// The latest number known here.
        known: u32,
    },
    /// An older version of this program wrote it, in a layout that this one does not read.
    #[error(
        "{}: an older version wrote it (layout {found}, known here only {known}); copy it into another store with that version",
        folder.display()
    )]
    Older {
        /// The store's folder.
        folder: PathBuf,
        /// The layout's number there.
        found: u32,
        /// The only number known here.
        known: u32,
    },
    /// The folder holds something else. Nothing in it was touched.
    #[error(
        "{}: it holds `{entry}` but no store; name an empty folder, or one that is not there yet",
        folder.display()
    )]
    Foreign {
        /// The store's folder.
        folder: PathBuf,
        /// What stands in it.
        entry: String,
    },
    /// The store is damaged.
    #[error("{}: the store there is damaged; restore a backup", folder.display())]
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// What sled or the system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else.
    #[error("{}: it cannot be opened: {source}", folder.display())]
    Other {
        /// The store's folder.
        folder: PathBuf,
        /// What sled or the system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
