//! Where everything is kept: the stores that this program knows, and how each is opened.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use chat_core::Store;
use chat_core::kv::MemoryStore;
use chat_store_postgres::PostgresStore;
use chat_store_sled::SledStore;
use chat_store_sqlite::SqliteStore;

/// Holds what belongs to a store that is in no folder.
const DATA: &str = "data";

/// A store by its name on the command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process only.
    Memory,
    /// In this SQLite database.
    Sqlite(PathBuf),
    /// In this folder of sled's.
    Sled(PathBuf),
    /// In the PostgreSQL database of this URL, which may hold a password.
    Postgres(String),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() && !path.ends_with('/') => {
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            Some(("sled", path)) if !path.is_empty() => Ok(Self::Sled(PathBuf::from(path))),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err(
                "say `sqlite:` and a file, such as sqlite:./data/chat.db, `sled:` and a folder, a `postgres://` URL, or `memory`",
            ),
        }
    }
}

/// A URL may hold a password.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As on the command line, without secrets.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Sled(folder) => write!(f, "sled:{}", folder.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

impl Place {
    /// Opens the store; a new one where there is none.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, String> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(file) => {
                make_folder_of(file)?;
                Arc::new(SqliteStore::open(file).map_err(|error| error.to_string())?)
            }
            Self::Sled(folder) => {
                make_folder_of(folder)?;
                Arc::new(SledStore::open(folder).map_err(|error| error.to_string())?)
            }
            Self::Postgres(url) => {
                make_folder_of(&Path::new(DATA).join("secret"))?;
                let store = PostgresStore::open(url).await;
                Arc::new(store.map_err(|error| error.to_string())?)
            }
        })
    }

    /// Opens the store if there is one.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub(crate) async fn open_existing(&self) -> Result<Arc<dyn Store>, String> {
        match self {
            Self::Memory => {
                Err("memory: what is in another program's memory cannot be copied".into())
            }
            Self::Sqlite(path) | Self::Sled(path) if !path.exists() => {
                Err(format!("{self}: there is no such file; name a store"))
            }
            Self::Sqlite(_) | Self::Sled(_) | Self::Postgres(_) => self.open().await,
        }
    }

    /// The folder beside the store, for what belongs to it.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Memory => None,
            Self::Postgres(_) => Some(Path::new(DATA)),
            Self::Sqlite(path) | Self::Sled(path) => Some(path.parent().unwrap_or(Path::new(""))),
        }
    }

    /// Where it is, for whoever started the server.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Memory => "memory only".to_owned(),
            Self::Postgres(_) => "a PostgreSQL database".to_owned(),
            Self::Sqlite(path) | Self::Sled(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                path.display().to_string()
            }
        }
    }
}

/// Makes the folder that a file is to stand in, for this user only; one that is there stays as it is.
fn make_folder_of(file: &Path) -> Result<(), String> {
    match file.parent() {
        Some(folder) if folder != Path::new("") => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn stores_are_told_apart() {
        assert_eq!("memory".parse(), Ok(Place::Memory));
        assert_eq!("sqlite:a/b.db".parse(), Ok(Place::Sqlite("a/b.db".into())));
        assert_eq!("sled:a/b".parse(), Ok(Place::Sled("a/b".into())));
        let url = "postgres://me:secret@db/chat";
        let place: Place = url.parse().expect("a place");
        assert_eq!(place, Place::Postgres(url.into()));
        assert!(!format!("{place} {place:?} {}", place.described()).contains("secret"));
        for bad in [
            "",
            "sled:",
            "sqlite",
            "sqlite:",
            "sqlite:a/",
            "Memory",
            "memory:",
            "postgres:x",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
