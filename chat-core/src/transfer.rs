//! Copying a whole store into another, and proving that both hold the same.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::rules::{Moving, Row, RowKey};
use crate::{Archive, Error, Store};

/// A copy of all that a store holds into an empty one, page by page.
///
/// It may break off at any moment: what is there is told by [`RowKey::Moving`] in the new store, and a new `Transfer` between
/// the same two goes on from there. Until [`Transfer::finish`] has found both to be the same, no [`crate::Chat`] uses the new
/// store. Nobody may write to either meanwhile.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), chat_core::Error> {
/// use chat_core::kv::MemoryStore;
/// use chat_core::{Chat, Transfer};
///
/// let (from, to) = (MemoryStore::new(), MemoryStore::new());
/// let mut transfer = Transfer::begin(&from, &to).await?;
/// while transfer.page(1000).await? > 0 {}
/// let fingerprint = transfer.finish(|_| ()).await?;
/// println!("{} events, the same in both: {fingerprint}", fingerprint.events);
/// # Ok(())
/// # }
/// ```
pub struct Transfer<'a> {
    from: &'a dyn Archive,
    to: &'a dyn Archive,
    at: Moving,
}

impl<'a> Transfer<'a> {
    /// Begins a copy, or goes on with one that broke off.
    ///
    /// # Errors
    /// `Invalid` when one of the two stores cannot be copied; `Conflict` when the new one holds something else, or the old one
    /// is itself an unfinished copy; and what the stores say.
    pub async fn begin(from: &'a dyn Store, to: &'a dyn Store) -> Result<Self, Error> {
        let none = || Error::invalid("this kind of store cannot be copied");
        let (old, new) = (
            from.archive().ok_or_else(none)?,
            to.archive().ok_or_else(none)?,
        );
        let keys = || vec![RowKey::Secret(), RowKey::Moving()];
        let (secret, there) = match &mut from.rows(keys()).await?[..] {
            [Some(secret @ Row::Secret(_)), None] => (secret.clone(), to.rows(keys()).await?),
            [_, Some(_)] => return Err(Error::conflict("the source is an unfinished copy itself")),
            _ => return Err(Error::internal("the source has no secret")),
        };
        let at = match &there[..] {
            // The secret tells one store from another.
            [Some(same), Some(Row::Moving(at))] if *same == secret => at.clone(),
            [_, Some(_)] => {
                return Err(Error::conflict(
                    "the target is an unfinished copy of another store: remove it, or name another target",
                ));
            }
            _ => {
                let rows = new.rest(None, 2).await?;
                let bare = rows.iter().all(|(key, _)| *key == RowKey::Secret());
                if !bare || !new.events(0, 1).await?.is_empty() {
                    return Err(Error::conflict(
                        "the target holds something already: name an empty one",
                    ));
                }
                let at = Moving::default();
                let moving = (RowKey::Moving(), Some(Row::Moving(at.clone())));
                new.put(vec![(RowKey::Secret(), Some(secret)), moving])
                    .await?;
                at
            }
        };
        Ok(Self {
            from: old,
            to: new,
            at,
        })
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> &Moving {
        &self.at
    }

    /// Copies one page of at most `limit` rows, durably; 0 when all are there.
    ///
    /// # Errors
    /// What the stores say; nothing of the page is there then, or all of it.
    pub async fn page(&mut self, limit: usize) -> Result<usize, Error> {
        let mut at = self.at.clone();
        let mut rows: Vec<(RowKey, Option<Row>)> = Vec::new();
        if at.rows.is_none() {
            for (position, key, row) in self.from.events(at.events, limit).await? {
                at.events = position;
                rows.push((key, Some(row)));
            }
        }
        if rows.is_empty() {
            for (key, row) in self.from.rest(at.rows.clone(), limit).await? {
                at.rows = Some(key.clone());
                rows.push((key, Some(row)));
            }
        }
        let count = rows.len();
        if count > 0 {
            rows.push((RowKey::Moving(), Some(Row::Moving(at.clone()))));
            self.to.put(rows).await?;
            self.at = at;
        }
        Ok(count)
    }

    /// Reads both stores again from the start and, if they hold the same, lets the new one be used. `told` gets the number of
    /// rows compared so far, of both stores together.
    ///
    /// # Errors
    /// `Conflict` when the two differ, as they do when somebody wrote to one meanwhile; and what the stores say.
    pub async fn finish(mut self, mut told: impl FnMut(u64)) -> Result<Fingerprint, Error> {
        while self.page(1000).await? > 0 {}
        let old = Fingerprint::of(self.from, &mut told).await?;
        let before = old.events + old.rows;
        let new = Fingerprint::of(self.to, |rows| told(before + rows)).await?;
        if old != new {
            return Err(Error::conflict(
                "the copy is not the same as its source, which was written to meanwhile: remove the copy and begin again",
            ));
        }
        self.to.put(vec![(RowKey::Moving(), None)]).await?;
        Ok(new)
    }
}

/// What a store holds, in 32 bytes: two stores with the same fingerprint hold the same rows, and their events in the same
/// order of the feed. [`RowKey::Moving`] does not count.
///
/// It is the sum, modulo 2^256, of the SHA-256 of every row with its key, so the order in which a store lists its rows does
/// not matter. It finds what was damaged, lost or left out, not what somebody forged who can choose rows at will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many events.
    pub events: u64,
    /// How many other rows.
    pub rows: u64,
    sum: [u64; 4],
}

impl Fingerprint {
    /// Reads a whole store. `told` gets the number of rows read so far, after each page.
    ///
    /// # Errors
    /// What the store says.
    pub async fn of(store: &dyn Archive, mut told: impl FnMut(u64)) -> Result<Self, Error> {
        const PAGE: usize = 1000;
        let mut all = Self::default();
        let mut position = 0;
        loop {
            let page = store.events(position, PAGE).await?;
            let Some((last, ..)) = page.last() else { break };
            position = *last;
            for (_, key, row) in &page {
                all.add(key, row)?;
            }
            told(all.events + all.rows);
        }
        let mut after = None;
        loop {
            let page = store.rest(after, PAGE).await?;
            for (key, row) in &page {
                all.add(key, row)?;
            }
            told(all.events + all.rows);
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    /// Counts a row in; events in the order of the feed.
    ///
    /// # Errors
    /// `Internal` when the row cannot be encoded: a defect.
    pub fn add(&mut self, key: &RowKey, row: &Row) -> Result<(), Error> {
        let place = match key {
            RowKey::Moving() => return Ok(()),
            RowKey::Event(..) => {
                self.events += 1;
                self.events
            }
            _ => {
                self.rows += 1;
                0
            }
        };
        let key = serde_json::to_vec(key)
            .map_err(|e| Error::internal("a key cannot be encoded").with_source(e))?;
        let mut hash = Sha256::new();
        hash.update(place.to_be_bytes());
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(&key);
        hash.update(row.encode()?);
        let hash = hash.finalize();
        let mut carry = false;
        for (word, bytes) in self.sum.iter_mut().zip(hash.as_chunks().0) {
            (*word, carry) = word.carrying_add(u64::from_be_bytes(*bytes), carry);
        }
        Ok(())
    }
}

/// The sum in hexadecimal digits, lowest word first.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum
            .iter()
            .try_for_each(|word| write!(f, "{word:016x}"))
    }
}
