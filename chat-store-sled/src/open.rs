//! Opening: the folder, the lock, what a crash left.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sled::Db;

use crate::OpenError;
use crate::engine::flush;

/// Says that the folder is a store's and which layout it has, and is locked while a store has it open. Empty until the store
/// was made.
const MARK: &str = "chat-store";
/// What stands there before the layout's number.
const NAME: &str = "chat-store-sled ";
/// The layout: sled 0.34's files, one tree, [`SEGMENT`].
const LAYOUT: u32 = 1;
/// How long to wait for another program, or for what sled's threads of a store that was just closed still do.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes that sled keeps of pages.
const CACHE: u64 = 64 << 20;
/// Bytes of a part of sled's file. What is longer than a quarter of it (a value, a page of up to 18 values, a page of up to
/// 320 keys) would become a file of its own, which sled never syncs. Rows are cut at 4 KiB, and the longest key there can be,
/// a folded name of 256 bytes, has less than 3 KiB.
const SEGMENT: usize = 8 << 20;

/// An opened database.
pub(crate) struct Opened {
    /// Where it really is.
    pub(crate) folder: PathBuf,
    pub(crate) db: Db,
    pub(crate) file: File,
    /// Nothing was ever committed to it.
    pub(crate) new: bool,
    pub(crate) lock: Lock,
}

/// The mark, locked.
pub(crate) struct Lock(File);

/// Closing the file is not enough: a process that the host is just starting holds a copy of it for a moment, and the lock
/// with it.
impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a store's lock cannot be let go before this process ends");
        }
    }
}

/// Opens a database, making it first if need be.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let unusable = |source| OpenError::Folder {
        folder: path.to_owned(),
        source,
    };
    make(path).map_err(unusable)?;
    let folder = path.canonicalize().map_err(unusable)?;
    if let Some(entry) = foreign(&folder).map_err(unusable)? {
        return Err(OpenError::Foreign { folder, entry });
    }
    let lock = lock(&folder)?;
    let new = recognise(&lock, &folder)?;
    let explain = |error: sled::Error| explain(&folder, error);
    let file = settle(&folder, new).map_err(|error| explain(error.into()))?;
    wait(&file, &folder)?;
    let db = start(&folder).map_err(explain)?;
    flush(&db).map_err(explain)?;
    file.sync_all()
        .and_then(|()| tidy(&folder))
        .map_err(|error| explain(error.into()))?;
    // What sled cannot read it takes for the end. A store that was made is not empty.
    if !new && db.is_empty() {
        let source = "its database is empty".into();
        return Err(OpenError::Damaged { folder, source });
    }
    Ok(Opened {
        folder,
        db,
        file,
        new,
        lock,
    })
}

/// Makes a folder that only this program's user may enter, if there is none.
fn make(path: &Path) -> io::Result<()> {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    match folder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match path.parent() {
            Some(above) if above.as_os_str().is_empty() => sync_folder(Path::new(".")),
            Some(above) => sync_folder(above),
            None => Ok(()),
        },
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Something in a folder that is no store's.
fn foreign(folder: &Path) -> io::Result<Option<String>> {
    let mut some = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name == MARK {
            return Ok(None);
        }
        some = Some(name.to_string_lossy().into_owned());
    }
    Ok(some)
}

/// A file that only this program's user may read, made if there is none. sled then takes it as it is.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Keeps other stores out, of this process too.
fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let path = folder.join(MARK);
    let unusable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let mark = private(&path).map_err(unusable)?;
    match mark.try_lock() {
        Ok(()) => Ok(Lock(mark)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            folder: folder.to_owned(),
            lock: path,
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Reads the mark: whether the store is still to be made.
fn recognise(lock: &Lock, folder: &Path) -> Result<bool, OpenError> {
    let damaged = |source| OpenError::Damaged {
        folder: folder.to_owned(),
        source,
    };
    let mut mark = String::new();
    // Bounded, whatever stands there.
    (&lock.0)
        .take(64)
        .read_to_string(&mut mark)
        .map_err(|error| damaged(error.into()))?;
    // Zeros where the power failed before the text was written.
    if mark.trim_end_matches('\0').is_empty() {
        return Ok(true);
    }
    let layout = mark
        .strip_prefix(NAME)
        .and_then(|n| n.trim_end().parse().ok());
    match layout {
        Some(LAYOUT) => Ok(false),
        Some(found) if found > LAYOUT => Err(OpenError::Newer {
            folder: folder.to_owned(),
            found,
            known: LAYOUT,
        }),
        _ => Err(damaged(format!("`{MARK}` cannot be read").into())),
    }
}

/// Writes the mark: from now on the store is made, and what is in it is kept.
pub(crate) fn finish(lock: &Lock, folder: &Path) -> io::Result<()> {
    let mut mark = &lock.0;
    mark.rewind()?;
    mark.write_all(format!("{NAME}{LAYOUT}\n").as_bytes())?;
    mark.sync_all()?;
    sync_folder(folder)
}

/// Makes durable whatever a killed process left, before anything of it is read: it would be readable now, and a retry be told
/// that it was committed long ago, a lie if the power then fails. Also sled itself would found its snapshot on it.
///
/// Returns the file into which sled writes.
fn settle(folder: &Path, new: bool) -> io::Result<File> {
    let file = private(&folder.join("db"))?;
    let conf = folder.join("conf");
    if new && file.metadata()?.len() == 0 && conf.exists() {
        // Half written, perhaps, and then sled would never open it again.
        fs::remove_file(&conf)?;
    }
    for snapshot in snapshots(folder)? {
        if snapshot.extension().is_some_and(|end| end == "generating") {
            // Half written, and sled would take it for the latest. The one before it, or none, does as well.
            fs::remove_file(&snapshot)?;
        }
    }
    private(&conf)?.sync_all()?;
    make(&folder.join("blobs"))?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok(file)
}

/// sled's snapshots of its page table, written by every opening.
fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What sled's opening left: its snapshot's mode, and names that are not durable yet.
fn tidy(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for snapshot in snapshots(folder)? {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(snapshot, mode)?;
    }
    File::open(folder.join("conf"))?.sync_all()?;
    sync_folder(folder)
}

/// Waits for the lock that sled itself takes: when a store is closed, some thread of sled's may hold it a little longer.
fn wait(file: &File, folder: &Path) -> Result<(), OpenError> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock().map_err(|error| explain(folder, error.into())),
            Err(TryLockError::Error(error)) => return Err(explain(folder, error.into())),
            Err(TryLockError::WouldBlock) if begun.elapsed() < BUSY => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Busy {
                    folder: folder.to_owned(),
                });
            }
        }
    }
}

/// Starts sled.
fn start(folder: &Path) -> sled::Result<Db> {
    let config = sled::Config::new()
        .path(folder)
        .segment_size(SEGMENT)
        .cache_capacity(CACHE)
        // Its thread would write, and use parts of the file anew, between our syncs.
        .flush_every_ms(None);
    // sled panics at some damages.
    catch_unwind(AssertUnwindSafe(|| config.open()))
        .unwrap_or_else(|_| Err(sled::Error::Corruption { at: None, bt: () }))
}

fn explain(folder: &Path, error: sled::Error) -> OpenError {
    let folder = folder.to_owned();
    match error {
        sled::Error::Io(source)
            if matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            OpenError::Folder { folder, source }
        }
        sled::Error::Io(source) => OpenError::Other {
            folder,
            source: Box::new(source),
        },
        error => OpenError::Damaged {
            folder,
            source: Box::new(error),
        },
    }
}
