//! The engine of the store: groups are appended to a journal, and come into sled later, many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::path::Path;
use std::thread::{self, JoinHandle};

use chat_core::Error;
use chat_core::kv::{Batch, Engine, Pairs};

use crate::OpenError;
use crate::blocks;
use crate::engine::{Sled, damaged, unsynced};
use crate::journal::{self, Journal};

/// Bytes of a file of the journal from which on what is in it is brought into sled. Few in tests, which write little.
pub(crate) const LIMIT: usize = if cfg!(debug_assertions) {
    16 << 10
} else {
    8 << 20
};
/// Bytes that come into sled at once, at least.
const STEP: usize = LIMIT / 16;
/// Bytes that come into sled for each that comes into the journal meanwhile. More than one: so there is an end to it.
const PACE: usize = 2;
/// Pairs that a scan reads from sled at once, at least.
const AT_ONCE: usize = 32;
/// Bytes due from which on a group waits for what is on its way into sled.
const BEHIND: usize = 8 * STEP;
/// Where the number of the first file of the journal that is still needed stands in sled.
const FIRST: &[u8] = &[0];

/// sled behind a journal.
///
/// What is in the journal is also in memory, and there it is looked for first. When a file of the journal is long enough, the
/// next one is begun, and with each group a part of what is in memory goes into sled, in the order of keys: from then on only
/// sled knows it. At the end of the keys all that the older files held is there, and they are removed.
#[derive(Debug)]
pub(crate) struct Journaled {
    /// What is not in sled yet.
    recent: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    merging: Option<Merging>,
    pub(crate) journal: Journal,
    /// A batch broke off: what is on disk is unknown.
    failed: bool,
    // Last: it lets go of the lock.
    pub(crate) sled: Sled,
}

/// How far it has come.
#[derive(Debug, Default)]
struct Merging {
    /// All keys before are done.
    from: Vec<u8>,
    /// Bytes to go into sled by now.
    due: usize,
    step: Option<Step>,
}

/// What is on its way into sled: the keys from [`Merging::from`] on.
#[derive(Debug)]
struct Step {
    thread: JoinHandle<Result<(), Error>>,
    /// The first key behind; `None` when there is none.
    to: Option<Vec<u8>>,
    /// Keys that were changed meanwhile.
    again: BTreeSet<Vec<u8>>,
}

