//! The engine that is a map.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use super::{Batch, Engine, KvStore, Pairs};
use crate::Error;

/// Keeps everything in memory, for as long as it lives: for tests, and for a chat nobody needs tomorrow. As durable as an
/// engine without a disk can be: what [`Engine::apply`] took is there until the engine is dropped.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

/// The reference store: the laws over a map.
pub type MemoryStore = KvStore<Memory>;

impl KvStore<Memory> {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::started(Memory::default())
    }
}

impl Default for KvStore<Memory> {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine for Memory {
    const BLOCKING: bool = false;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        let bounds = (Bound::Included(range.start), Bound::Excluded(range.end));
        let pairs = self.0.range::<[u8], _>(bounds);
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(if backward {
            pairs.rev().take(limit).map(copy).collect()
        } else {
            pairs.take(limit).map(copy).collect()
        })
    }

    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        for (key, value) in batch {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}
