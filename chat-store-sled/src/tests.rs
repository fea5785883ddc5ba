//! What only the engine itself shows: syncs that fail alone, and that reads write nothing.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chat_core::conformance::{self, Fixture, Verdict, async_trait, run};
use chat_core::kv::{Batch, Engine, KvStore, Pairs};
use chat_core::{Error, Store};
use tempfile::TempDir;

use crate::engine::Sled;

/// An engine whose syncs fail from a moment on: while all that sled itself does goes well.
struct Breakable {
    sled: Sled,
    broken: Arc<AtomicBool>,
}

fn break_syncs(sled: &mut Sled) {
    // A device that cannot be synced.
    sled.file = Arc::new(File::open("/dev/null").unwrap());
    assert!(sled.file.sync_data().is_err());
}

impl Engine for Breakable {
    const MAX_VALUE: usize = Sled::MAX_VALUE;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.sled.get(key)
    }
    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        self.sled.scan(range, backward, limit)
    }
    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        if self.broken.load(Ordering::SeqCst) {
            break_syncs(&mut self.sled);
        }
        self.sled.apply(batch)
    }
}

struct Stores {
    folder: TempDir,
    opened: AtomicU32,
    broken: Arc<AtomicBool>,
}

impl Stores {
    fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let number = self.opened.load(Ordering::SeqCst).to_string();
        let path: PathBuf = self.folder.path().join(number);
        let sled = Sled::open(&path).map_err(|error| Error::unavailable(error.to_string()))?;
        let broken = self.broken.clone();
        Ok(Arc::new(KvStore::open(Breakable { sled, broken })?))
    }
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

#[test]
fn nothing_of_a_failed_sync() {
    let stores = Stores {
        folder: tempfile::tempdir().unwrap(),
        opened: AtomicU32::new(0),
        broken: Arc::default(),
    };
    let outcome = run(conformance::store::nothing_of_a_failed_sync(&stores));
    assert_eq!(outcome, Ok(Verdict::Holds));
}

#[test]
fn agrees_with_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = conformance::engine::agrees_with_a_map(|| {
        Sled::open(&folder.path().join("chat")).map_err(|e| Error::unavailable(e.to_string()))
    });
    assert_eq!(outcome, Ok(Verdict::Holds));
}

fn engine() -> (TempDir, Sled) {
    let folder = tempfile::tempdir().unwrap();
    let sled = Sled::open(&folder.path().join("chat")).unwrap();
    (folder, sled)
}

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// All that reads can see: by key, and as ranges of any length in both directions.
fn picture(sled: &Sled, keys: u32) -> (Vec<Option<Vec<u8>>>, Vec<Pairs>) {
    let values = (0..keys).map(|number| sled.get(&key(number)).unwrap());
    let mut pages = Vec::new();
    for (from, to) in [
        (0, keys),
        (3, 4),
        (keys / 3, keys / 2),
        (keys - 1, keys + 7),
    ] {
        for limit in [1, 2, 7, 40, usize::MAX] {
            for backward in [false, true] {
                let range = &key(from)[..]..&key(to)[..];
                pages.push(sled.scan(range, backward, limit).unwrap());
            }
        }
    }
    (values.collect(), pages)
}

/// Keys that were there, were not, are changed, taken away, left alone.
fn mixed(keys: u32, salt: u32) -> Batch {
    let changed = (0..keys).filter(|number| number % 5 != salt % 5);
    changed
        .map(|number| {
            let value = (number % 3 != salt % 3).then(|| vec![salt as u8; number as usize % 90]);
            (key(number), value)
        })
        .collect()
}

#[test]
fn reads_show_what_was_there_before_a_batch_that_failed() {
    const KEYS: u32 = 300;
    let (_folder, mut sled) = engine();
    sled.apply(mixed(KEYS, 1)).unwrap();
    sled.apply(mixed(KEYS, 2)).unwrap();
    let before = picture(&sled, KEYS);
    break_syncs(&mut sled);
    for salt in [3, 4] {
        sled.apply(mixed(KEYS, salt)).unwrap_err();
        assert!(before == picture(&sled, KEYS), "changed by batch {salt}");
    }
}

#[test]
fn reads_write_nothing() {
    const KEYS: u32 = 5_000;
    let (_folder, mut sled) = engine();
    for salt in 0..4 {
        sled.apply(mixed(KEYS, salt)).unwrap();
        picture(&sled, KEYS);
        assert_eq!(sled.unwritten().unwrap(), 0, "bytes that reads left");
    }
}

/// What it says lets the next opening believe what it reads.
#[test]
fn only_what_is_all_on_disk_is_marked_as_closed() {
    let (folder, mut sled) = engine();
    let path = folder.path().join("chat");
    let mark = || std::fs::read_to_string(path.join("chat-store")).unwrap();
    drop(sled);
    assert_eq!(mark(), "", "nothing was committed");
    sled = Sled::open(&path).unwrap();
    sled.apply(mixed(9, 1)).unwrap();
    assert_eq!(mark(), "chat-store-sled 2\nopened\n");
    drop(sled);
    assert_eq!(mark(), "chat-store-sled 2\nclosed\n");
    sled = Sled::open(&path).unwrap();
    assert_eq!(mark(), "chat-store-sled 2\nopened\n");
    break_syncs(&mut sled);
    sled.apply(mixed(9, 2)).unwrap_err();
    drop(sled);
    assert_eq!(mark(), "chat-store-sled 2\nopened\n");
    // A sync that fails only while it is closed.
    sled = Sled::open(&path).unwrap();
    sled.apply(mixed(9, 3)).unwrap();
    break_syncs(&mut sled);
    drop(sled);
    assert_eq!(mark(), "chat-store-sled 2\nopened\n");
}
