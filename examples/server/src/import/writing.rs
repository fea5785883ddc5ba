//! Writes decided here, at their own times, and put into an archive by the page.

use std::collections::{BTreeMap, HashMap};

use chat_core::rules::{Counter, Group, Moving, Row, RowKey, Step};
use chat_core::{Archive, Committed, Error, Fingerprint, Prepared, Store, Timestamp, Write};

/// Events that are put at once.
const PAGE: usize = 2000;
/// Rows that are remembered besides.
const KNOWN: usize = 50_000;

/// A store that only this writes to, and nobody may use before the end.
pub(super) struct Writing<'a> {
    store: &'a dyn Store,
    archive: &'a dyn Archive,
    /// Not put yet.
    pending: BTreeMap<RowKey, Option<Row>>,
    /// Those of them that are new events, in their order.
    events: Vec<RowKey>,
    /// As they stand in the store.
    known: HashMap<RowKey, Option<Row>>,
}

impl<'a> Writing<'a> {
    /// Takes an empty store.
    pub(super) async fn begin(store: &'a dyn Store) -> Result<Self, Error> {
        let none = || Error::invalid("this kind of store cannot be imported to");
        let archive = store.archive().ok_or_else(none)?;
        let rows = archive.rest(None, 2).await?;
        let bare = rows.iter().all(|(key, _)| *key == RowKey::Secret());
        if !bare || !archive.events(0, 1).await?.is_empty() {
            return Err(Error::conflict(
                "it holds something already, if only an import that broke off: remove it, or name another target",
            ));
        }
        let moving = (RowKey::Moving(), Some(Row::Moving(Moving::default())));
        archive.put(vec![moving]).await?;
        Ok(Self {
            store,
            archive,
            pending: BTreeMap::new(),
            events: Vec::new(),
            known: HashMap::new(),
        })
    }

    /// The next id of a kind is the one after this.
    pub(super) fn set_counter(&mut self, counter: Counter, last: u64) {
        let row = Some(Row::Counter(last));
        self.pending.insert(RowKey::Counter(counter), row);
    }

    /// Decides a write at a time, on top of all before it.
    pub(super) async fn commit(&mut self, write: Write, at: Timestamp) -> Result<Committed, Error> {
        // Nobody knows the keys of these writes, so nobody can retry one.
        let digest = [0; 16];
        let mut group = Group::new(vec![Prepared { write, digest }], at);
        let outcome = loop {
            match group.step() {
                Step::Need(keys) => {
                    let mut unknown = Vec::new();
                    for key in keys {
                        let row = self.pending.get(&key).or_else(|| self.known.get(&key));
                        match (row, &key) {
                            (Some(row), _) => group.supply(key, row.clone()),
                            // Every key is a new one.
                            (None, RowKey::Done(..)) => group.supply(key, None),
                            (None, _) => unknown.push(key),
                        }
                    }
                    if !unknown.is_empty() {
                        let rows = self.store.rows(unknown.clone()).await?;
                        for (key, row) in unknown.into_iter().zip(rows) {
                            self.known.insert(key.clone(), row.clone());
                            group.supply(key, row);
                        }
                    }
                }
                Step::Done(outcome) => break outcome,
            }
        };
        let mut results = outcome.results;
        let committed = results
            .pop()
            .unwrap_or_else(|| Err(Error::internal("a write came to nothing")))?;
        let events = committed.events.iter();
        self.events
            .extend(events.map(|event| RowKey::Event(event.log, event.seq)));
        let changes = outcome.changes.into_iter();
        self.pending
            .extend(changes.map(|changed| (changed.key, changed.row)));
        if self.events.len() >= PAGE || self.pending.len() >= KNOWN {
            self.flush().await?;
        }
        Ok(committed)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let mut pending = std::mem::take(&mut self.pending);
        let events = std::mem::take(&mut self.events);
        let mut rows: Vec<_> = events
            .into_iter()
            .filter_map(|key| pending.remove_entry(&key))
            .collect();
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        for (key, row) in &pending {
            if !matches!(key, RowKey::Done(..) | RowKey::Event(..)) {
                self.known.insert(key.clone(), row.clone());
            }
        }
        rows.extend(pending);
        self.archive.put(rows).await
    }

    /// Puts the rest, reads all again, and lets the store be used.
    pub(super) async fn end(mut self) -> Result<Fingerprint, Error> {
        self.flush().await?;
        let fingerprint = Fingerprint::of(self.archive, |_| ()).await?;
        self.archive.put(vec![(RowKey::Moving(), None)]).await?;
        Ok(fingerprint)
    }
}
