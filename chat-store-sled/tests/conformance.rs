//! The laws of chat-core on `SledStore`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chat_core::conformance::{self, Fixture, Verdict, Violation, async_trait, run};
use chat_core::{Error, Store};
use chat_store_sled::{OpenError, SledStore};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// Stores in a folder, numbered.
struct Sled {
    folder: TempDir,
    opened: AtomicU32,
    /// This process may be kept from writing.
    limited: bool,
}

impl Sled {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            opened: AtomicU32::new(0),
            limited: false,
        })
    }

    fn latest(&self) -> PathBuf {
        let number = self.opened.load(Ordering::Relaxed);
        self.folder.path().join(number.to_string())
    }

    fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let unavailable = |error: OpenError| Error::unavailable(error.to_string());
        let store = SledStore::open(self.latest()).map_err(unavailable)?;
        Ok(Arc::new(store))
    }
}

/// Lets this process's files grow up to so many bytes; `None` for as many as before.
fn limit(bytes: Option<u64>) -> bool {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let current = bytes.or(maximum);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).is_ok()
}

#[async_trait]
impl Fixture for Sled {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.store()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        store.close().await?;
        if self.limited {
            limit(None);
        }
        self.store().map(Some)
    }

    /// From now on the database's file cannot grow.
    async fn break_syncs(&self, _: &Arc<dyn Store>) -> bool {
        let length = std::fs::metadata(self.latest().join("db")).map(|file| file.len());
        self.limited && length.is_ok_and(|length| limit(Some(length)))
    }
}

chat_core::conformance_tests!(Sled::new().expect("a folder"));

#[test]
#[ignore = "the process whose disk fails: started by the test below"]
fn limited() -> Result<(), Violation> {
    let sled = Sled {
        limited: true,
        ..Sled::new().expect("a folder")
    };
    assert_eq!(
        run(conformance::store::nothing_of_a_failed_sync(&sled))?,
        Verdict::Holds
    );
    println!("the law holds");
    Ok(())
}

#[test]
fn nothing_of_a_failed_write() {
    let mut limited = Command::new("sh");
    // The signal of a file's limit is ignored, so that the write fails instead.
    limited.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    limited.arg(std::env::current_exe().expect("this program"));
    limited.args(["--exact", "limited", "--ignored", "--nocapture"]);
    let output = limited.output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("the law holds"), "{told}");
}

/// A law that asks for an ability is skipped on a store without it: what this one offers must not get lost unseen.
#[test]
fn it_is_copied_and_searched() {
    let sled = Sled::new().expect("a folder");
    let store = sled.store().expect("a store");
    assert!(store.archive().is_some() && store.search().is_some());
}