impl Journaled {
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let mut sled = Sled::open(folder)?;
        let folder = sled.folder().to_owned();
        let mut recent = BTreeMap::new();
        let opened = Self::journal(&mut sled, |changes| {
            for change in changes {
                let (key, value) = change?;
                recent.insert(key.to_vec(), value.map(<[u8]>::to_vec));
            }
            Ok(())
        });
        let unopened = |error| crate::unopened(folder.clone(), error);
        let (first, journal) = opened.map_err(unopened)?;
        let mut opened = Self {
            recent,
            merging: None,
            journal,
            failed: false,
            sled,
        };
        if first < opened.journal.number {
            opened.finish().map_err(unopened)?;
        }
        Ok(opened)
    }

    /// Brings all into sled that was on its way there: or the journal would grow with each store that ends meanwhile.
    fn finish(&mut self) -> Result<(), Error> {
        self.merging = Some(Merging::default());
        while let Some(merging) = &mut self.merging {
            merging.due = STEP;
            self.begin()?;
            self.end()?;
        }
        Ok(())
    }

    /// The journal, and the number of its first file.
    fn journal(
        sled: &mut Sled,
        take: impl FnMut(blocks::Changes<'_>) -> Result<(), Error>,
    ) -> Result<(u64, Journal), Error> {
        let folder = sled.folder().to_owned();
        if let Some(first) = sled.get(FIRST)? {
            let number = first.clone().try_into().map_err(|_| damaged())?;
            let number = u64::from_be_bytes(number);
            if sled.is_new() {
                sled.apply(Batch::from([(FIRST.to_vec(), Some(first))]))?;
            }
            return Ok((number, Journal::open(&folder, number, take)?));
        }
        journal::forget(&folder, u64::MAX).map_err(unsynced)?;
        let journal = Journal::create(&folder, 1).map_err(unsynced)?;
        sled.apply(first(&journal))?;
        Ok((journal.number, journal))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.sled.folder()
    }

    /// Brings a part into sled, beside what is done here, while so many bytes come into the journal.
    fn merge(&mut self, bytes: usize) -> Result<(), Error> {
        if self.merging.is_none() {
            if self.journal.length < LIMIT as u64 {
                return Ok(());
            }
            self.journal = self.journal.next().map_err(unsynced)?;
        }
        let merging = self.merging.get_or_insert_default();
        merging.due += PACE * bytes;
        match &merging.step {
            Some(step) if step.thread.is_finished() || merging.due >= BEHIND => self.end()?,
            Some(_) => return Ok(()),
            None => {}
        }
        match &mut self.merging {
            Some(merging) if merging.due >= STEP => self.begin(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        let Some(merging) = &mut self.merging else {
            return Ok(());
        };
        let mut changes = Vec::new();
        let mut size = 0;
        let mut rest = self.recent.range(merging.from.clone()..);
        let to = loop {
            let Some((key, value)) = rest.next() else {
                break None;
            };
            if size >= merging.due {
                break Some(key.clone());
            }
            let change = (&key[..], value.as_deref());
            size += blocks::size(change);
            changes.push(change);
        };
        let mut batch = blocks::merge(&self.sled, &changes)?;
        if to.is_none() {
            batch.append(&mut first(&self.journal));
        }
        let writing = self.sled.begin(batch)?;
        let thread = thread::Builder::new().name("chat-store-sled".into());
        let thread = thread.spawn(|| writing.run()).map_err(unsynced)?;
        merging.due = 0;
        merging.step = Some(Step {
            thread,
            to,
            again: BTreeSet::new(),
        });
        Ok(())
    }

    /// Waits until what is on its way into sled is there.
    fn end(&mut self) -> Result<(), Error> {
        let Some(merging) = &mut self.merging else {
            return Ok(());
        };
        let Some(Step { thread, to, again }) = merging.step.take() else {
            return Ok(());
        };
        let written = thread.join();
        self.sled
            .end(written.unwrap_or_else(|_| Err(Error::internal("sled broke off"))))?;
        let keys = keys(&merging.from, to.as_ref());
        let done = self.recent.extract_if(keys, |key, _| !again.contains(key));
        done.for_each(drop);
        match to {
            Some(to) => merging.from = to,
            None => {
                self.merging = None;
                journal::forget(self.sled.folder(), self.journal.number).map_err(unsynced)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, batch: Batch) -> Result<(), Error> {
        let mut record = Vec::new();
        for (key, value) in &batch {
            blocks::put(&mut record, (key, value.as_deref()))?;
        }
        self.merge(record.len())?;
        self.journal.append(&record).map_err(unsynced)?;
        if let Some(merging) = &mut self.merging
            && let Some(step) = &mut merging.step
        {
            let changed = batch.range(keys(&merging.from, step.to.as_ref()));
            step.again.extend(changed.map(|(key, _)| key.clone()));
        }
        self.recent.extend(batch);
        Ok(())
    }
}

fn keys(from: &[u8], to: Option<&Vec<u8>>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let to = to.cloned().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(from.to_vec()), to)
}

/// That the journal begins with this file.
fn first(journal: &Journal) -> Batch {
    let number = journal.number.to_be_bytes().to_vec();
    Batch::from([(FIRST.to_vec(), Some(number))])
}

impl Engine for Journaled {
    /// Two orders of magnitude below what sled would keep in a file of its own; see the crate's docs.
    const MAX_VALUE: usize = 4 << 10;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.recent.get(key) {
            Some(value) => Ok(value.clone()),
            None => blocks::get(&self.sled, key),
        }
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        let (mut start, mut end) = (range.start.to_vec(), range.end.to_vec());
        let mut found = Pairs::new();
        while start < end && found.len() < limit {
            let missing = limit - found.len();
            let at_once = missing.max(AT_ONCE);
            let mut pairs = blocks::scan(&self.sled, &start[..]..&end, backward, at_once)?;
            let last = pairs.last().filter(|_| pairs.len() == at_once);
            let (from, to) = match last.map(|(key, _)| key) {
                Some(last) if backward => (last.clone(), std::mem::replace(&mut end, last.clone())),
                Some(last) => {
                    let above = blocks::above(last);
                    (std::mem::replace(&mut start, above.clone()), above)
                }
                None => (std::mem::take(&mut start), std::mem::take(&mut end)),
            };
            let range = self.recent.range(from..to);
            let live = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
                Some((key.clone(), value.as_ref()?.clone()))
            };
            pairs.retain(|(key, _)| !self.recent.contains_key(key));
            if backward {
                pairs.extend(range.rev().filter_map(live).take(missing));
                pairs.sort_unstable_by(|one, other| other.cmp(one));
            } else {
                pairs.extend(range.filter_map(live).take(missing));
                pairs.sort_unstable();
            }
            pairs.truncate(missing);
            found.append(&mut pairs);
        }
        Ok(found)
    }

    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        if self.failed {
            return Err(Error::unavailable("a batch failed: open the store again"));
        }
        // It stays when anything fails, a panic included.
        self.failed = true;
        self.append(batch)?;
        self.failed = false;
        Ok(())
    }
}

impl Drop for Journaled {
    fn drop(&mut self) {
        // Also when it failed: sled is not to be let go of while it is written to.
        let ended = self.end();
        if self.failed || ended.is_err() {
            self.sled.distrust();
        }
    }
}
