//! Opening: the folder, the lock, what a crash left.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sled::Db;

use crate::OpenError;
use crate::engine::flush;
use crate::journal;

/// Says that the folder is a store's, which layout it has and whether it was closed well, and is locked while a store has it
/// open. Empty until the store was made.
const MARK: &str = "chat-store";
/// What stands there before the layout's number.
const NAME: &str = "chat-store-sled ";
/// The layout: sled 0.34's files, one tree of blocks, [`SEGMENT`], and the journal's files. Layout 1 had neither blocks nor a
/// journal.
const LAYOUT: u32 = 2;
/// What stands after it when all that can be read is on disk …
const CLOSED: &str = "closed\n";
/// … and while a store has it open, or if one that had it ended otherwise. Both have one length: written over each other.
const OPENED: &str = "opened\n";
/// Bytes that are read and written at once where files are written anew.
const PART: usize = 1 << 20;
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

/// What the mark says.
#[derive(PartialEq, Eq)]
enum State {
    /// Nothing was ever committed.
    New,
    /// All that can be read is on disk.
    Closed,
    /// A store did not end as it should.
    Opened,
}

impl Lock {
    /// Writes the mark, durably.
    fn write(&self, state: &str) -> io::Result<()> {
        let mut mark = &self.0;
        mark.rewind()?;
        mark.write_all(format!("{NAME}{LAYOUT}\n{state}").as_bytes())?;
        mark.sync_all()
    }

    /// The next opening need not write everything anew.
    pub(crate) fn closed(&self) -> io::Result<()> {
        self.write(CLOSED)
    }
}

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
    let state = recognise(&lock, &folder)?;
    let new = state == State::New;
    let explain = |error: sled::Error| explain(&folder, error);
    let file = private(&folder.join("db")).map_err(|error| explain(error.into()))?;
    wait(&file, &folder)?;
    settle(&folder, &file, &state, &lock).map_err(|error| explain(error.into()))?;
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

/// Makes a folder that only this program's user may enter, if there is none, and its name durable: who made it may have failed
/// in that.
fn make(path: &Path) -> io::Result<()> {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    match folder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(above) => sync_folder(above),
        None => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
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
pub(crate) fn private(path: &Path) -> io::Result<File> {
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

/// Reads the mark.
fn recognise(lock: &Lock, folder: &Path) -> Result<State, OpenError> {
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
        return Ok(State::New);
    }
    let mut lines = mark.split_inclusive('\n');
    let layout = lines.next().and_then(|line| line.strip_prefix(NAME));
    match layout.and_then(|number| number.trim_end().parse().ok()) {
        Some(LAYOUT) if lines.next() == Some(CLOSED) => Ok(State::Closed),
        Some(LAYOUT) => Ok(State::Opened),
        Some(found) if found > LAYOUT => Err(OpenError::Newer {
            folder: folder.to_owned(),
            found,
            known: LAYOUT,
        }),
        Some(found) => Err(OpenError::Older {
            folder: folder.to_owned(),
            found,
            known: LAYOUT,
        }),
        None => Err(damaged(format!("`{MARK}` cannot be read").into())),
    }
}

/// Writes the mark: from now on the store is made, and what is in it is kept.
pub(crate) fn finish(lock: &Lock, folder: &Path) -> io::Result<()> {
    lock.write(OPENED)?;
    sync_folder(folder)
}

/// Makes durable whatever a store that did not end well left, before anything of it is read: it would be readable now, and a
/// retry be told that it was committed long ago, a lie if the power then fails. Also sled itself would found its snapshot on
/// it. A sync is not enough: after one that failed, the system shows pages that are on no disk, and that no later sync will
/// write. So all is written in place once more.
fn settle(folder: &Path, file: &File, state: &State, lock: &Lock) -> io::Result<()> {
    let conf = folder.join("conf");
    if *state == State::New && file.metadata()?.len() == 0 && conf.exists() {
        // Half written, perhaps, and then sled would never open it again.
        fs::remove_file(&conf)?;
    }
    let snapshots = snapshots(folder)?;
    for snapshot in &snapshots {
        if is_half(snapshot) {
            // sled would take it for the latest. The one before it, or none, does as well.
            fs::remove_file(snapshot)?;
        }
    }
    let conf = private(&conf)?;
    make(&folder.join("blobs"))?;
    if *state != State::Closed {
        renew(file)?;
        renew(&conf)?;
        for snapshot in snapshots.iter().filter(|snapshot| !is_half(snapshot)) {
            renew(&private(snapshot)?)?;
        }
        for (_, journal) in journal::files(folder)? {
            renew(&private(&journal)?)?;
        }
    }
    file.sync_all()?;
    conf.sync_all()?;
    sync_folder(folder)?;
    if *state != State::New {
        // Before sled writes anything.
        lock.write(OPENED)?;
    }
    Ok(())
}

/// Writes all that is in a file there once more, and syncs it.
fn renew(mut file: &File) -> io::Result<()> {
    let mut part = vec![0; PART];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let read = file.read(&mut part)?;
        if read == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&part[..read])?;
        at += read as u64;
    }
}

/// Whether sled had not finished a snapshot.
fn is_half(snapshot: &Path) -> bool {
    snapshot.extension().is_some_and(|end| end == "generating")
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
