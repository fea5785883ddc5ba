//! All laws of the chat on the store of this example.

#[path = "../src/main.rs"]
#[allow(dead_code)]
mod example;

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chat_core::conformance::{Fixture, Violation, async_trait, engine, kill, run};
use chat_core::kv::KvStore;
use chat_core::{Error, Store};
use example::Redb;
use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use tempfile::TempDir;

/// Stores in a folder, numbered.
struct Stores {
    folder: TempDir,
    opened: AtomicU32,
    broken: Arc<AtomicBool>,
}

impl Stores {
    fn new() -> io::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            opened: AtomicU32::new(0),
            broken: Arc::default(),
        })
    }

    fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let number = self.opened.load(Ordering::SeqCst);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(self.folder.path().join(number.to_string()));
        let file = FileBackend::new(file.map_err(failed)?).map_err(failed)?;
        let disk = Disk(file, self.broken.clone());
        let db = Database::builder().create_with_backend(disk);
        let engine = Redb::over(db.map_err(failed)?)?;
        Ok(Arc::new(KvStore::open(engine)?))
    }
}

fn failed(error: impl std::error::Error) -> Error {
    Error::unavailable(error.to_string())
}

#[async_trait]
impl Fixture for Stores {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.store()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        store.close().await?;
        self.broken.store(false, Ordering::SeqCst);
        self.store().map(Some)
    }

    async fn break_syncs(&self, _: &Arc<dyn Store>) -> bool {
        self.broken.store(true, Ordering::SeqCst);
        true
    }
}

/// The file of a database, on a disk that may fail.
#[derive(Debug)]
struct Disk(FileBackend, Arc<AtomicBool>);

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk failed"));
        }
        self.0.sync_data()
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

chat_core::conformance_tests!(Stores::new().expect("a folder"));

#[test]
fn agrees_with_a_map() -> Result<(), Violation> {
    let folder = tempfile::tempdir()?;
    engine::agrees_with_a_map(|| Redb::open(&folder.path().join("chat.redb"))).map(drop)
}

fn open(folder: &Path) -> Result<Arc<dyn Store>, Error> {
    let engine = Redb::open(&folder.join("chat.redb"))?;
    Ok(Arc::new(KvStore::open(engine)?))
}

#[test]
#[ignore = "the process that is killed: started by the test below"]
fn killed() -> Result<(), Violation> {
    run(kill::victim(open)).map(drop)
}

#[test]
fn what_was_acknowledged_outlives_a_killed_process() -> Result<(), Violation> {
    run(kill::survives("killed", open)).map(drop)
}
