//! What goes wrong below the domain, and what a caller is told about it.

use chat_core::Error;
use rusqlite::ErrorCode;

/// A failure of SQLite, or of what it holds.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite says so.
    Sql(rusqlite::Error),
    /// A row cannot be read or written.
    Domain(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl Fault {
    /// What SQLite calls it.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Domain(_) => None,
        }
    }

    /// Nothing happened and nothing is broken: the same may work later.
    pub(crate) fn passes(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

/// SQLite's own errors name tables and columns, never values: they may be logged.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        let error = match fault {
            Fault::Domain(error) => return error,
            Fault::Sql(error) => error,
        };
        match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::busy("another program is writing to the database: try again")
            }
            Some(ErrorCode::DiskFull) => {
                Self::unavailable("the disk is full: free some space, then try again")
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory,
            ) => Self::unavailable("the database cannot be read or written now"),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::internal("the database is damaged: restore it from a backup")
            }
            _ => Self::internal("the database does not answer as it should"),
        }
        .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use chat_core::ErrorKind::{Busy, Internal, Unavailable};
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_failed_sync_stays_a_full_disk_passes() {
        for (code, passes, kind) in [
            (ffi::SQLITE_FULL, true, Unavailable),
            (ffi::SQLITE_BUSY, true, Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, true, Busy),
            (ffi::SQLITE_IOERR_FSYNC, false, Unavailable),
            (ffi::SQLITE_IOERR_WRITE, false, Unavailable),
            (ffi::SQLITE_CORRUPT, false, Internal),
            (ffi::SQLITE_CONSTRAINT, false, Internal),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let fault = Fault::Sql(error);
            assert_eq!(fault.passes(), passes, "{fault:?}");
            assert_eq!(Error::from(fault).kind(), kind, "{code}");
        }
    }
}
