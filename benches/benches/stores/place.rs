//! Where a benchmarked store stands.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chat_core::Store;
use chat_core::kv::MemoryStore;
use chat_store_postgres::PostgresStore;
use chat_store_sled::SledStore;
use chat_store_sqlite::SqliteStore;
use chat_testkit::Postgres;
use tempfile::{TempDir, tempdir};

use crate::Outcome;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Sqlite,
    Sled,
    Postgres,
}

const ALL: &[Place] = &[Place::Memory, Place::Sqlite, Place::Sled, Place::Postgres];

/// The stores to measure.
pub(crate) fn places() -> Vec<Place> {
    let Ok(named) = std::env::var("CHAT_BENCH_STORES") else {
        return ALL.to_vec();
    };
    let known = |name: &str| ALL.iter().copied().find(|place| place.name() == name);
    named.split(',').filter_map(known).collect()
}

/// The server of all PostgreSQL stores of this process, started when the first one is wanted.
pub(crate) fn postgres() -> Outcome<&'static Postgres> {
    // A static is never dropped: the server ends with this process, as the pipe to its keeper does.
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let started = Postgres::start()?;
    Ok(SERVER.get_or_init(|| started))
}

/// A new store and what it stands in.
pub(crate) struct Opened {
    store: Arc<dyn Store>,
    stands: Stands,
}

enum Stands {
    Nowhere,
    Folder(TempDir),
    /// The name of a database.
    Database(String),
}

impl Place {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Sled => "sled",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) async fn open(self) -> Outcome<Opened> {
        Ok(match self {
            Self::Memory => Opened {
                store: Arc::new(MemoryStore::new()),
                stands: Stands::Nowhere,
            },
            Self::Sqlite => {
                let folder = tempdir()?;
                Opened {
                    store: Arc::new(SqliteStore::open(folder.path().join("chat.db"))?),
                    stands: Stands::Folder(folder),
                }
            }
            Self::Sled => {
                let folder = tempdir()?;
                Opened {
                    store: Arc::new(SledStore::open(folder.path().join("chat"))?),
                    stands: Stands::Folder(folder),
                }
            }
            Self::Postgres => {
                let url = postgres()?.database()?;
                let name = url.rsplit('/').next().unwrap_or_default().to_owned();
                Opened {
                    store: Arc::new(PostgresStore::open(&url).await?),
                    stands: Stands::Database(name),
                }
            }
        })
    }
}

impl Opened {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Bytes on disk.
    pub(crate) fn disk(&self) -> Outcome<Option<u64>> {
        match &self.stands {
            Stands::Nowhere => Ok(None),
            Stands::Folder(folder) => Ok(Some(blocks(folder.path())?)),
            Stands::Database(name) => {
                let size = postgres()?.sql(name, "SELECT pg_database_size(current_database())")?;
                Ok(Some(size.parse()?))
            }
        }
    }

    /// KiB of memory that this process holds, and the store's own server if it has one (proc(5)).
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let mut all = kib("/proc/self/status", "VmRSS:")?;
        if let Stands::Database(name) = &self.stands {
            let pids = postgres()?.sql(name, "SELECT pid FROM pg_stat_activity")?;
            // What several of its processes share is counted once: each has its part of it.
            let parts = pids
                .lines()
                .map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:"));
            // Among them is one that has ended: the one that was asked.
            all += parts.filter_map(Result::ok).sum::<u64>();
        }
        Ok(all)
    }

    pub(crate) async fn remove(self) -> Outcome<()> {
        self.store.close().await?;
        if let Stands::Database(name) = &self.stands {
            postgres()?.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        }
        Ok(())
    }
}

/// Bytes that all files below a folder take.
fn blocks(folder: &Path) -> Outcome<u64> {
    let mut folders = vec![PathBuf::from(folder)];
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
    Ok(bytes)
}

fn kib(file: &str, name: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .ok_or_else(|| format!("no {name} in {file}"))?
        .parse()?)
}
