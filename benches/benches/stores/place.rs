//! Where a benchmarked store stands.

use std::path::PathBuf;
use std::sync::Arc;

use chat_core::Store;
use chat_core::kv::MemoryStore;
use chat_store_sled::SledStore;
use chat_store_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::Outcome;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Sqlite,
    Sled,
}

const ALL: &[Place] = &[Place::Memory, Place::Sqlite, Place::Sled];

/// The stores to measure.
pub(crate) fn places() -> Vec<Place> {
    let Ok(named) = std::env::var("CHAT_BENCH_STORES") else {
        return ALL.to_vec();
    };
    let known = |name: &str| ALL.iter().copied().find(|place| place.name() == name);
    named.split(',').filter_map(known).collect()
}

/// A new folder where the stores stand.
pub(crate) fn folder() -> Outcome<TempDir> {
    Ok(match std::env::var_os("CHAT_BENCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    })
}

/// A new store and what it stands in.
pub(crate) struct Opened {
    store: Arc<dyn Store>,
    folder: Option<TempDir>,
}

impl Place {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Sled => "sled",
        }
    }

    pub(crate) async fn open(self) -> Outcome<Opened> {
        match self {
            Self::Memory => Ok(Opened {
                store: Arc::new(MemoryStore::new()),
                folder: None,
            }),
            Self::Sqlite => {
                let folder = folder()?;
                Ok(Opened {
                    store: Arc::new(SqliteStore::open(folder.path().join("chat.db"))?),
                    folder: Some(folder),
                })
            }
            Self::Sled => {
                let folder = folder()?;
                Ok(Opened {
                    store: Arc::new(SledStore::open(folder.path().join("chat"))?),
                    folder: Some(folder),
                })
            }
        }
    }
}

impl Opened {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Bytes on disk.
    pub(crate) async fn disk(&self) -> Outcome<Option<u64>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let mut folders = vec![PathBuf::from(folder.path())];
        let mut bytes = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    bytes += std::os::unix::fs::MetadataExt::blocks(&entry.metadata()?) * 512;
                }
            }
        }
        Ok(Some(bytes))
    }

    pub(crate) async fn remove(self) -> Outcome<()> {
        self.store.close().await?;
        Ok(())
    }
}
