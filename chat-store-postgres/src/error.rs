//! Why a store does not open.

use crate::executor::in_short;

/// Why a store does not open, and what to mend. Never holds the URL, which may contain a password.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use chat_store_postgres::{OpenError, PostgresStore};
///
/// let error = PostgresStore::open("mysql://localhost/chat").await.err();
/// assert!(matches!(error, Some(OpenError::Url { .. })));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL cannot be used.
    #[error("the database's URL: {what}")]
    Url {
        /// What to mend.
        what: &'static str,
    },
    /// The certificates that the server's is checked with cannot be read.
    #[error("the root certificates (`sslrootcert`) cannot be read: {source}")]
    Certificates {
        /// What is wrong with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody answers there, or TLS fails.
    #[error("the database does not answer; see that it runs and the URL names it: {source}")]
    Unreachable {
        /// What the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server knows no such user, password or database, or lets this one not in.
    #[error("the database refuses: {source}; mend the URL's user, password or database")]
    Refused {
        /// What the server says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A newer version of this program made the tables.
    #[error(
        "a newer version wrote this database (schema {found}, known here up to {known}); run that version or a later one"
    )]
    Newer {
        /// The schema's version there.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// A table of another program has a name of ours. Tables whose names do not begin with `chat_` are no hindrance.
    #[error(
        "the table `{table}` belongs to another program; name another database or schema, or rename that table"
    )]
    Foreign {
        /// The table.
        table: String,
    },
    /// The database keeps its texts in another encoding than UTF-8.
    #[error("the database's encoding is {found}: make one with `ENCODING 'UTF8'`")]
    Encoding {
        /// Its encoding.
        found: String,
    },
    /// Something else.
    #[error("the database cannot be opened: {source}")]
    Other {
        /// What the server or the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        let code = error.code().map(|code| code.code().to_owned());
        let source = in_short(error);
        match code.as_deref() {
            None => Self::Unreachable { source },
            Some(code) if code.starts_with("28") || code == "3D000" => Self::Refused { source },
            Some(code) if code.starts_with("08") || code.starts_with("57") => {
                Self::Unreachable { source }
            }
            Some(_) => Self::Other { source },
        }
    }
}
