//! What an engine has to offer.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Error;

/// What [`Engine::apply`] is to change: each key's new value, or `None` to take the key away.
pub type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Keys with their values, in the order of a scan.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// An ordered map from bytes to bytes, whose changes are durable. [`KvStore`](super::KvStore) makes a whole
/// [`Store`](crate::Store) of it.
///
/// # What it may rely on
/// - Only `apply` takes `&mut self`: while it runs, nothing reads. `get` and `scan` come from many threads at once, so what
///   they read can be one state without the engine keeping versions.
/// - `Engine`s are closed by being dropped: files and locks are released then, nothing else is left to do.
/// - Keys are compared as unsigned bytes, the shorter one first when it begins the longer. No key is empty; they are short,
///   but for texts in them (names, subjects, search suffixes). Values may be empty.
/// - Two programs never hold one database: that is for the engine to refuse when it is opened.
///
/// # Errors
/// [`Error::unavailable`] with the engine's own error as [source](Error::with_source) suits all cases. Never a panic for
/// what a disk can cause. An error of `get` or `scan` fails that one read or group. An error of `apply` stops all commits
/// until the store is opened again, because what happened is unknown; reads go on. There is one exception, see there.
///
/// # Example
/// A complete engine: a map, written to a new file as a whole by every `apply`. Durable and atomic, if slow.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::fs::{self, File};
/// use std::io::{self, Write as _};
/// use std::ops::{Bound, Range};
/// use std::path::{Path, PathBuf};
///
/// use chat_core::Error;
/// use chat_core::kv::{Batch, Engine, KvStore, Pairs};
///
/// struct WholeFile {
///     folder: PathBuf,
///     map: BTreeMap<Vec<u8>, Vec<u8>>,
/// }
///
/// impl WholeFile {
///     fn open(folder: &Path) -> Result<Self, Error> {
///         let map = match fs::read(folder.join("data")) {
///             Ok(bytes) => {
///                 let pairs: Pairs = serde_json::from_slice(&bytes).map_err(failed)?;
///                 BTreeMap::from_iter(pairs)
///             }
///             Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
///             Err(error) => return Err(failed(error)),
///         };
///         Ok(Self { folder: folder.to_owned(), map })
///     }
///
///     fn save(&self, map: &BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<()> {
///         let mut file = File::create(self.folder.join("new"))?;
///         file.write_all(&serde_json::to_vec(&Pairs::from_iter(map.clone()))?)?;
///         file.sync_all()?;
///         fs::rename(self.folder.join("new"), self.folder.join("data"))?;
///         File::open(&self.folder)?.sync_all() // the name, too, must reach the disk
///     }
/// }
///
/// fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
///     Error::unavailable("the data file failed").with_source(error)
/// }
///
/// impl Engine for WholeFile {
///     fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
///         Ok(self.map.get(key).cloned())
///     }
///
///     fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
///         let bounds = (Bound::Included(range.start), Bound::Excluded(range.end));
///         let pairs = self.map.range::<[u8], _>(bounds).map(|(k, v)| (k.clone(), v.clone()));
///         Ok(if backward { pairs.rev().take(limit).collect() } else { pairs.take(limit).collect() })
///     }
///
///     fn apply(&mut self, batch: Batch) -> Result<(), Error> {
///         let mut map = self.map.clone();
///         for (key, value) in batch {
///             match value {
///                 Some(value) => map.insert(key, value),
///                 None => map.remove(&key),
///             };
///         }
///         self.save(&map).map_err(failed)?;
///         self.map = map; // only now may it be read
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let store = KvStore::open(WholeFile::open(folder.path())?)?;
/// # let _ = store;
/// # assert!(folder.path().join("data").exists());
/// # Ok(())
/// # }
/// ```
pub trait Engine: Send + Sync + 'static {
    /// Whether the methods may wait, for a disk for instance. Then they run on tokio's threads for blocking work, else right
    /// on the thread that asks.
    const BLOCKING: bool = true;

    /// Bytes of the longest value that the engine keeps well, at least 64. Longer values come in parts under keys of their
    /// own, at the price of a `get` for each part.
    const MAX_VALUE: usize = usize::MAX;

    /// The value of a key, as the last successful [`apply`](Engine::apply) left it.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The keys from `range.start` to before `range.end`, with their values: the lowest `limit` of them upwards, or with
    /// `backward` the highest `limit` downwards. Fewer only when there are no more. `range.start` is lower than `range.end`;
    /// `limit` can be as large as `usize::MAX`.
    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error>;

    /// Changes all keys of the batch or none, even if the power fails meanwhile, and returns when that is durable: it
    /// survives a power cut from then on. The batch is never empty; a key to take away need not be there.
    ///
    /// # Errors
    /// When it fails, `get` and `scan` go on showing what was there before, nothing of the batch. Whether the batch is there
    /// once the database is opened again is open, but it is all there or not at all. An engine that knows for sure that
    /// nothing of it will be, and that it can go on (a full disk, all rolled back), says so by [`Error::busy`]: then commits
    /// are not stopped.
    fn apply(&mut self, batch: Batch) -> Result<(), Error>;
}
