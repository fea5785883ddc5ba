//! A store of chat-core over sled 0.34: pure Rust, one folder, no server.
//!
//! **Where reliability comes first take `chat-store-sqlite`.** sled's own README says so ("if reliability is your primary
//! constraint, use SQLite. sled is beta"), and this crate agrees: it keeps all laws of chat-core, but over an engine that is
//! no longer maintained. It is here for hosts that want no C code, and to show what a store over a foreign engine takes.
//!
//! # A journal before it
//! A group is one record of a file `journal.*` and one `fdatasync`, then it is in memory and readable. What is in memory comes
//! into sled later, in the order of keys, some thousand at a time: as blocks of neighbouring keys, each of which is one value
//! of sled's. Why so: `docs/adr/0014-a-journal-before-sled.md`.
//!
//! - A record is checked by a CRC over its changes, its place and its file's number. One that is not whole was never
//!   acknowledged: it can only be the last of the last file, and is cut off at opening. Anything else is damage.
//! - A file is removed when all that it holds is in sled and synced there; sled says which is the first one needed.
//! - While one batch is on its way into sled, groups go on. When sled does not keep up, they wait for it: so the journal, and
//!   what is in memory, stay below three times 8 MiB and what one group brings.
//!
//! # Durable before readable
//! What is brought into sled is durable by this crate's own work, for sled's is not enough. What sled 0.34.7 does, read in its
//! sources and seen in its system calls:
//! - Everything goes to one file, `db`, a log of parts (segments) in which pages are rewritten elsewhere and free parts used
//!   anew. On Linux it is only ever followed by `sync_file_range` (`IoBufs::write_to_log`), be it by `flush`: that neither
//!   empties the disk's own cache nor writes how long the file is. So each batch ends with `fdatasync`, on a descriptor of
//!   our own that no error escapes to.
//! - What is longer than a quarter of a segment becomes a file in `blobs/`, which is never synced; and when it cannot be
//!   written, every later flush hangs. So rows are cut at 4 KiB and segments are 8 MiB, far above any page there can be.
//! - `Tree::apply_batch` is atomic over a crash: before the batch stands, written last, where it ends; recovery stops
//!   there unless all of it is sound. The freed parts of a batch are not used before it is whole.
//! - A background thread flushes and moves pages, so that parts may be used anew between two syncs. It is turned off: all is
//!   written while a batch is, and synced with it. Reading, too, can write (a page that has become too full is split when
//!   it is next visited), so each batch visits its own pages before it is whole; as a transaction, which keeps readers out of
//!   the pages meanwhile (`concurrency_control`).
//! - `snap.*`, the page table, is written and synced at every opening, and only then. A half-written one would keep sled from
//!   opening (`read_snapshot` takes `*.generating` for the latest), so those are removed first.
//! - `conf` is written once and never synced; that is done here, as for the names of all files.
//!
//! So what is readable is on disk. What a store left that was not closed well, because a commit failed or the process was
//! killed, is not: after a sync that failed, the system shows pages that are on no disk, and that no later sync will write. So
//! the next opening reads all files and writes them in place once more, and syncs them, before any of it is used. That takes as
//! long as reading and writing `db` takes, in parts of 1 MiB. Closing syncs once more and says so in the file `chat-store`;
//! after that, opening writes only what sled's own opening does.
//!
//! # When something fails
//! What does not get into the journal is not readable. Of what does not get into sled, reads see what is in memory, and
//! for all else the values that stood under the batch's keys before, for sled goes on showing in memory what it could not
//! write. Commits answer `Unavailable` until the store is opened again: at once when the journal fails, with the next group
//! when sled does.
//!
//! Reads go on then, but for one case. When a batch does not fit into what is left of sled's segment of 8 MiB, sled begins to
//! write before the batch is whole; this happens once in 8 MiB of log. If just that write fails, sled cannot tidy the pages
//! it was changing, and reads of those answer `Unavailable` too until the store is opened again. Nothing is lost or shown
//! that is not on disk.
//!
//! **A full disk** is such a failure: free some space, then open the store again, which needs up to 8 MiB and a snapshot.
//! SQLite recovers by itself.
//!
//! **Damage** is found when a page is read, and answered `Internal`; at opening it is [`OpenError::Damaged`]. But the end of
//! its log sled finds by checksums, and the end of the journal is found so too: damage right there is taken for a group that
//! was never finished.
//!
//! # Files
//! Beside sled's own stands `chat-store`, which is locked while the store is open. All are for this program's user only: the
//! folder, if it is made here, has mode 0700, files have 0600. A copy must be of the whole folder, of a closed store.
//!
//! Opening fills the segment in use, so up to 8 MiB are written then. sled keeps up to 64 MiB of pages, and some hundred
//! bytes for each page of the file for good. What was erased leaves the journal's files when they are removed, and sled's when
//! it uses their parts anew.
//!
//! Through the crate `log`, at level trace, sled tells what it writes, texts and all: leave its target `sled` below that.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use chat_core::Chat;
//! use chat_store_sled::SledStore;
//!
//! let folder = tempfile::tempdir()?;
//! let store = SledStore::open(folder.path().join("chat"))?;
//! let chat = Chat::builder(store);
//! # Ok(())
//! # }
//! ```

mod blocks;
mod engine;
mod error;
mod journal;
mod journaled;
mod open;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use chat_core::kv::KvStore;
use chat_core::{Error, ErrorKind, Store};

pub use error::OpenError;
use journaled::Journaled;

/// A store in one folder. See the [crate's docs](crate) for what it guarantees.
///
/// It must be used on a tokio runtime, whose blocking threads it borrows; sled has some threads of its own. To open the same
/// folder again in the same process, [`close`](Store::close) the store first: dropping it does not wait for what is under
/// way.
#[derive(Debug)]
pub struct SledStore(KvStore<Journaled>);

impl SledStore {
    /// Opens the store in a folder, and makes it when there is none or an empty one. Blocks while it does: longer the more
    /// was written since it was last opened, and as long as it takes to read and write all of it anew when it was not
    /// [closed](Store::close) well.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let engine = Journaled::open(path.as_ref())?;
        let folder = engine.folder().to_owned();
        let store = KvStore::open(engine).map_err(|error| unopened(folder, error))?;
        Ok(Self(store))
    }
}

fn unopened(folder: PathBuf, error: Error) -> OpenError {
    let source = Box::new(error.clone());
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Internal => OpenError::Damaged { folder, source },
        _ => OpenError::Other { folder, source },
    }
}

impl Deref for SledStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
