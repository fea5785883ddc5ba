//! The laws of chat-core on `SqliteStore`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chat_core::conformance::{self, Fixture, Verdict, Violation, async_trait, run};
use chat_core::{Error, Store};
use chat_store_sqlite::{OpenError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

/// Stores in a folder, numbered.
struct Sqlite {
    folder: TempDir,
    opened: AtomicU32,
    /// This process cannot write beyond some size of a file.
    limited: bool,
}

impl Sqlite {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            opened: AtomicU32::new(0),
            limited: false,
        })
    }

    fn latest(&self) -> PathBuf {
        let number = self.opened.load(Ordering::Relaxed);
        self.folder.path().join(format!("{number}.db"))
    }

    fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let unavailable = |error: OpenError| Error::unavailable(error.to_string());
        let store = SqliteStore::open(self.latest()).map_err(unavailable)?;
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl Fixture for Sqlite {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.store()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        store.close().await?;
        self.store().map(Some)
    }

    /// Fills the log up to where it cannot grow: a commit then fails at its end, as it does when a disk fails.
    async fn break_syncs(&self, _: &Arc<dyn Store>) -> bool {
        let fill = || -> rusqlite::Result<()> {
            let host = Connection::open(self.latest())?;
            host.pragma_update(None, "wal_autocheckpoint", 0)?;
            host.execute_batch("CREATE TABLE filling(bytes)")?;
            loop {
                host.execute("INSERT INTO filling VALUES(zeroblob(3000))", [])?;
            }
        };
        self.limited && fill().is_err()
    }
}

chat_core::conformance_tests!(Sqlite::new().expect("a folder"));

#[test]
#[ignore = "the process whose disk fails: started by the test below"]
fn limited() -> Result<(), Violation> {
    let sqlite = Sqlite {
        limited: true,
        ..Sqlite::new().expect("a folder")
    };
    assert_eq!(
        run(conformance::store::nothing_of_a_failed_sync(&sqlite))?,
        Verdict::Holds
    );
    println!("the law holds");
    Ok(())
}

#[test]
fn nothing_of_a_failed_write() {
    let mut limited = Command::new("sh");
    // The signal of a file's limit is ignored, so that the write fails instead.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""]);
    limited.arg(std::env::current_exe().expect("this program"));
    limited.args(["--exact", "limited", "--ignored", "--nocapture"]);
    let output = limited.output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("the law holds"), "{told}");
}
