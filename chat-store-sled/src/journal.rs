//! Files to which groups are appended.
//!
//! A file is named by its number. It is a row of records, one a group: four bytes that say how long it is, four to check it
//! by, then the changes. A record is whole or was never finished, and then it is the last one of the last file.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use chat_core::Error;

use crate::blocks::Changes;
use crate::engine::{damaged, unsynced};
use crate::open::{private, sync_folder};

/// What the names of the files begin with.
const NAME: &str = "journal.";
/// Bytes before a record's changes.
const HEAD: usize = 8;

/// The file to which groups are appended now.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    pub(crate) number: u64,
    pub(crate) file: File,
    pub(crate) length: u64,
}

fn path(folder: &Path, number: u64) -> PathBuf {
    // So that the names have the order of the numbers.
    folder.join(format!("{NAME}{number:016x}"))
}

/// The files in a folder, in order.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if let Some(number) = number.and_then(|number| u64::from_str_radix(number, 16).ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Takes the files before a number away.
pub(crate) fn forget(folder: &Path, before: u64) -> io::Result<()> {
    for (number, path) in files(folder)? {
        if number < before {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

impl Journal {
    /// A new file.
    pub(crate) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let file = private(&path(folder, number))?;
        file.set_len(0)?;
        file.sync_all()?;
        sync_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            number,
            file,
            length: 0,
        })
    }

    /// The file after this one.
    pub(crate) fn next(&self) -> io::Result<Self> {
        Self::create(&self.folder, self.number + 1)
    }

    /// The files from `first` on, each record given to `take` in order.
    pub(crate) fn open(
        folder: &Path,
        first: u64,
        mut take: impl FnMut(Changes<'_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        forget(folder, first).map_err(unsynced)?;
        let files = files(folder).map_err(unsynced)?;
        let numbers = files.iter().map(|(number, _)| *number);
        let last = first + files.len() as u64;
        if files.is_empty() || !numbers.eq(first..last) {
            return Err(damaged());
        }
        let mut journal = None;
        for (number, path) in files {
            let bytes = fs::read(&path).map_err(unsynced)?;
            let mut length = 0;
            while let Some(changes) = record(&bytes, number, length) {
                take(Changes(changes))?;
                length += HEAD + changes.len();
            }
            if length < bytes.len() && number + 1 < last {
                return Err(damaged());
            }
            let file = private(&path).map_err(unsynced)?;
            if length < bytes.len() {
                // What was never finished is not to stand behind what follows.
                let cut = file.set_len(length as u64);
                cut.and_then(|()| file.sync_all()).map_err(unsynced)?;
            }
            journal = Some(Self {
                folder: folder.to_owned(),
                number,
                file,
                length: length as u64,
            });
        }
        journal.ok_or_else(damaged)
    }

    /// Appends a record, and returns when it is on disk.
    pub(crate) fn append(&mut self, changes: &[u8]) -> io::Result<()> {
        let size = u32::try_from(changes.len()).map_err(io::Error::other)?;
        let mut record = Vec::with_capacity(HEAD + changes.len());
        record.extend_from_slice(&size.to_le_bytes());
        record.extend_from_slice(&check(self.number, self.length, changes).to_le_bytes());
        record.extend_from_slice(changes);
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&record)?;
        self.file.sync_data()?;
        self.length += record.len() as u64;
        Ok(())
    }
}

/// What is checked: also that it stands where it was written.
fn check(number: u64, at: u64, changes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(changes);
    hasher.finalize()
}

/// The changes of the record at a place; `None` where none is whole.
fn record(bytes: &[u8], number: u64, at: usize) -> Option<&[u8]> {
    let (size, rest) = bytes.get(at..)?.split_first_chunk()?;
    let (checked, rest) = rest.split_first_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let changes = rest.get(..size).filter(|changes| !changes.is_empty())?;
    (check(number, at as u64, changes) == u32::from_le_bytes(*checked)).then_some(changes)
}
