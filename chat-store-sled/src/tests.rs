//! What only the engine itself shows: syncs that fail alone, and that reads write nothing.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chat_core::conformance::{self, Fixture, Verdict, async_trait, run};
use chat_core::kv::{Batch, Engine, KvStore, Memory, Pairs};
use chat_core::{Error, Store};
use tempfile::TempDir;

use crate::OpenError;
use crate::engine::Sled;
use crate::journal;
use crate::journaled::{Journaled, LIMIT};

/// An engine whose syncs fail from a moment on: while all that sled itself does goes well.
struct Breakable {
    engine: Journaled,
    broken: Arc<AtomicBool>,
}

/// A device that cannot be synced.
fn unsyncable() -> File {
    let null = File::options().write(true).open("/dev/null").unwrap();
    assert!(null.sync_data().is_err());
    null
}

fn break_syncs(sled: &mut Sled) {
    sled.file = Arc::new(unsyncable());
}

fn break_journal(engine: &mut Journaled) {
    engine.journal.file = unsyncable();
    // Or a new file might be begun, which is sound.
    engine.journal.length = 0;
}

impl Engine for Breakable {
    const MAX_VALUE: usize = Journaled::MAX_VALUE;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.engine.get(key)
    }
    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        self.engine.scan(range, backward, limit)
    }
    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        if self.broken.load(Ordering::SeqCst) {
            break_journal(&mut self.engine);
        }
        self.engine.apply(batch)
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
        let engine = Journaled::open(&path).map_err(|e| Error::unavailable(e.to_string()))?;
        let broken = self.broken.clone();
        Ok(Arc::new(KvStore::open(Breakable { engine, broken })?))
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
fn both_agree_with_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let unavailable = |error: OpenError| Error::unavailable(error.to_string());
    let outcome = conformance::engine::agrees_with_a_map(|| {
        Sled::open(&folder.path().join("sled")).map_err(unavailable)
    });
    assert_eq!(outcome, Ok(Verdict::Holds));
    let outcome = conformance::engine::agrees_with_a_map(|| {
        Journaled::open(&folder.path().join("journaled")).map_err(unavailable)
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
fn picture(sled: &impl Engine, keys: u32) -> (Vec<Option<Vec<u8>>>, Vec<Pairs>) {
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

fn journaled() -> (TempDir, Journaled) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Journaled::open(&folder.path().join("chat")).unwrap();
    (folder, engine)
}

fn reopened(folder: &TempDir) -> Journaled {
    Journaled::open(&folder.path().join("chat")).unwrap()
}

/// The files of the journal, and how long they are.
fn journal(folder: &TempDir) -> Vec<(u64, PathBuf, u64)> {
    let files = journal::files(&folder.path().join("chat")).unwrap();
    let length = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    let all = files.into_iter();
    all.map(|(number, path)| (number, path.clone(), length(&path)))
        .collect()
}

/// Keys that are in the journal, in sled, on the way there, in the way of each other.
#[test]
fn what_is_in_the_journal_and_in_sled_is_one_map() {
    const KEYS: u32 = 500;
    let (folder, mut engine) = journaled();
    let mut map = Memory::default();
    for salt in 0..60 {
        // Half of the keys at a time, so that the others come into sled.
        let half = |key: &Vec<u8>| (key[3] < 128) == (salt / 7 % 2 == 0);
        let mut batch = mixed(KEYS, salt);
        batch.retain(|key, _| half(key));
        map.apply(batch.clone()).unwrap();
        engine.apply(batch).unwrap();
        assert!(picture(&map, KEYS) == picture(&engine, KEYS), "{salt}");
        if salt % 11 == 0 {
            drop(engine);
            engine = reopened(&folder);
            assert!(picture(&map, KEYS) == picture(&engine, KEYS), "{salt}");
        }
    }
    let first = journal(&folder)[0].0;
    assert!(first > 3, "the journal did not come into sled: {first}");
}

/// However often one key changes, whatever else does not, and however often it is opened.
#[test]
fn the_journal_does_not_grow_for_ever() {
    let (folder, mut engine) = journaled();
    for round in 0..1_500_u32 {
        let value = round.to_be_bytes().repeat(20);
        engine.apply(Batch::from([(key(7), Some(value))])).unwrap();
        if round % 30 == 29 {
            // Stores that end all the time, too.
            drop(engine);
            engine = reopened(&folder);
        }
        let length: u64 = journal(&folder).iter().map(|(_, _, length)| length).sum();
        assert!(
            length < 3 * LIMIT as u64,
            "{length} bytes after {round} groups"
        );
    }
}

#[test]
fn what_was_never_finished_is_taken_away() {
    let (folder, mut engine) = journaled();
    engine.apply(mixed(50, 1)).unwrap();
    let before = picture(&engine, 50);
    let (_, path, whole) = journal(&folder)[0].clone();
    engine.apply(mixed(50, 2)).unwrap();
    let after = picture(&engine, 50);
    drop(engine);
    let bytes = std::fs::read(&path).unwrap();
    for (kept, zeros) in [(1, 0), (7, 100), (8, 5_000), (100, 0), (100, 5_000)] {
        let mut torn = bytes[..whole as usize + kept].to_vec();
        torn.resize(torn.len() + zeros, 0);
        std::fs::write(&path, torn).unwrap();
        let mut engine = reopened(&folder);
        assert!(picture(&engine, 50) == before, "{kept} and {zeros}");
        assert_eq!(journal(&folder)[0].2, whole);
        // What follows stands right behind.
        engine.apply(mixed(50, 2)).unwrap();
        drop(engine);
        let engine = reopened(&folder);
        assert!(picture(&engine, 50) == after, "{kept} and {zeros}");
    }
}

#[test]
fn a_journal_that_lacks_something_is_damaged() {
    let (folder, mut engine) = journaled();
    let mut number = 0;
    // So little at a time that nothing is on its way into sled when the second file is begun.
    while journal(&folder).len() < 2 {
        let change = (key(number), Some(vec![7; 100]));
        engine.apply(Batch::from([change])).unwrap();
        number += 1;
    }
    drop(engine);
    let (_, path, length) = journal(&folder)[0].clone();
    let whole = std::fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[length as usize / 2] ^= 1;
    let cut = whole[..whole.len() - 1].to_vec();
    for damage in [Some(changed), Some(cut), None] {
        match damage {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = Journaled::open(&folder.path().join("chat")).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
    std::fs::write(&path, whole).unwrap();
    drop(reopened(&folder));
}

/// Whether it fails in the journal, or in sled while that is brought there.
#[test]
fn reads_show_what_was_there_before_a_group_that_failed() {
    for in_sled in [false, true] {
        let (folder, mut engine) = journaled();
        for salt in 0..40 {
            engine.apply(mixed(300, salt)).unwrap();
        }
        if in_sled {
            break_syncs(&mut engine.sled);
        } else {
            break_journal(&mut engine);
        }
        let mut salt = 40;
        let before = loop {
            let before = picture(&engine, 300);
            if engine.apply(mixed(300, salt)).is_err() {
                break before;
            }
            salt += 1;
            assert!(salt < 1_000, "it did not fail");
        };
        for salt in salt..salt + 3 {
            engine.apply(mixed(300, salt)).unwrap_err();
            assert!(before == picture(&engine, 300), "changed by batch {salt}");
        }
        drop(engine);
        let mark = std::fs::read_to_string(folder.path().join("chat/chat-store")).unwrap();
        assert_eq!(mark, "chat-store-sled 2\nopened\n", "in sled: {in_sled}");
        let engine = reopened(&folder);
        assert!(before == picture(&engine, 300));
    }
}
